"""Statistics of one day at a time, read a few days at once: how many days a run asks for does not decide its memory."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Value = TypeVar("Value")

ROWS_AT_ONCE = 400_000
"""Rows of statistics that are read together: a join of so many takes a few hundred megabytes."""

ROWS_KEPT = 1_200_000
"""Rows that are kept for the next split, which asks for the same days again; as arrays they are sixty megabytes."""


class ByDay(Generic[Value]):
    """What is known as of each of some days; cheapest where days are asked for in rising order."""

    def __init__(
        self,
        read: Callable[[Sequence[int]], dict[int, Value]],
        days: Sequence[int],
        *,
        rows_a_day: int,
        rows_at_once: int = ROWS_AT_ONCE,
        rows_kept: int = ROWS_KEPT,
    ):
        """
        Args:
            read: Reads the values of some of the days.
            days: Ascending; all that will be asked for.
            rows_a_day: What a day's value holds.
        """
        self._read, self._days = read, list(days)
        self._at_once = max(rows_at_once // max(rows_a_day, 1), 1)
        self._most = max(rows_kept // max(rows_a_day, 1), self._at_once)
        self._place = {day: place for place, day in enumerate(self._days)}
        self._kept: dict[int, Value] = {}

    def __call__(self, day: int) -> Value:
        if day not in self._kept:
            start = self._place[day] // self._at_once * self._at_once
            wanted = self._days[start : start + self._at_once]
            while self._kept and len(self._kept) + len(wanted) > self._most:
                del self._kept[next(iter(self._kept))]  # the one that was read first
            self._kept |= self._read(wanted)
        return self._kept[day]
