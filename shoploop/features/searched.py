"""What was taken after searches, as far as it decides which items a run knows.

A search may end in a click and no purchase, and where few buy most items have nothing else: left out, the model could not
order the very items that are searched for (docs/decisions/0108).
"""

import polars as pl

from shoploop.features.log import day_of

SEARCHES = "searches.parquet"
"""In a folder of ``load_data``, where there are searches."""


def taken_after_searches(searches: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """Who took what on which day, as :func:`~shoploop.features.log.choose_vocabulary` reads purchases.

    Args:
        searches: Canonical; of a search that nobody's name is on, each row is somebody of its own.
        items: Canonical. What it does not hold has no name to be found by, and is left out.

    Returns:
        ``user``, ``item`` and ``day`` (int32).
    """
    known = searches.lazy().join(items.lazy().select("item").unique(), on="item", how="semi", maintain_order="left")
    stranger = pl.format("somebody {}", pl.int_range(pl.len()))
    return known.select(pl.coalesce("user", stranger), "item", day_of("time").alias("day")).collect()
