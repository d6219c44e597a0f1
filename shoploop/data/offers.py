"""The table of offers in order: what was in a mailer or on display, where and when, with every odd row counted.

Rows of days that the interactions do not reach are as they should be: offers are known ahead.
"""

import polars as pl

from shoploop import schemas
from shoploop.data.rules import Loaded
from shoploop.errors import SchemaMismatch, TableEmpty

MOST_BACKWARDS = 0.5
"""Share of rows that end before they begin from which on the two columns are taken for each other."""

TOLD = 0.05
"""Share of rows of unknown items or shops above which it is told on the console, below only in the report."""


def complete_offers(loaded: Loaded, table: pl.DataFrame, tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """The offers that can be read, by their first day.

    Args:
        loaded: On which rules are noted.
        table: With the canonical columns.
        tables: The completed interactions, items and shops.

    Raises:
        SchemaMismatch: most rows end before they begin.
        TableEmpty: no row is left.
    """
    table = table.select(schemas.OFFERS.schema.names)
    named = [pl.col(name).str.strip_chars().replace("", None) for name in ("shop", "kind")]
    kept = table.with_columns(named).drop_nulls(list(schemas.OFFERS.required))
    loaded.note(
        "incomplete_offers", "offers", table.height - kept.height, "dropped",
        "An offer without its item, its first or its last day says nothing.", tell=True,
    )  # fmt: skip
    backwards = kept.filter(pl.col("until") < pl.col("from"))
    if backwards.height > MOST_BACKWARDS * kept.height:
        one = backwards.row(0, named=True)
        raise SchemaMismatch(
            f"offers: {backwards.height:,} of {kept.height:,} rows end before they begin, e.g. that of item "
            f"{one['item']!r} from {one['from']} until {one['until']}. See whether "
            "spec.data.tables.offers.columns takes one for the other, or timeFormat the day for the month."
        )
    kept = kept.filter(pl.col("until") >= pl.col("from"))
    loaded.note(
        "offers_backwards", "offers", backwards.height, "dropped", "Their last day lies before their first.", tell=True
    )
    if kept.is_empty():
        raise TableEmpty(
            "offers: no row has an item, a first and a last day. Check the file and spec.data.tables.offers."
        )
    for key, lost in (("item", "of them nothing can be learned"), ("shop", "nobody was seen to go there")):
        known = tables[f"{key}s"].select(key)
        ids = kept.select(key).drop_nulls().unique().join(known, on=key, how="anti")[key].sort()
        rows = int(kept[key].is_in(ids.implode()).sum()) if len(ids) else 0
        loaded.note(
            f"offers_of_unknown_{key}s", "offers", rows, "warned",
            f"Neither the interactions nor the table of {key}s knows their {key}, {len(ids):,} different, e.g. "
            f"{', '.join(map(repr, ids.head(3)))}: {lost}.", tell=rows > TOLD * kept.height,
        )  # fmt: skip
    days = tables["interactions"].select(first=pl.col("time").dt.date().min(), last=pl.col("time").dt.date().max())
    first, last = days.row(0)
    during = (pl.col("from") <= last) & (pl.col("until") >= first)
    if not kept.select(during.any()).item():
        loaded.note(
            "offers_outside_interactions", "offers", kept.height, "warned",
            "Nothing was on offer on the days of the interactions, so that nothing can be learned of offers.", tell=True,
        )  # fmt: skip
    return kept.sort("from", "item", maintain_order=True)
