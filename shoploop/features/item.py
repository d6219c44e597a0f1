"""Item statistics, causal by day: a row stamped t covers the days before t.

Legend: I items of the vocabulary, S statistics.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.features.contract import ITEM_STATS
from shoploop.features.distinct import distinct
from shoploop.features.history import midnight
from shoploop.features.log import DayIndex, Float32, Int32, PurchaseLog, Vocabulary

NAMES = tuple(f.name for f in ITEM_STATS)
NEVER_DAYS = 999

RATE_DAYS = (1, 3, 7, 28, 91)
"""Windows of popularity: a grocer's taste moves by months, that of a site that is clicked through by days."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ItemMatrix:
    """Every item's statistics as the requests of one day see them, from Feast or from :class:`ItemStatistics`."""

    day: int
    values_IS: Float32
    """Columns in the order of ``contract.ITEM_STATS``."""

    def __getitem__(self, name: str) -> Float32:
        """One statistic of all items, (I,)."""
        return self.values_IS[:, NAMES.index(name)]

    @cached_property
    def by_popularity(self) -> Int32:
        """Codes of the items ever sold: those of the last 28 days by their baskets, then the others by all of theirs; ties
        by code."""
        sold, ever = self["purchases_28"], self["purchases_total"]
        order = np.lexsort((np.arange(len(sold)), np.where(sold > 0, 0, -ever), -sold))
        return order[: int(((sold > 0) | (ever > 0)).sum())].astype(np.int32)

    @cached_property
    def evidence_I(self) -> Array:
        """How far each item's factors are to be trusted: the root of the logarithm of its purchases."""
        return np.sqrt(np.log1p(self["purchases_total"].astype(np.float64)))

    @cached_property
    def sold_I(self) -> Array:
        """Purchases of the last weeks, and a hundredth for each before, which orders those that do not sell now."""
        return self["purchases_28"].astype(np.float64) + 0.01 * self["purchases_total"]

    def as_if_new(self, codes: Int32) -> "ItemMatrix":
        """The same, had nobody bought these items yet."""
        values_IS = self.values_IS.copy()
        values_IS[codes] = _never_sold()
        return ItemMatrix(day=self.day, values_IS=values_IS)

    @classmethod
    def from_frame(cls, rows: pl.DataFrame, vocabulary: Vocabulary, day: int) -> "ItemMatrix":
        """From rows with ``item`` and the statistics, in any order; items without a row were never sold."""
        values_IS = np.tile(_never_sold(), (len(vocabulary), 1))
        codes = vocabulary.encode(rows["item"].to_list())
        known = codes >= 0
        values_IS[codes[known]] = rows.select(pl.col(NAMES).cast(pl.Float32).fill_null(0)).to_numpy()[known]
        return cls(day=day, values_IS=values_IS)


def _never_sold() -> Float32:
    """The statistics of an item that nobody has bought, (S,)."""
    values_S = np.zeros(len(NAMES), np.float32)
    values_S[NAMES.index("days_since_sold")] = NEVER_DAYS
    return values_S


