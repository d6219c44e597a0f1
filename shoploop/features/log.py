"""The purchases as sorted arrays: one row per user, day and item. Everything that features count is counted here.

Positions in the vocabulary stand for items, days since 1970-01-01 (UTC) for times. A request on day D may see only rows
with a day before D; nothing here knows about requests.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.data.moments import first_moments, in_sessions
from shoploop.errors import TooFewEvents
from shoploop.schemas import POSITIVE_KINDS

Int32 = npt.NDArray[np.int32]
Float32 = npt.NDArray[np.float32]

COMMON_ITEMS, COMMON_SHARE = 12_000, 0.8
"""So many of the most purchased have a place of their own. Where they are less than so much of what is bought, others have,
too: a grocer's rare items are bought by few and gain nothing that could be measured (record 0114), a market lives by them."""

ENOUGH_PURCHASES = 5
"""User-days on which such another item was bought. Of rarer ones hardly anything is known but that somebody bought them: they
stay in the data and are recommended by no model."""

MAX_VOCABULARY = 100_000
"""Items with a place of their own at most: each costs a package a kilobyte, and every run time."""


@dataclass(frozen=True)
class Vocabulary:
    """The items that features and models know; an item's code is its position."""

    items: tuple[str, ...]

    @classmethod
    def of_features(cls, folder: Path) -> "Vocabulary":
        """That of a folder of ``materialize_features``."""
        return cls(tuple(pl.read_parquet(folder / "vocabulary.parquet").sort("code")["item"]))

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {item: code for code, item in enumerate(self.items)}

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, item: str) -> bool:
        return item in self._codes

    def code(self, item: str) -> int:
        """The item's code; -1 where it has none."""
        return self._codes.get(item, -1)

    def encode(self, items: list[str]) -> Int32:
        """Codes of the items, (len(items),); -1 where an item has none."""
        get = self._codes.get
        return np.fromiter((get(item, -1) for item in items), np.int32, len(items))

    def frame(self) -> pl.DataFrame:
        """Columns ``item`` and ``code``, for joins."""
        return pl.DataFrame(
            {"item": list(self.items), "code": np.arange(len(self), dtype=np.int32)},
            schema={"item": pl.String, "code": pl.Int32},
        )


def purchases(interactions: pl.DataFrame) -> pl.DataFrame:
    """The interactions that a recommender is trained to bring about, with their ``day`` (int32).

    Raises:
        TooFewEvents: no interaction is of such a kind.
    """
    kept = interactions.filter(pl.col("kind").is_in(POSITIVE_KINDS)).with_columns(day=day_of("time"))
    if kept.is_empty():
        kinds = sorted(interactions["kind"].unique().to_list())
        raise TooFewEvents(
            f"interactions has no event of kind {' or '.join(POSITIVE_KINDS)}, "
            f"only {', '.join(map(str, kinds)) or 'none'}. "
            "Map the kind that you want more of to it, or leave the kind column out."
        )
    return kept


def day_of(time: str) -> pl.Expr:
    """Days since 1970-01-01 (UTC) of a time column."""
    return pl.col(time).dt.epoch("d").cast(pl.Int32)


def choose_vocabulary(
    bought: pl.DataFrame, *, before: int, common: int = COMMON_ITEMS, limit: int = MAX_VOCABULARY
) -> Vocabulary:
    """The items bought before the day ``before`` on the most user-days, ties by id.

    Args:
        bought: Rows of :func:`purchases`.
        before: Day from which on nothing may be known, usually the first day of evaluation.
        common: So many of them. Where these are less than ``COMMON_SHARE`` of all user-days, also the others that were bought
            on ``ENOUGH_PURCHASES``.
        limit: Longest vocabulary.
    """
    counts = (
        bought.lazy()
        .filter(pl.col("day") < before)
        .select("user", "item", "day")
        .unique()
        .group_by("item")
        .len("user_days")
        .sort(["user_days", "item"], descending=[True, False])
        .collect()
    )
    days_I = counts["user_days"].to_numpy()
    more = days_I[:common].sum() < COMMON_SHARE * days_I.sum()
    counts = counts.head(min(max(common, int((days_I >= ENOUGH_PURCHASES).sum())) if more else common, limit))
    return Vocabulary(tuple(sorted(counts["item"].to_list())))


