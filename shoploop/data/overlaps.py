"""How much of one column's ids another one has: which columns of two tables name the same things."""

from collections.abc import Mapping

import polars as pl

from shoploop.data.column import Column
from shoploop.data.fitting import CAUSES
from shoploop.data.ids import text_of


def most_shared(shares: Mapping[str, float]) -> str | None:
    """The column of the greatest share, where that is at least a half."""
    best = max(shares, key=lambda name: shares[name], default=None)
    return best if best is not None and shares[best] >= 0.5 else None


def known_share(column: Column, listed: Column) -> float:
    """The share of a column's values that another one lists."""
    return overlap(listed, text_of(column.values).drop_nulls().unique())


def overlap(column: Column, ids: pl.Series) -> float:
    """The share of these ids that a column has."""
    own = text_of(column.values).drop_nulls().unique()
    return int(ids.is_in(own.implode()).sum()) / max(ids.len(), 1)


def overlap_without_zeros(column: Column, ids: pl.Series) -> float:
    """As a run sees why two tables do not fit: one has lost what the other still has."""
    alike = next(mended for differ, mended, _ in CAUSES if differ == "leading zeros")
    own = Column(pl.DataFrame({column.name: text_of(column.values)}).select(alike(pl.first())).to_series())
    return overlap(own, pl.DataFrame({"id": ids}).select(alike(pl.first())).to_series().unique())


OVERLAPS = ((overlap, ""), (overlap_without_zeros, ", leading zeros aside"))
"""Ways to compare, the first that finds something is taken; and what to say of each."""
