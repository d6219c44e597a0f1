"""What sells, in one shop and everywhere: the answer for a shopper of whom nothing is known.

Counted when a version is packaged, from the same canonical tables that it was trained on. Where the last 28 days sold too few
items, what sold before fills the list up: an answer is as long as was asked for, if only so much was ever sold.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from shoploop.features.log import purchases

FILE = "popular.parquet"
WINDOW_DAYS = 28
KEPT_PER_SHOP = 100
KEPT_EVERYWHERE = 1000
"""An answer of the longest kind is full even where a request excludes as many items again."""

EVERYWHERE = ""
"""Stands for all shops together; no shop has an empty id."""


@dataclass(frozen=True, kw_only=True)
class Popular:
    """The best sellers of one shop, best first."""

    items: tuple[str, ...]
    rates: tuple[float, ...]
    """Share of the shop's baskets (user and day) of the last 28 days that hold the item; 0 for what sold before them."""


def write_popularity(interactions: pl.DataFrame, out: Path) -> None:
    """Counts the last 28 days of the data and writes ``popular.parquet``: shop, item, rate, best sellers first.

    Args:
        interactions: The canonical table, between the log's ends.
        out: An existing folder.
    """
    bought = purchases(interactions).select("user", "item", "day", "shop").unique()
    last = bought.select(pl.col("day").max()).item()
    in_shops = bought.filter(pl.col("shop").is_not_null() & (pl.col("shop") != EVERYWHERE))
    best = [
        _best(bought.with_columns(shop=pl.lit(EVERYWHERE)), last, KEPT_EVERYWHERE),
        _best(in_shops, last, KEPT_PER_SHOP),
    ]
    pl.concat(best).write_parquet(out / FILE, compression="zstd")


def _best(rows: pl.DataFrame, last: int, kept: int) -> pl.DataFrame:
    """By baskets of the last days, then by all earlier ones, ties by id."""
    rows = rows.select("shop", "user", "day", "item").unique()
    recent = (pl.col("day") > last - WINDOW_DAYS) & (pl.col("day") <= last)
    baskets = rows.filter(recent).select("shop", "user", "day").unique().group_by("shop").len("baskets")
    return (
        rows.group_by("shop", "item")
        .agg(count=recent.sum(), ever=pl.len())
        .join(baskets, on="shop", how="left")
        .select("shop", "item", rate=(pl.col("count") / pl.col("baskets")).fill_null(0.0), ever=pl.col("ever"))
        .sort(["shop", "rate", "ever", "item"], descending=[False, True, True, False])
        .group_by("shop", maintain_order=True)
        .head(kept)
        .drop("ever")
    )


def read_popularity(folder: Path) -> dict[str, Popular]:
    """The best sellers by shop; :data:`EVERYWHERE` is always among them."""
    table = pl.read_parquet(folder / FILE)
    return {
        str(shop): Popular(items=tuple(rows["item"].to_list()), rates=tuple(rows["rate"].to_list()))
        for (shop,), rows in table.group_by("shop", maintain_order=True)
    }
