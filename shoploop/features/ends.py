"""The interactions between the ends of their log, and what lies outside.

One row with a wrong date must decide neither which day is answered for nor what sells now. Where a log ends is
:func:`shoploop.data.span.ends_of`'s to say; loading has left out what lies far outside and said so, and here
nothing is left to find. Tables that were made elsewhere, or loaded by an older version, are held to the same rule. Where
loading has added what was collected it has written down the days that all of it spans, and they hold: which rows were a
server's own and which a table's cannot be seen any more.
"""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from shoploop.data.span import Span, ends_of

EXAMPLES = 3


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
        report: dict[str, Any] = {
            "rows": self.before + self.after,
            "first_day": _date(self.span.first).isoformat(),
            "last_day": _date(self.span.last).isoformat(),
        }
        if self.before + self.after:
            report["why"] = (
                f"{self.before + self.after:,} rows lie far before {_date(self.span.first)} or after "
                f"{_date(self.span.last)}, between which nearly all others lie; most likely their dates are wrong. They "
                f"were left out: {'; '.join(self.examples)}."
            )
        return report


def read_interactions(data: Path, columns: list[str] | None = None) -> tuple[pl.DataFrame, Outside]:
    """The canonical interactions between the log's ends.

    Args:
        data: Folder of ``load_data``.
        columns: Those wanted; ``time`` must be among them. None reads all.
    """
    return within_ends(pl.read_parquet(data / "interactions.parquet", columns=columns), _span_of(data))


def _span_of(data: Path) -> Span | None:
    report = data / "load.json"
    span = json.loads(report.read_text()).get("span") if report.exists() else None
    return None if span is None else Span(**span)


def within_ends(interactions: pl.DataFrame, span: Span | None = None) -> tuple[pl.DataFrame, Outside]:
    """The rows between the log's ends, and what lies outside.

    Args:
        interactions: With ``time``.
        span: The ends as loading has found them; None where the rows themselves say them. Of rows that were cut since, what
            is left of them.
    """
    day = pl.col("time").dt.epoch("d")
    days = interactions.select(day).to_series()
    if span is None or days.is_empty():
        span = ends_of(days)
    else:
        inside = days.filter(days.is_between(span.first, span.last)).to_numpy()
        span = Span(first=int(inside.min()), last=int(inside.max())) if len(inside) else span
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
