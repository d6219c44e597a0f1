"""One user's events leave the log and what was compacted of it, so that nobody reads, replays or learns from them again.

What was learned before is in numbers that belong to nobody alone: it stays there. :func:`erase_user` tells where the log held
something of theirs first, by which versions and chains that may have learned of it are found.

An erasure wins over a compaction that is under way: what that has read of the user never counts, or is taken out again. Of
two at once each takes out what the other has left. What was replayed of dead letters goes, too, and the log itself takes
nothing from a replay that is under way whose first record was erased.

Processes that run hold what they read: a message in the log tells all of them which records to forget, before these go, and
not whose they are.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from shoploop.data.ids import canonical_id
from shoploop.errors import AlreadyExists
from shoploop.events.cuts import ATTEMPTS, check_same, cuts
from shoploop.events.erasing_collected import erase_collected
from shoploop.events.log import Entry, EventLog, LogFull
from shoploop.events.messages import Forgotten, mark_of_request, to_json
from shoploop.store import Log, Store, layout

READ_AT_ONCE = 10_000
TOLD_AT_ONCE = 1_000
"""Records that a message has forgotten: no log takes a much longer one."""


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
        _note(store, name, [*found], by=by)  # first: a log that misses its last compacted record is known by it
        try:
            _have_forgotten(log, found)  # before they go: one that is killed behind it begins with what is left
            log.erase([*found])
        except LogFull:  # there is room where they were
            log.erase([*found])
            _have_forgotten(log, found)
        gone += found
    collected = erase_collected(store, name, user)
    for version in store.folders(layout.all_online(name)):  # what its learner remembers, it reads again in the log
        for key in store.list(f"{layout.online_windows(name, version)}/"):
            store.delete(key)
    return Erased(
        records=len(gone),
        interactions=collected.rows,
        first=min(gone, default=None),
        last=max(gone, default=None),
        first_cut=collected.first_cut,
        unread=unread,
        leftovers=log.leftovers if gone else None,
    )


def _records_of(log: EventLog, user: str) -> tuple[dict[int, str | None], int]:
    """A user's records: by offset, the mark of the request where it is an answer; and how many cannot be read."""
    found, unread, offset = dict[int, str | None](), 0, log.begin()
    while records := log.read(offset, limit=READ_AT_ONCE):
        for record in records:
            try:
                document = json.loads(record.body)
            except (ValueError, RecursionError):
                unread += 1
                continue
            if isinstance(document, dict) and user in (_user_of(document), _user_of(document.get("event"))):
                request = document.get("request_id") if document.get("type") == "impression" else None
                found[record.offset] = mark_of_request(request) if isinstance(request, str) else None
        offset = records[-1].offset
    return found, unread


def _user_of(message: object) -> object:
    """As ids are compared, whoever wrote the record: of a message, or of the event that a replayed dead letter holds."""
    user = message.get("user") if isinstance(message, dict) else None
    try:
        return canonical_id(user)
    except ValueError:  # a number that is no id
        return None


def _have_forgotten(log: EventLog, records: dict[int, str | None]) -> None:
    """Tells all who follow the log to forget these records."""
    offsets = list(records)
    parts = [offsets[first : first + TOLD_AT_ONCE] for first in range(0, len(offsets), TOLD_AT_ONCE)]
    told = [Forgotten(offsets=part, requests=[each for at in part if (each := records[at])]) for part in parts]
    log.append([Entry(f"forgotten:{uuid.uuid4().hex}", to_json(each)) for each in told])


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
