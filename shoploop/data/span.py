"""Where a log begins and ends, by where its rows are and not by the first and the last of them.

One row with a wrong date must not decide which day is answered for. Other rooms may ask :func:`ends_of`; after
loading, the canonical interactions hold no row outside.
"""

from dataclasses import dataclass

import polars as pl

FEWEST_ROWS = 20
"""Of a log of fewer rows nothing can be told; its ends are its first and last row."""

STRAY_SHARE = 0.01
"""At most this share of all rows (but always one) may be cut off at either end."""

THIN = 0.05
"""The end is cut off where it holds less than this share of the rows that as many usual days hold."""

THIN_BEFORE = 0.001
"""The same of the beginning: shops grow slowly, so only what is next to nothing is cut off."""

LEAST_DAYS, LEAST_DAYS_BEFORE = 7, 30
"""An end, or a beginning, of fewer days is left as it is: it moves nothing by more than that."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """Days since 1970-01-01 (UTC), both included."""

    first: int
    last: int

    @property
    def days(self) -> int:
        return self.last - self.first + 1


def ends_of(days: pl.Series) -> Span:
    """The first and the last day of a log, strays aside.

    A tail of at most a hundredth of the rows that lasts longer than a week and is twenty times thinner than the rest is
    none of the log; nor is a beginning that lasts longer than a month and is a thousand times thinner.

    Args:
        days: A day for each row, as whole numbers; at least one that is not null.
    """
    counts = days.drop_nulls().cast(pl.Int64).rename("day").value_counts().sort("day")
    day, rows = counts["day"].to_list(), counts["count"].to_list()
    total = sum(rows)
    if total < FEWEST_ROWS:
        return Span(first=day[0], last=day[-1])
    limit = max(1, int(total * STRAY_SHARE))
    first, last = _rarest(rows, limit), len(day) - 1 - _rarest(rows[::-1], limit)
    if first > last:
        return Span(first=day[0], last=day[-1])
    usual = sum(rows[first : last + 1]) / (day[last] - day[first] + 1)
    end = _grown(day[last:], rows[last:], enough=THIN * usual, least=LEAST_DAYS)
    back = [-d for d in day[first::-1]]
    begin = _grown(back, rows[first::-1], enough=THIN_BEFORE * usual, least=LEAST_DAYS_BEFORE)
    return Span(first=-begin, last=end)


def _rarest(rows: list[int], limit: int) -> int:
    """How many of the first days hold ``limit`` rows together at most; never all."""
    seen = 0
    for place, count in enumerate(rows[:-1]):
        seen += count
        if seen > limit:
            return place
    return len(rows) - 1


def _grown(day: list[int], rows: list[int], *, enough: float, least: int) -> int:
    """The last day that is joined to the first one given by stretches of ``enough`` rows a day."""
    last, seen = 0, 0
    for place in range(1, len(day)):
        seen += rows[place]
        if seen >= enough * (day[place] - day[last]):
            last, seen = place, 0
    return day[-1] if day[-1] - day[last] <= least else day[last]
