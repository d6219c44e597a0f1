"""The column of a table of items that says until when each can be bought: told by its name, and by when it was."""

import polars as pl

from shoploop.data import times
from shoploop.data.column import Column
from shoploop.data.column_names import DAYS_OF_EVENTS, ENDS, ENDS_BEGIN, ENDS_CLOSE, ENDS_HOLD, OF_PRICES
from shoploop.errors import SchemaMismatch

AFTER_THE_END = 0.2
"""Where more of what people did than this came after the end that a column names, it is an end of something else."""

_NEVER = r"\b(?:2999|[3-9]\d{3})\b"
"""A year that stands for no end, as of 31.12.9999."""


def is_named_so(column: Column) -> bool:
    """Whether a name says an end, and not that of a price."""
    tokens = set(column.tokens)
    if tokens & OF_PRICES:
        return False
    begins = any(token.startswith(ENDS_BEGIN) for token in tokens)
    holds = any(word in column.word for word in ENDS_HOLD)
    return bool(tokens & ENDS) or begins or holds or column.word.endswith(ENDS_CLOSE)


def is_named_as_a_day(column: Column) -> bool:
    """Whether a name says the day on which something takes place, as of tickets; there may be others that do."""
    return column.word in DAYS_OF_EVENTS


def without_never(ends: pl.Series) -> pl.Series:
    """Ends without the words and the years by which programs say that there is none."""
    if ends.dtype.is_temporal():
        never = ends.dt.year() >= 2999
    elif ends.dtype == pl.String:
        never = ends.str.strip_chars().str.to_lowercase().is_in(times.NOTHING) | ends.str.contains(_NEVER)
    else:
        return ends
    return ends.set(never.fill_null(False), None)


def readings(values: pl.Series) -> dict[str | None, pl.Series]:
    """The column as times, in each way in which it can be read: by the pattern, or None where it needs none."""
    text = without_never(values)
    held = Column(text)
    patterns: list[str | None] = [None] if held.clock else [*held.patterns]
    found: dict[str | None, pl.Series] = {}
    for pattern in patterns:
        try:
            read = times.parse(text, time_format=pattern, zone="UTC", where=held.name).times
        except SchemaMismatch:  # dates such as 01/02/2025 among those that say which is the day
            return {}
        if not any(read.equals(other) for other in found.values()):
            found[pattern] = read
    return found


def share_after(days: pl.DataFrame, events: pl.DataFrame) -> float:
    """The share of what people did that they did after the item's end.

    Args:
        days: ``item`` and the day of its ``end``, null where it stays.
        events: ``item`` and ``time``.
    """
    done = events.select("item", "time").join(days.drop_nulls(), on="item")
    return done.filter(pl.col("time").dt.date() > pl.col("end")).height / max(done.height, 1)