class ItemStatistics:
    """Counts the log's items over the windows that end before a day. Days asked for in rising order cost least."""

    def __init__(self, log: PurchaseLog):
        self._log = log
        self._index: DayIndex = log.by_day()
        self._first_R, self._gap_R = _first_and_gap(log)
        _, first_row = log.baskets()
        self._basket_days = np.sort(log.day_R[first_row])
        self._totals = _Totals(log)

    def on(self, day: int) -> ItemMatrix:
        """The statistics as a request on ``day`` sees them."""
        log, items = self._log, len(self._log.vocabulary)
        columns: dict[str, Array] = {}
        price = {}
        for window in RATE_DAYS:
            rows = self._index.window(day - window, day)
            codes = log.item_R[rows]
            bought = np.bincount(codes, minlength=items).astype(np.float64)
            columns[f"rate_{window}"] = bought / max(self._baskets(day - window, day), 1)
            if window == 28:
                columns["purchases_28"] = bought
                pairs = distinct(codes.astype(np.int64) * len(log.users) + log.user_R[rows])
                columns["buyers_28"] = np.bincount(pairs // max(len(log.users), 1), minlength=items).astype(np.float64)
            elif window in (7, 91):
                priced = rows[~np.isnan(log.price_R[rows])]
                sums = np.bincount(log.item_R[priced], weights=log.price_R[priced], minlength=items)
                price[window] = sums / np.maximum(np.bincount(log.item_R[priced], minlength=items), 1)
        totals = self._totals
        if day < totals.day:
            totals = self._totals = _Totals(log)
        totals.add(day, self._index.window(totals.day, day), self._first_R, self._gap_R)
        repeats = totals.purchases - totals.buyers
        both = (price[7] > 0) & (price[91] > 0)
        columns |= {
            "purchases_total": totals.purchases,
            "buyers_total": totals.buyers,
            "mean_gap_days": totals.gaps / np.maximum(repeats, 1),
            "mean_price": price[91],
            "price_change": np.log(np.divide(price[7], price[91], out=np.ones(items), where=both)),
            "days_since_sold": np.minimum(day - totals.last, NEVER_DAYS).astype(np.float64),
            "days_known": np.maximum(day - totals.first, 0).astype(np.float64),
        }
        return ItemMatrix(day=day, values_IS=np.stack([columns[n] for n in NAMES], axis=1).astype(np.float32))

    def _baskets(self, first: int, before: int) -> int:
        low, high = np.searchsorted(self._basket_days, [first, before])
        return int(high - low)


class _Totals:
    """What grows with every day, so that the next day adds its own rows only."""

    def __init__(self, log: PurchaseLog):
        items = len(log.vocabulary)
        self._log = log
        self.day = log.first_day if len(log) else 0
        self.purchases = np.zeros(items)
        self.buyers = np.zeros(items)
        self.gaps = np.zeros(items)
        self.last = np.full(items, self.day - 100 * NEVER_DAYS, np.int64)
        self.first = np.full(items, np.iinfo(np.int32).max, np.int64)

    def add(self, day: int, rows: npt.NDArray[np.int64], first_R: npt.NDArray[np.bool_], gap_R: Array) -> None:
        items = len(self.purchases)
        codes, days = self._log.item_R[rows], self._log.day_R[rows]
        self.purchases = self.purchases + np.bincount(codes, minlength=items)
        self.buyers = self.buyers + np.bincount(codes[first_R[rows]], minlength=items)
        self.gaps = self.gaps + np.bincount(codes, weights=gap_R[rows], minlength=items)
        np.maximum.at(self.last, codes, days)
        np.minimum.at(self.first, codes, days)
        self.day = max(day, self.day)


def _first_and_gap(log: PurchaseLog) -> tuple[npt.NDArray[np.bool_], Array]:
    """Per row: is it the user's first purchase of the item, and how many days after the one before (0 where first)."""
    order = np.lexsort((log.day_R, log.item_R, log.user_R))
    user, item, day = log.user_R[order], log.item_R[order], log.day_R[order]
    again = np.zeros(len(order), bool)
    again[1:] = (user[1:] == user[:-1]) & (item[1:] == item[:-1])
    gap = np.zeros(len(order))
    gap[1:] = np.where(again[1:], day[1:] - day[:-1], 0)
    first_R = np.empty(len(order), bool)
    gap_R = np.empty(len(order))
    first_R[order], gap_R[order] = ~again, gap
    return first_R, gap_R


PIECE_ROWS = 100_000
"""Rows of the table that are in memory at once."""


def item_stats(log: PurchaseLog, days: Iterable[int]) -> pl.DataFrame:
    """One row per day of ``days`` and vocabulary item, stamped at that day's midnight (UTC).

    Returns:
        ``item``, ``event_timestamp`` (datetime[us, UTC]) and the columns of ``contract.ITEM_STATS``, by time and item.
    """
    return pl.concat(item_stats_pieces(log, days))


def item_stats_pieces(log: PurchaseLog, days: Iterable[int]) -> Iterator[pl.DataFrame]:
    """The rows of :func:`item_stats`, a few days at a time."""
    statistics = ItemStatistics(log)
    item = pl.Series("item", list(log.vocabulary.items), pl.String)
    wanted = sorted(set(days))
    at_once = max(PIECE_ROWS // max(len(item), 1), 1)
    for start in range(0, len(wanted), at_once):
        yield pl.concat(
            pl.DataFrame(statistics.on(day).values_IS, schema=dict.fromkeys(NAMES, pl.Float32)).select(
                item, midnight(day).alias("event_timestamp"), *NAMES
            )
            for day in wanted[start : start + at_once]
        )
