"""Where a log begins and ends, by where its events lie and not by the first and the last of them.

One row with a wrong date must decide neither which day is answered for nor what sells now. Whatever asks for the first or the
last day of a log asks here; :func:`read_interactions` leaves out what lies outside, and says what it was.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

FEWEST_EVENTS = 20
"""Of fewer nothing can be told: their ends are the first and the last one."""

STRAY_SHARE = 0.005
"""At most this share of the events, but always one, may lie outside at either end."""

THIN, THIN_BEFORE = 0.05, 0.001
"""A stretch of days is outside where it holds less than this share of the events that as many usual days hold. Shops begin
slowly: before the first day only what is next to nothing is outside."""

LEAST_DAYS, LEAST_DAYS_BEFORE = 7, 30
"""Fewer days than that are never outside: they move nothing that matters."""

EXAMPLES = 3

Days = npt.NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Span:
    """Days since 1970-01-01 (UTC), both included."""

    first: int
    last: int


def ends_of(days: Days) -> Span:
    """The first and the last day of a log, strays aside.

    Args:
        days: A day for each event, in any order; at least one.
    """
    day, events = np.unique(np.asarray(days, np.int64), return_counts=True)
    total = int(events.sum())
    if total < FEWEST_EVENTS:
        return Span(first=int(day[0]), last=int(day[-1]))
    lower, upper = np.quantile(np.repeat(day, events), [0.25, 0.75], method="inverted_cdf")
    usual = 0.5 * total / (int(upper) - int(lower) + 1)
    most = max(1, int(STRAY_SHARE * total))
    last = _inside(day, events, enough=THIN * usual, least=LEAST_DAYS, most=most)
    first = -_inside(-day[::-1], events[::-1], enough=THIN_BEFORE * usual, least=LEAST_DAYS_BEFORE, most=most)
    return Span(first=first, last=last)


def _inside(day: Days, events: Days, *, enough: float, least: int, most: int) -> int:
    """The last day before thin stretches begin that hold ``most`` events together at most."""
    place, outside = len(day) - 1, 0
    while place > 0 and outside + events[place] <= most:
        if events[place] >= enough * (day[place] - day[place - 1]):
            break
        outside += events[place]
        place -= 1
    return int(day[place] if day[-1] - day[place] > least else day[-1])


@dataclass(frozen=True, kw_only=True)
class Outside:
    """Rows that lie before or after all others."""

    span: Span
    before: int
    after: int
    examples: tuple[str, ...]
    """The farthest, as a person would look for them."""

    def report(self) -> dict[str, Any]:
        """As reports of steps hold it."""
        said: dict[str, Any] = {
            "rows": self.before + self.after,
            "first_day": _date(self.span.first).isoformat(),
            "last_day": _date(self.span.last).isoformat(),
        }
        if self.before + self.after:
            said["why"] = (
                f"{self.before + self.after:,} rows lie far before {_date(self.span.first)} or after "
                f"{_date(self.span.last)}, between which nearly all others lie; most likely their dates are wrong. They "
                f"were left out: {'; '.join(self.examples)}."
            )
        return said


def read_interactions(data: Path, columns: list[str] | None = None) -> tuple[pl.DataFrame, Outside]:
    """The canonical interactions between the log's ends.

    Args:
        data: Folder of ``load_data``.
        columns: Those wanted; ``time`` must be among them. None reads all.
    """
    return within_ends(pl.read_parquet(data / "interactions.parquet", columns=columns))


def within_ends(interactions: pl.DataFrame) -> tuple[pl.DataFrame, Outside]:
    """The rows between the log's ends, and what lies outside."""
    day = pl.col("time").dt.epoch("d")
    days = interactions.select(day).to_series().to_numpy()
    span = ends_of(days)
    before, after = int((days < span.first).sum()), int((days > span.last).sum())
    if not before + after:
        return interactions, Outside(span=span, before=0, after=0, examples=())
    strays = interactions.filter(~day.is_between(span.first, span.last))
    farthest = strays.sort((day - (span.first + span.last) // 2).abs(), descending=True).head(EXAMPLES)
    ids = [name for name in ("user", "item") if name in strays.columns]
    named = tuple(
        ", ".join([*(f"{name} {row[name]!r}" for name in ids), f"{row['time']:%Y-%m-%d}"])
        for row in farthest.iter_rows(named=True)
    )
    kept = interactions.filter(day.is_between(span.first, span.last))
    return kept, Outside(span=span, before=before, after=after, examples=named)


def _date(day: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date()
