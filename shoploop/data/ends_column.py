"""Of a table of items the column that says until when each can be bought: called so, and later than the items are first seen.

An end that is none would take items out of every list, so what leaves a doubt is asked or told, and never taken silently.
"""

from collections.abc import Sequence

import polars as pl

from shoploop.data import ends, times
from shoploop.data.column import Column
from shoploop.data.ids import text_of
from shoploop.data.proposals import Guess, Proposal

SEEN_BEFORE = 0.5
"""Of the items that the log names, so many at least were first seen before an end that they have; fewer, and it is a date
of something else."""


def propose_ends(guess: Guess, columns: Sequence[Column], events: Guess) -> None:
    """Proposes the column in ``found`` where nothing speaks against it, else as ``perhaps_ends``.

    Args:
        guess: The table of items, with what its other columns are.
        columns: All of its columns.
        events: The log that names the items.
    """
    unread = set(guess.unread)
    called = [c for c in columns if c.name in unread and not c.nested and ends.is_named_so(c)]
    called = called or [c for c in columns if c.name in unread and not c.nested and ends.is_named_as_a_day(c)]
    read = {c.name: found for c in called if (found := ends.readings(c.values))}
    seen = _seen(events)
    late: dict[str, float] = {}
    why: dict[str, str] = {}
    gone: set[str] = set()
    for name, found in read.items():
        days = _days(guess, next(iter(found.values())))
        known = days.join(seen.group_by("item").agg(first=pl.col("time").min().dt.date()), on="item")
        before = known.filter(pl.col("first") <= pl.col("end")).height / max(known.height, 1)
        if known.height and before < SEEN_BEFORE:
            continue
        late[name] = ends.share_after(days, seen) if known.height else 1.0
        why[name] = f"by its name; {before:.0%} of the items that the log names were seen before it"
        if not known.height:
            why[name] = "by its name; the log says nothing of when items that have it were there"
        elif late[name] > ends.AFTER_THE_END:
            why[name] += f", but {late[name]:.0%} of what people did came after it"
        elif _all_ended(guess, days, seen):
            gone.add(name)
            why[name] += ", but every item has ended before the log's last day, and lists would be empty"
    if not late:
        return
    best = min(late, key=lambda name: late[name])  # of equals the first
    others = [name for name in late if name != best]
    doubt = f"; so may {' and '.join(others)}" if others else ""
    if len(read[best]) > 1:
        doubt += "; its days and months can be read in two ways"
    if not ends.is_named_so(Column(guess.table[best])):
        doubt += "; it may be the day on which it takes place"
    sure = late[best] <= ends.AFTER_THE_END and best not in gone and not doubt
    proposal = Proposal(columns=(best,), sure=sure, why=why[best] + doubt)
    if sure:
        guess.found["ends"] = proposal
    else:
        guess.perhaps_ends = proposal


def _days(guess: Guess, read: pl.Series) -> pl.DataFrame:
    """``item`` and the last day of each that has one."""
    rows = pl.DataFrame({"item": text_of(guess.table[guess.found["item"].columns[0]]), "end": read.dt.date()})
    return rows.unique("item", keep="last", maintain_order=True).drop_nulls()


def _all_ended(guess: Guess, days: pl.DataFrame, seen: pl.DataFrame) -> bool:
    items = text_of(guess.table[guess.found["item"].columns[0]]).drop_nulls().n_unique()
    last = seen.select(pl.col("time").max().dt.date()).item()
    return days.filter(pl.col("end") < last).height == items


def _seen(events: Guess) -> pl.DataFrame:
    """``item`` and ``time`` of a log; no rows where it does not say these yet."""
    if not {"item", "time"} <= set(events.found) or events.time_advice:
        return pl.DataFrame(schema={"item": pl.String, "time": pl.Datetime("us", "UTC")})
    item, time = (events.table[events.found[role].columns[0]] for role in ("item", "time"))
    read = times.parse(time, time_format=events.time_format, zone="UTC", where=time.name).times
    return pl.DataFrame({"item": text_of(item), "time": read}).drop_nulls()
