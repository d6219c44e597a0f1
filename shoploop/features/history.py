"""What one user bought, as arrays: the same object in training, cut at a request's day, and in the predictor.

Legend: H rows, one per visit and item.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from shoploop.features.distinct import distinct
from shoploop.features.log import Float32, Int32, PurchaseLog, Vocabulary


@dataclass(frozen=True, kw_only=True)
class History:
    """One user's purchases of vocabulary items, sorted by visit, then item code; an item counts once a day."""

    items_H: Int32
    """Vocabulary codes."""

    days_H: Int32
    """Days since 1970-01-01 (UTC)."""

    sizes_H: Int32
    """Different vocabulary items of the same visit: the size of the basket."""

    quantities_H: Float32
    """Pieces."""

    visits_H: Int32
    """The visit of each row by its number, from 0, the earliest: a day, or a moment of a day that is told apart."""

    def __len__(self) -> int:
        return len(self.items_H)

    @classmethod
    def of(cls, items: Int32, days: Int32, quantities: Float32, moments: Int32 | None = None) -> "History":
        """Builds a history from rows in any order: equal rows are merged, codes below 0 left out.

        Args:
            items, days, quantities: A row each.
            moments: Which moment of its day each row is of, where days are told apart further; of merged rows the first.
        """
        known = items >= 0
        items, days, quantities = items[known], days[known], quantities[known]
        moments = np.zeros(len(items), np.int32) if moments is None else moments[known]
        order = np.lexsort((moments, items, days))
        items, days, quantities, moments = items[order], days[order], quantities[order], moments[order]
        first = np.ones(len(items), bool)
        first[1:] = (items[1:] != items[:-1]) | (days[1:] != days[:-1])
        starts = np.flatnonzero(first)
        if len(starts):
            quantities = np.add.reduceat(quantities, starts)
        items, days, moments = items[starts], days[starts], moments[starts]
        if moments.any():
            order = np.lexsort((items, moments, days))
            items, days, quantities, moments = items[order], days[order], quantities[order], moments[order]
        return cls.sorted(items, days, quantities, moments)

    @classmethod
    def sorted(cls, items_H: Int32, days_H: Int32, quantities_H: Float32, moments_H: Int32 | None = None) -> "History":
        """Builds a history from rows that are merged, and sorted by day, moment and item already."""
        new_H = np.ones(len(days_H), bool)
        new_H[1:] = days_H[1:] != days_H[:-1]
        if moments_H is not None:
            new_H[1:] |= moments_H[1:] != moments_H[:-1]
        visits_H = np.cumsum(new_H) - 1
        return cls(
            items_H=items_H.astype(np.int32, copy=False),
            days_H=days_H.astype(np.int32, copy=False),
            sizes_H=np.bincount(visits_H)[visits_H].astype(np.int32) if len(visits_H) else np.empty(0, np.int32),
            quantities_H=quantities_H.astype(np.float32, copy=False),
            visits_H=visits_H.astype(np.int32),
        )

    @property
    def visits(self) -> int:
        """How many."""
        return int(self.visits_H[-1]) + 1 if len(self.visits_H) else 0

    @cached_property
    def since_H(self) -> Int32:
        """How many visits are later than each row's, (H,); not to be written to."""
        since_H: Int32 = self.visits - 1 - self.visits_H
        since_H.flags.writeable = False
        return since_H

    def last_visits(self, count: int) -> Int32:
        """The items of the last visits, each once, by code."""
        return distinct(self.items_H[self.since_H < count])

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
        if not len(self) or self.days_H[-1] < day:
            return self
        end = int(np.searchsorted(self.days_H, day))
        return History(
            items_H=self.items_H[:end],
            days_H=self.days_H[:end],
            sizes_H=self.sizes_H[:end],
            quantities_H=self.quantities_H[:end],
            visits_H=self.visits_H[:end],
        )

    def by_days(self) -> "History":
        """The same with every day as one visit, whatever moments of it were told apart."""
        return History.of(self.items_H, self.days_H, self.quantities_H)

    def with_events(self, items: Int32, days: Int32, quantities: Float32, moments: Int32 | None = None) -> "History":
        """The history, of whole days, with further events laid over it, such as today's.

        Args:
            items, days, quantities: An event each.
            moments: As :meth:`of`; what lies in the history comes before them.
        """
        before = np.zeros(len(self), np.int32)
        return History.of(
            np.concatenate([self.items_H, items]),
            np.concatenate([self.days_H, days]),
            np.concatenate([self.quantities_H, quantities]),
            None if moments is None else np.concatenate([before, moments]),
        )


def moments_of(days: Int32) -> Int32:
    """Moments of events in the order in which they came, where those of the last day are told apart and earlier days are
    not: as :func:`history_of` has them of who is in the middle of a visit."""
    return np.where(days == days.max(initial=0), np.arange(len(days)), 0).astype(np.int32)


def history_of(log: PurchaseLog, user: int, *, before: int, seen: int = 0) -> History:
    """The history of the user with code ``user`` as a request on the day ``before`` may see it.

    Args:
        log: The purchases.
        user: Code.
        before: Day of the request; the days before it are whole visits, as an online store has them.
        seen: Moments of that day which lie behind the request too, each a visit of its own.
    """
    low, high = log.offsets_U1[user], log.offsets_U1[user + 1]
    high = low + int(np.searchsorted(log.day_R[low:high], before))
    earlier = History.sorted(log.item_R[low:high], log.day_R[low:high], log.quantity_R[low:high])
    if not seen:
        return earlier
    now = high + np.flatnonzero(log.day_R[high : log.offsets_U1[user + 1]] == before)
    now = now[log.moment_R[now] < seen]
    return earlier.with_events(log.item_R[now], log.day_R[now], log.quantity_R[now], log.moment_R[now])


def bought_on(log: PurchaseLog, user: int, *, day: int, seen: int = 0) -> Int32:
    """Items that the user with code ``user`` bought on a day after its first ``seen`` moments, each once, by code: what a
    request of that day has to find."""
    low, high = log.offsets_U1[user], log.offsets_U1[user + 1]
    of_day = log.day_R[low:high] == day
    if seen:
        of_day &= log.moment_R[low:high] >= seen
    bought: Int32 = log.item_R[low:high][of_day]
    return bought


def midnight(day: int) -> pl.Expr:
    """The moment from which on a statistic of all days before ``day`` may be used."""
    return pl.lit(day, pl.Int32).cast(pl.Date).cast(pl.Datetime("us", "UTC"))
