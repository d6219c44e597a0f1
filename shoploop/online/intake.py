"""Takes in records of the log: what was shown is joined with what became of it, who had their share is passed over, and what
is left is laid by until its batch ends.

A batch holds the examples of BATCH offsets, or of BATCH_SECONDS by the log's own time where these come more slowly: where it
begins and ends depends on the records and their order alone. Nothing here knows what becomes of a batch.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from shoploop.events.fresh import Recent, Table
from shoploop.events.log import BEGINNING, EventLog, Record
from shoploop.events.messages import Again, Kept, Message, Shown
from shoploop.features.log import Float32
from shoploop.online.encoding import States, encoded
from shoploop.online.joiner import Example, Joiner
from shoploop.online.limits import Limits
from shoploop.online.recall import recall
from shoploop.ranking.asked import Asked

BATCH = 512
"""Offsets whose examples are learned in one step at most."""

BATCH_SECONDS = timedelta(seconds=1)
"""From the first to the last record of a batch at most, as the records have it."""

ENCODED = 512
"""Examples of a batch whose users are encoded together: all of them, since a pass of the encoder costs more than its rows."""


@dataclass
class Batch:
    """What can be learned of the records since the last batch ended."""

    examples: list[Example] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    """Of what was chosen."""

    among: list[list[int] | None] = field(default_factory=list)
    """Codes of what each was chosen from; None where that was no list."""

    asked: list[Asked] = field(default_factory=list)
    """Who chose each, as they were then."""

    began: datetime | None = None
    """Time of its first record."""

    _states: list[Float32] = field(default_factory=list, init=False, repr=False)
    """h_u of whole groups of them, the first ones."""

    def encoded(self, states: States, *, width: int) -> Float32:
        """h_u of the examples, (B, D); NaN where somebody's cannot be made. Groups that are whole are encoded once.

        Args:
            states: Who encodes.
            width: D.

        Raises:
            LogUnavailable, StoreError: ask again.
        """
        firsts = range(len(self._states) * ENCODED, len(self.asked), ENCODED)

        def failed(place: int) -> str:
            # by its offset who may read the log finds whose it is
            return f"Record {self.examples[place].offset} of the event log cannot be learned from."

        groups = (range(first, min(first + ENCODED, len(self.asked))) for first in firsts)
        found = [encoded(states, self.asked, places, width=width, failed=failed) for places in groups]
        self._states += [states_BD for states_BD in found if len(states_BD) == ENCODED]
        return np.concatenate([*self._states, *(states_BD for states_BD in found if len(states_BD) < ENCODED)])


class Untaught(NamedTuple):
    """How much came with a record that teaches nothing."""

    capped: int
    """Examples of a user, or an item, that had had their share."""

    dead: int
    """Dead letters."""

    forgotten: Collection[str] = ()
    """Whose records it tells to forget, of those who were known."""


NOTHING = Untaught(0, 0)


class Intake:
    """Of one learner, from a place in the log on: for each record :meth:`read`, :meth:`ends_batch`, :meth:`take`."""

    def __init__(self, codes: Mapping[str, int], limits: Limits, *, start: int = BEGINNING):
        """
        Args:
            codes: Of the items that can be learned of.
            limits: How much one user and one item may teach.
            start: Offset of the last record before those that are taken.
        """
        self.batch = Batch()
        """The open one."""

        self._codes = codes
        self._limits = limits
        self._joiner = Joiner(start=start)
        self._recent = Recent()

    def recall(self, log: EventLog, *, start: int, beat: Callable[[], None]) -> None:
        """As :func:`shoploop.online.recall.recall`."""
        recall(log, self._joiner, start=start, beat=beat)

    @property
    def held(self) -> int:
        """How many answers and things that were done are remembered."""
        return self._joiner.waiting + self._recent.held

    def tables(self) -> dict[str, Table]:
        """What is remembered where a batch begins, but of the batch before."""
        return self._joiner.tables() | self._limits.tables() | {"done": self._recent.table()}

    def take_up(self, tables: Mapping[str, Table]) -> None:
        """Goes on where :meth:`tables` was asked, with the next record."""
        self._joiner.take_up(tables)
        self._limits.take_up(tables)
        self._recent.take_up(tables["done"])

    def read(self, record: Record) -> Message | None:
        """What a record says; one that is none of ours is a dead letter."""
        return self._joiner.read(record)

    def ends_batch(self, offset: int, message: Message | None, *, last: int) -> bool:
        """Whether the batch ends before this record: that is for the log alone to say.

        Args:
            offset: Of the record.
            message: What it says.
            last: Offset of the record before it.
        """
        if offset // BATCH != last // BATCH:
            return True
        if message is None:
            return False
        if message.type == "forgotten":
            return True  # an open batch holds who chose what: nothing of it may wait for what comes
        began = self.batch.began
        return began is not None and _time_of(message) - began >= BATCH_SECONDS

    def begin_batch(self) -> None:
        """Forgets the open batch: it was learned, or need not be."""
        self.batch = Batch()

    def take(self, offset: int, message: Message | None, *, failed: Collection[int]) -> Untaught:
        """Joins and remembers one record, and lays its examples by.

        Args:
            offset: Of the record.
            message: What it says.
            failed: Records that could not be learned from, and are to be where they come again.
        """
        batch, capped, forgotten = self.batch, 0, frozenset[str]()
        examples: list[Example] = []
        if message is not None:
            if message.type == "forgotten":
                forgotten = frozenset(self._recent.forget(set(message.offsets)))
                self._limits.forget(forgotten)
            elif batch.began is None:
                batch.began = _time_of(message)
            examples = self._joiner.take(offset, message)
            if message.type == "again" and message.failed and message.of not in failed:
                # another version's learner failed at it; this one learned it where it first lay
                examples = [example for example in examples if example.offset != offset]
        for example in examples:
            code = self._codes.get(example.chosen, -1)
            if code < 0:
                continue
            assert self._joiner.watermark is not None
            if not self._limits.allow(example, code, offset=offset, now=self._joiner.watermark):
                capped += 1
                continue
            batch.examples.append(example)
            batch.codes.append(code)
            batch.among.append(self._known(example.among))
            done = self._recent.of(example.user)
            if example.offset < offset:  # it waited for its answer: what is done must be no reason for itself
                done = tuple(each for each in done if each.offset < example.offset)
            batch.asked.append(Asked(example.user, done, example.time))
        if message is not None and message.type == "event":
            self._recent.add(message, offset=offset)
        dead = len(self._joiner.dead)
        if not (capped or dead or forgotten):
            return NOTHING
        self._joiner.dead.clear()
        return Untaught(capped, dead, forgotten)

    def _known(self, items: tuple[str, ...] | None) -> list[int] | None:
        if items is None:
            return None
        return [code for item in items if (code := self._codes.get(item, -1)) >= 0]


def _time_of(message: Kept | Shown | Again) -> datetime:
    """When it came in, in UTC itself: what lies between two times is told at once then."""
    if message.type == "event":
        time = message.received
    elif message.type == "impression":
        time = message.time
    else:
        time = message.event.received
    return time.astimezone(UTC)
