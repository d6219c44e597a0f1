"""Records that nothing was learned from, though something should have been: found anew from the log, and replayed.

What is replayed is an entry of its own, which only learners read: others have counted the event where it first lay. It holds
the answer that it is about, so that a learner that reads it needs to have seen nothing else.
"""

from collections.abc import Collection
from dataclasses import dataclass

from shoploop.events.log import BEGINNING, Entry, EventLog
from shoploop.events.messages import Again, Kept, Shown, from_json, to_json
from shoploop.online.joiner import LATENESS, WINDOWS, DeadLetter, Joiner
from shoploop.online.recall import recall
from shoploop.schemas import POSITIVE_KINDS

APPENDED = 500


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What became of dead letters."""

    replayed: tuple[int, ...]
    """Offsets of those that are in the log once more."""

    left: tuple[int, ...]
    """Offsets of those that nothing can be learned from now, either; or that were erased meanwhile."""


def dead_letters(log: EventLog, *, after: int, failed: Collection[int] = ()) -> list[DeadLetter]:
    """What nothing could be learned from, in the order in which that was found, joined anew from the log; without those that
    were replayed since.

    Args:
        log: What shoppers did.
        after: Offset of the last record that the version was trained on.
        failed: Offsets of records that the learner failed at, as the chain tells: the log does not show it.

    Raises:
        LogUnavailable: the log does not answer.
    """
    joiner, offset, again = Joiner(start=after), after, set[int]()
    found: list[DeadLetter] = []
    recall(log, joiner, start=after)
    while records := log.read(offset):
        for record in records:
            if message := joiner.read(record):
                joiner.take(record.offset, message)
            if message and record.offset in failed:
                joiner.bury(record.offset, "failed", record.body)
            if isinstance(message, Again):
                again.add(message.of)
        found += joiner.dead
        joiner.dead.clear()
        offset = records[-1].offset
    return [letter for letter in found if letter.offset not in again]


def replay(log: EventLog, letters: list[DeadLetter]) -> Replayed:
    """Appends those that can be learned from now: whose answer is in the log, though it came too late, or which came too late
    themselves and say that they happened in time; and those that the learner failed at, which a newer one may not. To do it
    again changes nothing. What was erased since the letters were read does not come back.

    Raises:
        LogUnavailable: the log does not answer; do it again.
    """
    events = {letter.offset: event for letter in letters if (event := _event(letter)) is not None}
    failed = {letter.offset for letter in letters if letter.reason == "failed"}
    answers = _answers(log, {event.request_id for event in events.values() if event.source == "attributed"})
    entries = []
    for offset, event in events.items():
        shown, items, searched = answers.get(event.request_id), list[str](), True  # chosen from no list
        if event.source == "attributed" and shown is not None and _is_of(event, shown):
            items, searched = shown.items, shown.surface == "search"
        elif event.kind not in POSITIVE_KINDS:
            continue
        again = Again(of=offset, event=event, items=items, searched=searched, failed=offset in failed)
        entries.append(Entry(f"again:{offset}", to_json(again), of=offset))
    replayed = list[int]()
    for first in range(0, len(entries), APPENDED):
        part = entries[first : first + APPENDED]
        written = zip(part, log.append(part), strict=True)
        replayed += [entry.of for entry, at in written if entry.of is not None and at != BEGINNING]
    left = sorted({letter.offset for letter in letters} - set(replayed))
    return Replayed(replayed=tuple(replayed), left=tuple(left))


def _is_of(event: Kept, shown: Shown) -> bool:
    """Whether it is feedback on that answer, and in time."""
    return event.item in shown.items and event.time - shown.time <= WINDOWS[event.kind] + LATENESS


def _event(letter: DeadLetter) -> Kept | None:
    """Of a dead letter that may be learned from some day."""
    if letter.reason not in ("no_impression", "late", "failed"):
        return None
    message = from_json(letter.body.encode())
    if isinstance(message, Again):
        message = message.event
    return message if isinstance(message, Kept) and message.kind in WINDOWS else None


def _answers(log: EventLog, wanted: set[str | None]) -> dict[str | None, Shown]:
    """Those that are still in the log, by request."""
    found: dict[str | None, Shown] = {}
    offset = log.begin()
    while wanted and (records := log.read(offset)):
        for record in records:
            try:
                message = from_json(record.body)
            except ValueError:
                continue
            if isinstance(message, Shown) and message.request_id in wanted:
                found[message.request_id] = message
        offset = records[-1].offset
    return found
