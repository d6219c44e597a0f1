"""Joins what was shown with what became of it: records of the event log in, examples to learn from out.

It is a function of the records in their order, and of nothing else: no clock, no chance. So it needs no memory of its own:
who starts again reads the records again, and it is where it was. Time is what most records say (the watermark), so a log that
nobody writes to stands still.

A purchase counts whatever became of its answer: it was shown, which its signature has proved where it came in, and it was
wanted. Where its answer is not known, or was too long ago, it is learned as one from plain browsing is.
"""

import json
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from shoploop.events.fresh import Table
from shoploop.events.log import BEGINNING, Record
from shoploop.events.messages import Kept, Kind, Message, Shown, from_json
from shoploop.events.names import Names
from shoploop.schemas import POSITIVE_KINDS

WINDOWS: dict[Kind, timedelta] = {
    "click": timedelta(hours=1),
    "cart": timedelta(days=1),
    "purchase": timedelta(days=7),
}
"""How long after an answer what is done counts as done because of it."""

LATENESS = timedelta(seconds=60)
"""Between the clocks of two predictors, and for an impression that is written after the click on it."""

CLOSED = max(WINDOWS.values()) + LATENESS
"""After as long no feedback can be joined to an answer."""

VOTES = 101
"""The log's own time is the median of the times of as many of its last records: one clock, or one liar, does not move it."""

FEWEST_VOTES = 11
"""Before as many records nothing is closed: the median of a few is soon that of a clock that is wrong."""

AHEAD = timedelta(days=1)
"""Where the median of as many times as VOTES is farther behind the log's own time, that was of clocks that were ahead."""

SHOWN_AT_ONCE = 200_000
"""Answers that wait for what becomes of them; beyond, the oldest count as done: of a hundred a second half an hour's. A click
that comes later is a dead letter, a purchase one that was chosen from no list."""

ORPHANS_AT_ONCE = 50_000
"""Events that wait for their answer; beyond, the oldest wait no longer. They wait for seconds by the log's own time, which
stands still where all of a flood has one time."""

Reason = Literal["no_impression", "late", "not_shown", "unreadable", "failed"]


