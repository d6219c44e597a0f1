"""Of several columns of times the one that says when something was done; it must not know what else a column may mean."""

from collections.abc import Mapping, Sequence

import polars as pl

from shoploop.data import times
from shoploop.data.column import SAMPLE_ROWS, Column
from shoploop.data.dependence import follows
from shoploop.data.proposals import Proposal

GAPS = 0.05
"""When something was done is known of all but this share of rows."""


def likeliest_time(columns: Sequence[Column], found: Mapping[str, Proposal], worth: Mapping[str, float]) -> Proposal:
    """Of several times the one that hardly ever lacks, follows from no item and no user, and grows down the file.

    A date of the item itself, or a birthday, is none of when something was done.
    """
    proposed = found["time"]
    if len(worth) < 2:
        return proposed
    by_name = {column.name: column for column in columns}
    ids = [by_name[found[role].columns[0]].values for role in ("item", "user") if role in found]

    def rank(name: str) -> tuple[bool, float, float]:
        values = by_name[name].values
        strays = values.null_count() > GAPS * values.len() or any(follows(values, one) for one in ids)
        return strays, -worth[name], -_order(by_name[name])

    best = min(worth, key=rank)  # of equals the first
    others = sorted(name for name in worth if name != best and worth[name] >= worth[best])
    if proposed.columns == (best,):
        return proposed
    doubt = f"; so may {' and '.join(others)}" if others else ""
    return Proposal(columns=(best,), sure=False, why=f"by what it holds{doubt}")


def with_its_clock(columns: Sequence[Column], proposed: Proposal, worth: Mapping[str, float]) -> Proposal:
    """Of a column of days the one beside it that says the same days and at what time of them, where there is one.

    It may lie in another zone: a day aside is the same.
    """
    by_name = {column.name: column for column in columns}

    def some_times(name: str) -> pl.Series:
        values = by_name[name].values
        return _read_times(by_name[name], values.gather_every(max(1, values.len() // SAMPLE_ROWS)))

    days = some_times(proposed.columns[0])
    if (days.dt.truncate("1d") != days).any():
        return proposed
    for name in sorted((name for name in worth if name not in proposed.columns), key=lambda name: -worth[name]):
        moments = some_times(name)
        apart = (moments.dt.truncate("1d") - days).dt.total_days().abs()
        if (moments.dt.truncate("1d") != moments).any() and (apart <= 1).sum() >= (1 - GAPS) * days.len():
            only = set(worth) <= {name, *proposed.columns}
            why = f"it says at what time of the day in {proposed.columns[0]}"
            return Proposal(columns=(name,), sure=proposed.sure or only, why=why)
    return proposed


def _order(column: Column) -> float:
    """The share of steps down the file that go one way in time, in tenths: 1 of a log as it was written, .5 of any other."""
    steps = _read_times(column, column.sample).drop_nulls().diff().dt.total_seconds().drop_nulls()
    up, down = int((steps > 0).sum()), int((steps < 0).sum())
    return round(max(up, down) / (up + down), 1) if up + down else 0.5


def _read_times(column: Column, values: pl.Series) -> pl.Series:
    """Values of a column that holds times in one way or another."""
    pattern = None if column.clock else times.EXCEL if column.sheet_days else column.patterns[0]
    return times.parse(values, time_format=pattern, zone="UTC", where=column.name).times
