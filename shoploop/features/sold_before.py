"""How much of what is bought had been sold before: an item that is sold once can be recommended by no purchase of it."""

import polars as pl

COARSER = (
    "More days or users do not help: name a coarser id as the item, such as the product or the category that it is of, "
    "in spec.data.tables.interactions.columns."
)
"""What helps where items are sold once, such as the lots of an auction."""


def sold_before(bought: pl.DataFrame, learned: pl.Expr) -> float:
    """Share of purchases whose item somebody had bought on an earlier day; 1 where there is none.

    Args:
        bought: ``user``, ``item`` and ``day`` of purchases; each is counted once.
        learned: Which of them count; all others are what came before.
    """
    once = bought.lazy().select("user", "item", "day").unique()
    earlier = once.with_columns(earlier=pl.col("day").min().over("item") < pl.col("day")).filter(learned)
    share: float | None = earlier.select(pl.col("earlier").mean()).collect().item()
    return 1.0 if share is None else share


def sold_once(share: float) -> str:
    """A sentence that says the share."""
    return f"Of {share:.1%} of the purchases to learn from the item had been sold on an earlier day."