@dataclass(frozen=True, kw_only=True)
class PurchaseLog:
    """Every purchase of a vocabulary item, R rows sorted by user, day and item; a user's rows are one slice.

    Legend: R rows, U users.
    """

    users: tuple[str, ...]
    """Sorted; a user's position is its code."""

    vocabulary: Vocabulary
    user_R: Int32
    day_R: Int32
    item_R: Int32
    quantity_R: Float32
    """Pieces."""

    price_R: Float32
    """Money per piece; NaN where unknown or nothing was paid."""

    shop_R: Int32
    """Position in ``shops``; -1 where unknown."""

    shops: tuple[str, ...]
    offsets_U1: npt.NDArray[np.int64]
    """Rows of user u are ``offsets_U1[u]`` to ``offsets_U1[u + 1]``."""

    moment_R: Int32
    """Of a log of sessions: how many earlier moments of the user's day had something in them; 0 where a visit is a day."""

    sessions: bool = False
    """Whether what a visit is about is told within the day (see :mod:`shoploop.data.moments`)."""

    def __len__(self) -> int:
        return len(self.user_R)

    @property
    def first_day(self) -> int:
        return int(self.day_R.min())

    @property
    def last_day(self) -> int:
        return int(self.day_R.max())

    @classmethod
    def of(cls, bought: pl.DataFrame, vocabulary: Vocabulary, *, sessions: bool | None = None) -> "PurchaseLog":
        """Builds the log from rows of :func:`purchases`; rows of items outside the vocabulary are left out.

        Args:
            bought: Rows; ``time`` may be missing where visits are days.
            vocabulary: The items.
            sessions: Whether it is a log of sessions; what the rows look like, where not given.
        """
        sessions = in_sessions(bought) if sessions is None else sessions
        time = ["time"] if sessions else []
        rows = (
            bought.lazy()
            .select("user", "item", "day", "quantity", "price", "shop", *time)
            .join(vocabulary.frame().lazy(), on="item")
            # numbers too: neither the order of rows nor the number of threads is part of the data
            .sort("user", "day", "code", "quantity", "price")
            .collect()
        )
        rows = _merged(rows)
        users = sorted(rows["user"].unique().to_list())
        shops = sorted(rows["shop"].drop_nulls().unique().to_list())
        user_R = codes_of(rows["user"], users)
        quantity_R = rows["quantity"].fill_null(1.0).to_numpy().astype(np.float32)
        paid_R = rows["price"].fill_null(0.0).to_numpy().astype(np.float32)
        known_R = (quantity_R > 0) & (paid_R > 0)
        price_R = np.full(len(rows), np.nan, np.float32)
        np.divide(paid_R, quantity_R, out=price_R, where=known_R)
        return cls(
            users=tuple(users),
            vocabulary=vocabulary,
            user_R=user_R,
            day_R=rows["day"].to_numpy().astype(np.int32),
            item_R=rows["code"].to_numpy().astype(np.int32),
            quantity_R=quantity_R,
            price_R=price_R,
            shop_R=codes_of(rows["shop"], shops),
            shops=tuple(shops),
            offsets_U1=np.searchsorted(user_R, np.arange(len(users) + 1)).astype(np.int64),
            moment_R=first_moments(rows) if sessions else np.zeros(len(rows), np.int32),
            sessions=sessions,
        )

    def where(self, keep_R: npt.NDArray[np.bool_]) -> "PurchaseLog":
        """The log of these rows alone, with the same users, vocabulary and shops."""
        user_R = self.user_R[keep_R]
        return replace(
            self,
            user_R=user_R,
            day_R=self.day_R[keep_R],
            item_R=self.item_R[keep_R],
            quantity_R=self.quantity_R[keep_R],
            price_R=self.price_R[keep_R],
            shop_R=self.shop_R[keep_R],
            moment_R=self.moment_R[keep_R],
            offsets_U1=np.searchsorted(user_R, np.arange(len(self.users) + 1)).astype(np.int64),
        )

    def baskets(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Each row's basket (user and day) by its number, (R,), and each basket's first row."""
        starts_R = np.ones(len(self), bool)
        starts_R[1:] = (self.user_R[1:] != self.user_R[:-1]) | (self.day_R[1:] != self.day_R[:-1])
        return np.cumsum(starts_R) - 1, np.flatnonzero(starts_R)

    def visits(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows by what one did at once, a basket or a moment of one: the rows in that order, (R,), the visit of each of
        these by its number, (R,), and each visit's first place in that order."""
        order_R = np.lexsort((self.moment_R, self.day_R, self.user_R))
        user_R, day_R, moment_R = self.user_R[order_R], self.day_R[order_R], self.moment_R[order_R]
        starts_R = np.ones(len(self), bool)
        starts_R[1:] = (user_R[1:] != user_R[:-1]) | (day_R[1:] != day_R[:-1]) | (moment_R[1:] != moment_R[:-1])
        return order_R, np.cumsum(starts_R) - 1, np.flatnonzero(starts_R)

    def by_day(self) -> "DayIndex":
        """The rows in the order of their days, for counts over windows of days."""
        order_R = np.argsort(self.day_R, kind="stable")
        return DayIndex(order_R=order_R, day_R=self.day_R[order_R])


def _merged(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per user, day and code of sorted rows: pieces and money added up in their order, of several shops the last."""
    group = rows.select(group=pl.struct("user", "day", "code").rle_id())["group"]
    starts = np.flatnonzero(np.diff(group.to_numpy().astype(np.int64), prepend=-1))
    summed = {
        name: np.add.reduceat(rows[name].fill_null(0.0).to_numpy(), starts) if len(starts) else np.empty(0)
        for name in ("quantity", "price")
    }
    latest = [pl.col("shop").max(), *([pl.col("time").min()] if "time" in rows.columns else [])]
    found = rows.with_columns(group).group_by("group", maintain_order=True).agg(latest).drop("group")
    return rows[starts].with_columns(*found, **{name: pl.Series(values) for name, values in summed.items()})


@dataclass(frozen=True, kw_only=True)
class DayIndex:
    """Finds the rows of a window of days."""

    order_R: npt.NDArray[np.int64]
    day_R: Int32

    def window(self, first: int, before: int) -> npt.NDArray[np.int64]:
        """Row numbers of the days from ``first`` up to, not including, ``before``."""
        low, high = np.searchsorted(self.day_R, [first, before])
        return self.order_R[low:high]


def codes_of(column: pl.Series, names: list[str]) -> Int32:
    """Position of each value in the sorted ``names``; -1 where null."""
    table = pl.DataFrame(
        {"name": names, "position": np.arange(len(names), dtype=np.int32)},
        schema={"name": pl.String, "position": pl.Int32},
    )
    joined = column.alias("name").to_frame().join(table, on="name", how="left", maintain_order="left")
    return joined["position"].fill_null(-1).to_numpy().astype(np.int32)
