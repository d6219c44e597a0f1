"""What one user bought, as arrays: the same object in training, cut at a request's day, and in the predictor.

Legend: H rows, one per day and item.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from shoploop.features.log import Float32, Int32, PurchaseLog, Vocabulary


@dataclass(frozen=True, kw_only=True)
class History:
    """One user's purchases of vocabulary items, sorted by day, then item code; an item counts once a day."""

    items_H: Int32
    """Vocabulary codes."""

    days_H: Int32
    """Days since 1970-01-01 (UTC)."""

    sizes_H: Int32
    """Different vocabulary items bought on that day: the size of the basket."""

    quantities_H: Float32
    """Pieces."""

    def __len__(self) -> int:
        return len(self.items_H)

    @classmethod
    def of(cls, items: Int32, days: Int32, quantities: Float32) -> "History":
        """Builds a history from rows in any order: equal rows are merged, codes below 0 left out."""
        known = items >= 0
        items, days, quantities = items[known], days[known], quantities[known]
        order = np.lexsort((items, days))
        items, days, quantities = items[order], days[order], quantities[order]
        first = np.ones(len(items), bool)
        first[1:] = (items[1:] != items[:-1]) | (days[1:] != days[:-1])
        starts = np.flatnonzero(first)
        if len(starts):
            quantities = np.add.reduceat(quantities, starts)
        return cls.sorted(items[starts], days[starts], quantities)

    @classmethod
    def sorted(cls, items_H: Int32, days_H: Int32, quantities_H: Float32) -> "History":
        """Builds a history from rows that are merged and sorted already."""
        _, inverse_H, counts = np.unique(days_H, return_inverse=True, return_counts=True)
        return cls(
            items_H=items_H.astype(np.int32, copy=False),
            days_H=days_H.astype(np.int32, copy=False),
            sizes_H=counts[inverse_H].astype(np.int32),
            quantities_H=quantities_H.astype(np.float32, copy=False),
        )

    @classmethod
    def empty(cls) -> "History":
        return cls.sorted(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))

    @classmethod
    def from_names(
        cls, vocabulary: Vocabulary, items: list[str], days: list[int], quantities: list[float]
    ) -> "History":
        """Builds a history from item ids, as Feast's online store and the event log hold them."""
        return cls.of(vocabulary.encode(items), np.asarray(days, np.int32), np.asarray(quantities, np.float32))

    def before(self, day: int) -> "History":
        """What a request on ``day`` may see: the rows of earlier days."""
        end = int(np.searchsorted(self.days_H, day))
        if end == len(self):
            return self
        return History(
            items_H=self.items_H[:end],
            days_H=self.days_H[:end],
            sizes_H=self.sizes_H[:end],
            quantities_H=self.quantities_H[:end],
        )

    def with_events(self, items: Int32, days: Int32, quantities: Float32) -> "History":
        """The history with further events laid over it, such as today's."""
        return History.of(
            np.concatenate([self.items_H, items]),
            np.concatenate([self.days_H, days]),
            np.concatenate([self.quantities_H, quantities]),
        )


def history_of(log: PurchaseLog, user: int, *, before: int) -> History:
    """The history of the user with code ``user`` as a request on the day ``before`` may see it."""
    low, high = log.offsets_U1[user], log.offsets_U1[user + 1]
    high = low + int(np.searchsorted(log.day_R[low:high], before))
    return History.sorted(log.item_R[low:high], log.day_R[low:high], log.quantity_R[low:high])


def bought_on(log: PurchaseLog, user: int, *, day: int) -> Int32:
    """Items that the user with code ``user`` bought on a day, each once, by code: what a request of that day has to find."""
    low, high = log.offsets_U1[user], log.offsets_U1[user + 1]
    bought: Int32 = log.item_R[low:high][log.day_R[low:high] == day]
    return bought


def midnight(day: int) -> pl.Expr:
    """The moment from which on a statistic of all days before ``day`` may be used."""
    return pl.lit(day, pl.Int32).cast(pl.Date).cast(pl.Datetime("us", "UTC"))