class Example(NamedTuple):
    """One thing that was wanted, and what it was chosen from."""

    offset: int
    """Of the event in the log."""

    user: str
    time: datetime
    chosen: str
    among: tuple[str, ...] | None
    """What was shown with it, itself too; None where it was not chosen from a list."""


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A record that nothing is learned from, though it should have been."""

    offset: int
    reason: Reason
    body: str
    """As it lies in the log."""


@dataclass(slots=True)
class _Open:
    """An answer that waits for feedback."""

    time: datetime
    items: tuple[str, ...]
    searched: bool
    """It answers a query: what was not taken of it is not what the user does not want, but what the words did not mean."""


@dataclass(slots=True)
class _Orphans:
    """Feedback that came before its answer."""

    time: datetime
    events: list[tuple[int, Kept]] = field(default_factory=list)


class Joiner:
    """The open window."""

    def __init__(
        self,
        *,
        start: int = BEGINNING,
        shown_at_once: int = SHOWN_AT_ONCE,
        orphans_at_once: int = ORPHANS_AT_ONCE,
    ):
        """
        Args:
            start: Offset of the last record before those that are taken.
            shown_at_once: See :data:`SHOWN_AT_ONCE`.
            orphans_at_once: See :data:`ORPHANS_AT_ONCE`.
        """
        self.dead: list[DeadLetter] = []
        """Whoever counts or shows them takes them away."""

        self._start = start
        self._shown_at_once = shown_at_once
        self._orphans_at_once = orphans_at_once
        self._waiting_orphans = 0
        self._items = Names()
        self._open: dict[str, _Open] = {}
        self._opened: deque[str] = deque()
        """The same requests, the oldest first: an answer is only ever closed after all before it, and a table that knows its
        order itself would cost each of many answers a hundred bytes."""

        self._orphans: OrderedDict[str, _Orphans] = OrderedDict()
        self._watermark: datetime | None = None
        self._times: deque[datetime] = deque()
        self._sorted_times: list[datetime] = []

    @property
    def watermark(self) -> datetime | None:
        """The log's own time; None before its first record. It goes back among the first records and where it was wrong."""
        return self._watermark

    @property
    def waiting(self) -> int:
        """Answers that wait for feedback."""
        return len(self._open)

    def read(self, record: Record) -> Message | None:
        """What a record of the log says; one that is none of ours is a dead letter."""
        try:
            return from_json(record.body)
        except ValueError:
            self.bury(record.offset, "unreadable", record.body)
            return None

    def recall(self, message: Shown) -> None:
        """Knows an answer from before the records that are taken: what is done because of it may come among them. It moves no
        time, so what is learned of the records themselves does not depend on how many before them are still there."""
        if message.surface == "shops":  # no item was shown
            return
        if message.request_id not in self._open:
            self._opened.append(message.request_id)
        self._open[message.request_id] = _Open(
            message.time.astimezone(UTC),  # which all share; a message's own zone is an object of its own
            self._items.all(message.items),
            searched=message.surface == "search",
        )
        while len(self._opened) > self._shown_at_once:
            del self._open[self._opened.popleft()]

    def take(self, offset: int, message: Message) -> list[Example]:
        """What can be learned now that this message is known: mostly nothing, or one example. Its offset is this one, or that
        of an earlier record which waited for its answer."""
        if message.type == "event":
            waited = self._pass_to(message.received)
            if message.item is None:
                return waited
            if message.source == "organic":
                return [*waited, _example(offset, message, None)] if message.kind in POSITIVE_KINDS else waited
            return waited + self._joined(offset, message)
        if message.type == "impression":
            waited = self._pass_to(message.time)
            self.recall(message)
            orphans = self._orphans.pop(message.request_id, None) if message.request_id in self._open else None
            if orphans is not None:
                self._waiting_orphans -= len(orphans.events)
                waited += [example for at, event in orphans.events for example in self._joined(at, event)]
            return waited
        if message.type == "forgotten":
            self._forget(set(message.offsets))
            return []
        waited = self._pass_to(message.event.received)
        if not message.failed and message.event.kind in POSITIVE_KINDS and message.of > self._start:
            return waited  # replayed by a shoploop before, for which it was dead: it counts where it first lay
        return waited + self._chosen(offset, message.event, tuple(message.items), searched=message.searched)

    def bury(self, offset: int, reason: Reason, body: bytes | str) -> None:
        """Keeps what nothing can be learned from."""
        text = body if isinstance(body, str) else body.decode(errors="replace")
        self.dead.append(DeadLetter(offset=offset, reason=reason, body=text))

    def tables(self) -> dict[str, Table]:
        """The window, the oldest answer and the oldest that waits for one first."""
        answers = [self._open[request] for request in self._opened]
        orphans = [
            (request, each.time.isoformat(), offset, event.model_dump_json(exclude_none=True))
            for request, each in self._orphans.items()
            for offset, event in each.events
        ]
        return {
            "answers": {
                "request": list(self._opened),
                "time": [each.time for each in answers],
                "items": [json.dumps(each.items) for each in answers],
                "searched": [each.searched for each in answers],
            },
            "orphans": {
                name: [each[place] for each in orphans]
                for place, name in enumerate(("request", "time", "offset", "event"))
            },
            "times": {"time": [time.isoformat() for time in self._times]},
            "watermark": {"time": [] if self._watermark is None else [self._watermark.isoformat()]},
        }

    def take_up(self, tables: Mapping[str, Table]) -> None:
        """Has the window that :meth:`tables` told, and nothing else."""
        self._opened, self._open = deque(tables["answers"]["request"]), {}
        for request, time, items, searched in zip(*tables["answers"].values(), strict=True):
            self._open[request] = _Open(time.astimezone(UTC), self._items.all(json.loads(items)), searched)
        self._orphans.clear()
        for request, time, offset, event in zip(*tables["orphans"].values(), strict=True):
            orphans = self._orphans.setdefault(request, _Orphans(datetime.fromisoformat(time)))
            orphans.events.append((offset, Kept.model_validate_json(event)))
        self._waiting_orphans = len(tables["orphans"]["request"])
        self._times = deque(map(datetime.fromisoformat, tables["times"]["time"]))
        self._sorted_times = sorted(self._times)
        self._watermark = next(map(datetime.fromisoformat, tables["watermark"]["time"]), None)

    def _joined(self, offset: int, event: Kept) -> list[Example]:
        if event.kind not in WINDOWS or event.item is None or event.request_id is None:
            return []
        shown = self._open.get(event.request_id)
        if shown is None or event.received - shown.time > CLOSED:  # one so old may be trimmed, so it is known by nobody
            self._orphans.setdefault(event.request_id, _Orphans(event.received)).events.append((offset, event))
            self._waiting_orphans += 1
            waited = []
            while self._waiting_orphans > self._orphans_at_once:
                waited += self._oldest_orphans()
            return waited
        if event.item not in shown.items:
            self.bury(offset, "not_shown", event.model_dump_json(exclude_none=True))
            return []
        if event.received - shown.time > WINDOWS[event.kind] + LATENESS:
            return self._unjoined(offset, event, "late")
        return self._chosen(offset, event, shown.items, searched=shown.searched)

    def _forget(self, offsets: set[int]) -> None:
        """Waits no longer for the answers to these events."""
        for request, orphans in list(self._orphans.items()):
            left = [each for each in orphans.events if each[0] not in offsets]
            self._waiting_orphans -= len(orphans.events) - len(left)
            if left:
                orphans.events = left
            else:
                del self._orphans[request]

    def _chosen(self, offset: int, event: Kept, shown: tuple[str, ...], *, searched: bool) -> list[Example]:
        if searched:
            return [_example(offset, event, None)] if event.kind in POSITIVE_KINDS else []
        return [_example(offset, event, shown)]

    def _unjoined(self, offset: int, event: Kept, reason: Reason) -> list[Example]:
        """Of feedback whose answer nobody knows, or knows to be too long ago."""
        if event.kind in POSITIVE_KINDS:
            return [_example(offset, event, None)]
        self.bury(offset, reason, event.model_dump_json(exclude_none=True))
        return []

    def _pass_to(self, time: datetime) -> list[Example]:
        """Closes what no feedback can be joined to any more; returns what can be learned of feedback that waited in vain."""
        times, ordered = self._times, self._sorted_times
        # of two zones that are objects of their own a comparison takes twenty times as long
        time = time.astimezone(UTC)
        times.append(time)
        if not ordered or time >= ordered[-1]:  # nearly all come in their order
            ordered.append(time)
        else:
            insort(ordered, time)
        if len(times) > VOTES:
            oldest = times.popleft()
            del ordered[0 if ordered[0] == oldest else bisect_left(ordered, oldest)]
        middle, watermark = ordered[len(times) // 2], self._watermark
        few, full = len(times) <= FEWEST_VOTES, len(times) == VOTES
        if watermark is None or few or middle > watermark or (full and middle < watermark - AHEAD):
            self._watermark = watermark = middle
        waited = list[Example]()
        if len(times) < FEWEST_VOTES:
            return waited
        while self._opened and self._open[self._opened[0]].time < watermark - CLOSED:
            del self._open[self._opened.popleft()]
        while self._orphans and next(iter(self._orphans.values())).time < watermark - LATENESS:
            waited += self._oldest_orphans()
        return waited

    def _oldest_orphans(self) -> list[Example]:
        """Waits no longer for the answer that has been waited for the longest."""
        _, orphans = self._orphans.popitem(last=False)
        self._waiting_orphans -= len(orphans.events)
        return [example for at, event in orphans.events for example in self._unjoined(at, event, "no_impression")]


def _example(offset: int, event: Kept, among: tuple[str, ...] | None) -> Example:
    assert event.item is not None
    return Example(offset, event.user, event.received, event.item, among)
