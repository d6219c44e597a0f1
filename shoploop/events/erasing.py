"""One user's events leave the log and what was compacted of it, so that nobody reads, replays or learns from them again.

What was learned before is in numbers that belong to nobody alone: it stays there. :func:`erase_user` tells where the log held
something of theirs first, by which versions and chains that may have learned of it are found.

An erasure wins over a compaction that is under way: what that has read of the user never counts, or is taken out again. Of
two at once each takes out what the other has left. What was replayed of dead letters goes, too, and the log itself takes
nothing from a replay that is under way whose first record was erased.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from shoploop.errors import AlreadyExists
from shoploop.events.compaction import ATTEMPTS, check_same, cuts, erase_collected
from shoploop.events.log import EventLog
from shoploop.store import Log, Store, layout

READ_AT_ONCE = 10_000


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What was taken away."""

    records: int
    """Of the event log: what they did, and what they were shown."""

    interactions: int
    """Rows of the collected files."""

    first: int | None
    """Offset of their first record in the log; None where there was none."""

    last: int | None
    """Of their last one."""

    first_cut: int | None
    """Number of the first compaction that held something of theirs; None where none did."""

    unread: int
    """Records of the log that cannot be read, so that nobody knows whose they are."""

    leftovers: str | None
    """Where bytes of erased records stay, and until when; None where they stay nowhere."""


def erase_user(log: EventLog, store: Store, name: str, user: str, *, by: str) -> Erased:
    """Takes all of a user's records away; durable on return. Killed amid it, or told that the log is away: do it again.

    Nothing is taken out of a log that is plainly another than the one that was compacted.

    Args:
        log: Where the events lie.
        store: Where collected files lie.
        name: Of the recommender.
        user: Who; an id as it lies in the log.
        by: Who does it.

    Raises:
        LogReplaced: the log is not the one that was compacted.
        LogUnavailable: the log does not answer.
        AlreadyExists: others compact or erase at the same time, again and again.
    """
    if known := cuts(store, name):
        check_same(log, store, name, known[-1])
    gone: list[int] = []
    while True:  # they may be shopping
        found, unread = _records_of(log, user)
        if not found:
            break
        _note(store, name, found, by=by)  # first: a log that misses its last compacted record is known by it
        log.erase(found)
        gone += found
    collected = erase_collected(store, name, user)
    return Erased(
        records=len(gone),
        interactions=collected.rows,
        first=min(gone, default=None),
        last=max(gone, default=None),
        first_cut=collected.first_cut,
        unread=unread,
        leftovers=log.leftovers if gone else None,
    )


def _records_of(log: EventLog, user: str) -> tuple[list[int], int]:
    """Offsets of a user's records, and how many cannot be read."""
    found, unread, offset = list[int](), 0, log.begin()
    while records := log.read(offset, limit=READ_AT_ONCE):
        for record in records:
            try:
                document = json.loads(record.body)
            except (ValueError, RecursionError):
                unread += 1
                continue
            if isinstance(document, dict) and user in (document.get("user"), _user_of(document.get("event"))):
                found.append(record.offset)
        offset = records[-1].offset
    return found, unread


def _user_of(event: object) -> object:
    """Of the event that a replayed dead letter holds."""
    return event.get("user") if isinstance(event, dict) else None


def _note(store: Store, name: str, offsets: list[int], *, by: str) -> None:
    """Writes down which records go, and not whose they are."""
    log = Log(store, layout.erased(name))
    entry = {"offsets": offsets, "by": by, "time": datetime.now(UTC).isoformat(timespec="seconds")}
    for _ in range(ATTEMPTS):
        known = log.entries()
        try:
            log.append(entry, after=int(known[-1]["number"]) if known else 0)
        except AlreadyExists:
            continue
        return
    raise AlreadyExists(f"Records of {name!r} are erased by others, too, again and again. Do it again.")
