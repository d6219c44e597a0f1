"""Item statistics, causal by day: a row stamped t covers the days before t.

Legend: I items of the vocabulary, S statistics.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from shoploop.features.contract import ITEM_STATS
from shoploop.features.history import midnight
from shoploop.features.log import DayIndex, Float32, Int32, PurchaseLog, Vocabulary

NAMES = tuple(f.name for f in ITEM_STATS)
NEVER_DAYS = 999


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
        """Codes of the items sold in the last 28 days, most baskets first, ties by code."""
        sold = self["purchases_28"]
        order = np.lexsort((np.arange(len(sold)), -sold))
        return order[: int((sold > 0).sum())].astype(np.int32)

    @classmethod
    def from_frame(cls, rows: pl.DataFrame, vocabulary: Vocabulary, day: int) -> "ItemMatrix":
        """From rows with ``item`` and the statistics, in any order; items without a row were never sold."""
        values_IS = np.zeros((len(vocabulary), len(NAMES)), np.float32)
        values_IS[:, NAMES.index("days_since_sold")] = NEVER_DAYS
        codes = vocabulary.encode(rows["item"].to_list())
        known = codes >= 0
        values_IS[codes[known]] = rows.select(pl.col(NAMES).cast(pl.Float32).fill_null(0)).to_numpy()[known]
        return cls(day=day, values_IS=values_IS)


class ItemStatistics:
    """Counts the log's items over the windows that end before a day."""

    def __init__(self, log: PurchaseLog):
        self._log = log
        self._index: DayIndex = log.by_day()
        self._items = len(log.vocabulary)
        self._first_R, self._gap_R = _first_and_gap(log)
        baskets = np.unique(np.stack([log.day_R, log.user_R]), axis=1)[0] if len(log) else np.empty(0, np.int32)
        self._basket_days = baskets

    def on(self, day: int) -> ItemMatrix:
        """The statistics as a request on ``day`` sees them."""
        log, items = self._log, self._items
        past = self._index.window(-NEVER_DAYS * 1000, day)
        columns: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
        price_sums = {}
        for window in (7, 28, 91):
            rows = self._index.window(day - window, day)
            codes = log.item_R[rows]
            bought = np.bincount(codes, minlength=items).astype(np.float64)
            columns[f"rate_{window}"] = bought / max(self._baskets(day - window, day), 1)
            if window == 28:
                columns["purchases_28"] = bought
                pairs = np.unique(codes.astype(np.int64) * len(log.users) + log.user_R[rows])
                columns["buyers_28"] = np.bincount(pairs // max(len(log.users), 1), minlength=items).astype(np.float64)
            else:
                priced = rows[~np.isnan(log.price_R[rows])]
                sums = np.bincount(log.item_R[priced], weights=log.price_R[priced], minlength=items)
                counts = np.bincount(log.item_R[priced], minlength=items)
                price_sums[window] = sums / np.maximum(counts, 1)
        codes = log.item_R[past]
        columns["purchases_total"] = np.bincount(codes, minlength=items).astype(np.float64)
        columns["buyers_total"] = np.bincount(codes[self._first_R[past]], minlength=items).astype(np.float64)
        repeats = columns["purchases_total"] - columns["buyers_total"]
        gaps = np.bincount(codes, weights=self._gap_R[past], minlength=items)
        columns["mean_gap_days"] = gaps / np.maximum(repeats, 1)
        columns["mean_price"] = price_sums[91]
        change = np.zeros(items)
        both = (price_sums[7] > 0) & (price_sums[91] > 0)
        change[both] = np.log(price_sums[7][both] / price_sums[91][both])
        columns["price_change"] = change
        last = np.full(items, day - NEVER_DAYS, np.int64)
        first = np.full(items, day, np.int64)
        # rows come in the order of their days: the last write is the latest; reversed, the earliest
        last[codes] = log.day_R[past]
        first[codes[::-1]] = log.day_R[past[::-1]]
        columns["days_since_sold"] = np.minimum(day - last, NEVER_DAYS).astype(np.float64)
        columns["days_known"] = (day - first).astype(np.float64)
        return ItemMatrix(day=day, values_IS=np.stack([columns[n] for n in NAMES], axis=1).astype(np.float32))

    def _baskets(self, first: int, before: int) -> int:
        low, high = np.searchsorted(self._basket_days, [first, before])
        return int(high - low)


def _first_and_gap(
    log: PurchaseLog,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
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


def item_stats(log: PurchaseLog, days: Iterable[int]) -> pl.DataFrame:
    """One row per day of ``days`` and vocabulary item, stamped at that day's midnight (UTC).

    Returns:
        ``item``, ``event_timestamp`` (datetime[us, UTC]) and the columns of ``contract.ITEM_STATS``, by time and item.
    """
    statistics = ItemStatistics(log)
    item = pl.Series("item", list(log.vocabulary.items), pl.String)
    frames = [
        pl.DataFrame(statistics.on(day).values_IS, schema=dict.fromkeys(NAMES, pl.Float32)).select(
            item, midnight(day).alias("event_timestamp"), *NAMES
        )
        for day in sorted(set(days))
    ]
    return pl.concat(frames)
