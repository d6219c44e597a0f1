"""Purchases that were sent back whole: nothing that their user wanted, but where things are lent (docs/decisions/0119)."""

import polars as pl

from shoploop.data.kinds import PURCHASE, RETURN
from shoploop.data.rules import Loaded

PAIR = ("user", "item")

LENT = 0.7
"""From this share of purchases that come back on, nothing is sold: it is lent, as books, tools and rooms are, and to have
brought it back does not say that it was not wanted. Of fashion by mail about half comes back."""

FEWEST = 50
"""Purchases that say it: of a few, all may have come back."""

PARTS = 10_000
"""Of a piece: whole numbers add up exactly, and what is sold by weight has a few decimals."""


def without_sent_back(events: pl.DataFrame, loaded: Loaded) -> pl.DataFrame:
    """Purchases whose pieces the same user returned later become of kind ``other``: in no history, count or answer.

    Returns seldom say which purchase they undo: each takes from the latest ones before it that are still open, and what
    is left over lapses, as of what was bought before the log began. What comes back in part stays bought: who returns two
    of ten still wanted it.

    Args:
        events: Canonical rows, with returns as such and quantities without a sign.
        loaded: Notes how many.
    """
    returned = events.filter(pl.col("kind") == RETURN).select(PAIR).unique()
    if returned.is_empty():
        return events
    rows = _undone(events, returned)
    bought = int((events["kind"] == PURCHASE).sum())
    if bought >= FEWEST and rows.len() >= LENT * bought:
        loaded.note(
            "lent", "interactions", rows.len(), "kept",
            f"So many of the {bought:,} purchases were brought back by the same user, as what is lent is: they count as "
            "wanted. If these are goods that were sent back, their log is not one to learn from.", tell=True,
        )  # fmt: skip
        return events
    loaded.note(
        "purchases_sent_back", "interactions", rows.len(), "changed",
        "The same user returned all of it later: nothing that they wanted, so it is of kind other, in no history and never "
        "something to recommend them.", tell=True,
    )  # fmt: skip
    undone = pl.int_range(pl.len()).is_in(rows.implode())
    return events.with_columns(kind=pl.when(undone).then(pl.lit("other")).otherwise(pl.col("kind")))


def _undone(events: pl.DataFrame, returned: pl.DataFrame) -> pl.Series:
    """Numbers of the purchases of which nothing is left.

    Open pieces of a pair are a stack: a purchase lays its own on top, a return takes from there. So a purchase is gone
    where the stack is later as low as it was before it.
    """
    parts = (pl.col("quantity").fill_null(1.0) if "quantity" in events.columns else pl.lit(1.0)) * PARTS
    another = pl.any_horizontal(pl.col(name) != pl.col(name).shift() for name in PAIR).fill_null(True)
    height = pl.col("_sum") - pl.col("_sum").cum_min().over("_pair").clip(upper_bound=0)
    return (
        events.select(*PAIR, "time", "kind", _parts=parts.round().cast(pl.Int64))
        .with_row_index("_row")
        .filter(pl.col("kind").is_in([PURCHASE, RETURN]))
        .join(returned, on=PAIR, how="semi")
        # of one time, as of one receipt or of days without a clock, what is bought comes first
        .sort(*PAIR, "time", pl.col("kind") == RETURN, "_row")
        .select(
            "_row",
            _pair=another.cum_sum(),  # a number each: windows over two texts take several times as long
            _parts=pl.when(pl.col("kind") == RETURN).then(-pl.col("_parts")).otherwise("_parts"),
        )
        .with_columns(_sum=pl.col("_parts").cum_sum().over("_pair"))
        .select("_row", "_pair", "_parts", _height=height)
        .with_columns(_lowest=pl.col("_height").cum_min(reverse=True).over("_pair"))
        .filter((pl.col("_parts") > 0) & (pl.col("_lowest") <= pl.col("_height") - pl.col("_parts")))
    )["_row"]
