"""Purchases that were sent back whole: nothing that their user wanted (docs/decisions/0119)."""

import polars as pl

from shoploop.data.kinds import PURCHASE, RETURN
from shoploop.data.rules import Loaded

PAIR = ("user", "item")


def without_sent_back(events: pl.DataFrame, loaded: Loaded) -> pl.DataFrame:
    """Purchases whose pieces the same user returned later become of kind ``other``: in no history, count or answer.

    Returns seldom say which purchase they undo, so the latest ones before the last return are undone first, as far as the
    pieces reach. What comes back in part stays bought: who returns two of ten still wanted it.

    Args:
        events: Canonical rows, with returns as such and quantities without a sign.
        loaded: Notes how many.
    """
    is_return = pl.col("kind") == RETURN
    if not events.select(is_return.any()).item():
        return events
    numbered = events.with_columns(
        pl.int_range(pl.len()).alias("_row"),
        (pl.col("quantity").fill_null(1.0) if "quantity" in events.columns else pl.lit(1.0)).alias("_pieces"),
    ).select("_row", *PAIR, "time", "kind", "_pieces")
    back = numbered.filter(is_return).group_by(PAIR).agg(back=pl.col("_pieces").sum(), last=pl.col("time").max())
    undone = (
        numbered.filter(pl.col("kind") == PURCHASE)
        .join(back, on=PAIR)
        .filter(pl.col("time") <= pl.col("last"))
        .sort("time", "_row", descending=True)
        .filter(pl.col("_pieces").cum_sum().over(PAIR) <= pl.col("back") + 1e-9)
    )
    loaded.note(
        "purchases_sent_back", "interactions", undone.height, "changed",
        "The same user returned all of it later: nothing that they wanted, so it is of kind other, in no history and never "
        "something to recommend them.", tell=True,
    )  # fmt: skip
    rows = pl.int_range(pl.len()).is_in(undone["_row"].implode())
    return events.with_columns(kind=pl.when(rows).then(pl.lit("other")).otherwise(pl.col("kind")))
