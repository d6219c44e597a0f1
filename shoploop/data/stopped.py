"""Purchases that stop before the log does, as where the last bookings have no status of somebody who came yet."""

import polars as pl

from shoploop.data.kinds import PURCHASE
from shoploop.data.rules import Loaded

SHARE_OF_SPAN, LEAST_DAYS = 0.1, 3
"""It is told where purchases stop more than this share of the log's days, and more than so many days, before its last row."""


def tell_stopped(events: pl.DataFrame, loaded: Loaded) -> None:
    """Says how long before the last row the last purchase was, where that is long.

    Args:
        events: Rows with ``time`` and ``kind``.
        loaded: Is told.
    """
    first, last = events.select(first=pl.col("time").min(), last=pl.col("time").max()).row(0)
    bought = events.select(pl.col("time").filter(pl.col("kind") == PURCHASE).max()).item()
    if bought is None or first is None:
        return
    silent = (last - bought).days
    if silent <= LEAST_DAYS or silent <= SHARE_OF_SPAN * ((last - first).days + 1):
        return
    after = events.filter(pl.col("time") > bought)
    kinds = ", ".join(
        f"{kind!r} ({rows:,})" for kind, rows in after["kind"].value_counts(sort=True).head(4).iter_rows()
    )
    loaded.tell(
        f"interactions: the last purchase is of {bought:%-d %B %Y}, {silent:,} days before the last row. What came after is "
        f"{kinds}, and the last days are what a run is judged by. Where a status says how far an order is, map those of "
        "orders on their way to purchase, too: kinds: {confirmed: purchase}."
    )
