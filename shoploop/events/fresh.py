"""What users did since their stored history was made: the tail of the log, laid over it at a request.

One thread follows the log; a request reads from memory. Memory is bounded: of each user the last purchases and the last other
events, and the users who did something last, as many as have so many events together. What is erased of the log is forgotten
as soon as the log says so. Every predictor follows the same log, so all of them agree as soon as they have read as far, also
after a restart, which reads it again from where the stored histories end.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Set
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from shoploop.events.log import BEGINNING, EventLog, LogUnavailable
from shoploop.events.messages import Forgotten, Kept, from_json, is_impression
from shoploop.events.names import Names
from shoploop.schemas import POSITIVE_KINDS

EVENTS_A_USER = 200
"""Purchases, and as many events of other kinds: who looks at much today has bought what they bought all the same."""

USERS = 50_000
EVENTS = 1_000_000
"""Of all users together; some 130 MB. So many users with so many events each would take twenty times as much."""

WAIT_SECONDS = 0.25
RETRY_SECONDS = 1.0
UNTIL_THEN = "Answers know stored histories only, until it is back."
EPOCH = date(1970, 1, 1).toordinal()

Table = dict[str, list[Any]]
"""Columns by name, one value for each row."""


@dataclass(slots=True)
class Done:
    """One thing that a user did with an item. Nobody changes one: it is not frozen, since that would take five times as long
    to make, and every event makes one."""

    item: str
    kind: str
    day: int
    """Days since 1970-01-01 (UTC)."""

    quantity: float
    offset: int = field(default=BEGINNING, compare=False)
    """Of its record in the log."""

    shop: str | None = None
    """Where it was done, if that is known."""


class Recent:
    """The last events of the users who did something last; may be read by several threads."""

    def __init__(self, *, users: int = USERS, events_a_user: int = EVENTS_A_USER, events: int = EVENTS):
        """
        Args:
            users: How many are kept; those who did something last.
            events_a_user: How many purchases, and how many events of other kinds, are kept of each.
            events: How many are kept of all together.
        """
        self._users = users
        self._events_a_user = events_a_user
        self._events = events
        self._held = 0
        self._names = Names()
        self._done: OrderedDict[str, tuple[Done, ...]] = OrderedDict()
        """Tuples, so that all who were told the same hold it once."""

        self._lock = threading.Lock()

    def of(self, user: str) -> tuple[Done, ...]:
        """What the user did, in the order in which it came."""
        with self._lock:
            return self._done.get(user, ())

    def add(self, event: Kept, *, offset: int = BEGINNING) -> None:
        """Remembers what was done with an item.

        Args:
            event: What was done.
            offset: Of its record.
        """
        if event.item is None:
            return
        day, name = event.time.toordinal() - EPOCH, self._names.one
        done = Done(
            name(event.item),
            name(event.kind),
            day,
            1.0 if event.quantity is None else event.quantity,
            offset,
            event.shop and name(event.shop),
        )
        with self._lock:
            before = self._done.pop(event.user, ())  # so that who comes back stands last
            self._done[event.user] = now = self._bounded((*before, done))
            self._held += len(now) - len(before)
            while len(self._done) > self._users or (self._held > self._events and len(self._done) > 1):
                self._held -= len(self._done.popitem(last=False)[1])

    def forget(self, offsets: Set[int]) -> set[str]:
        """Holds these records no longer; returns whose they were."""
        with self._lock:
            known = list(self._done.items())
        # without the lock: requests must not wait for a look at all that is held
        users = {user for user, done in known if any(each.offset in offsets for each in done)}
        with self._lock:
            for user in users:
                before = self._done.get(user, ())
                now = tuple(each for each in before if each.offset not in offsets)
                self._held += len(now) - len(before)
                if now:
                    self._done[user] = now
                else:
                    self._done.pop(user, None)
        return users

    def table(self) -> Table:
        """What is remembered, a row for each thing that was done, users in the order in which they did something last."""
        with self._lock:
            known = list(self._done.items())
        done = [each for _, of_one in known for each in of_one]
        return {
            "user": [user for user, of_one in known for _ in of_one],
            "item": [each.item for each in done],
            "kind": [each.kind for each in done],
            "day": [each.day for each in done],
            "quantity": [each.quantity for each in done],
            "offset": [each.offset for each in done],
            "shop": [each.shop for each in done],
        }

    @property
    def held(self) -> int:
        """How many things that were done."""
        return self._held

    def take_up(self, table: Table) -> None:
        """Remembers what :meth:`table` told, and nothing else."""
        name, done = self._names.one, OrderedDict[str, list[Done]]()
        for user, item, kind, day, quantity, offset, shop in zip(*table.values(), strict=True):
            done.setdefault(user, []).append(Done(name(item), name(kind), day, quantity, offset, shop and name(shop)))
        with self._lock:
            self._done = OrderedDict((user, tuple(each)) for user, each in done.items())
            self._held = sum(map(len, self._done.values()))

    def _bounded(self, done: tuple[Done, ...]) -> tuple[Done, ...]:
        """Without the oldest of the newest one's sort, where there are too many of that."""
        if len(done) <= self._events_a_user:
            return done
        bought = done[-1].kind in POSITIVE_KINDS
        same = [place for place, each in enumerate(done) if (each.kind in POSITIVE_KINDS) == bought]
        return done if len(same) <= self._events_a_user else (*done[: same[0]], *done[same[0] + 1 :])


class FreshHistory:
    """The last events of users, by user."""

    def __init__(
        self,
        log: EventLog,
        *,
        after: int = BEGINNING,
        users: int = USERS,
        events_a_user: int = EVENTS_A_USER,
        on_forgotten: Callable[[Collection[str], Collection[str]], None] = lambda users, marks: None,
    ):
        """
        Args:
            log: What to follow.
            after: Offset of the last record that the stored histories hold.
            users: As of :class:`Recent`.
            events_a_user: As of :class:`Recent`.
            on_forgotten: Told whose events were forgotten, and the marks of answers that are to be, once the log says so.
        """
        self.offset = after
        """Of the last record that was read."""

        self.missed = 0
        """Records that the log had forgotten before they were read here, beyond what the stored histories hold."""

        self.trouble: str | None = None
        """Why the log was not of use at the last look; None where it was."""

        self.after = after
        """Of the last record that was not to be read."""

        self._another = False
        self._placed = False
        self._log = log
        self._recent = Recent(users=users, events_a_user=events_a_user)
        self._on_forgotten = on_forgotten
        self._forgotten = Forgotten(offsets=[])
        """What is to be forgotten once all is read that is there: each time costs a look at all that is held."""

        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def of(self, user: str, *, after: int = BEGINNING) -> tuple[Done, ...]:
        """What the user did, in the order in which it came.

        Args:
            user: Who.
            after: Offset of the last record that the history which is to be overlaid holds.
        """
        done = self._recent.of(user)
        return done if after <= self.after or self._another else tuple(each for each in done if each.offset > after)

    def catch_up(self, *, limit: int = 1000, wait_seconds: float = 0.0) -> int:
        """Reads what is new; returns how many records that was.

        Raises:
            LogUnavailable: the log does not answer; what is known stays.
        """
        if not self._placed:
            self._begin_at_what_is_left()
        records = self._log.read(self.offset, limit=limit, wait_seconds=wait_seconds)
        if records and records[0].offset > self.offset + 1:
            self._begin_at_what_is_left()
        for record in records:
            if is_impression(record.body):  # most records, and none of them is history
                self.offset = record.offset
                continue
            try:
                message = from_json(record.body)
            except ValueError:
                logging.getLogger(__name__).warning("Record %d of the event log is none of ours.", record.offset)
                message = None
            if isinstance(message, Kept):
                self._recent.add(message, offset=record.offset)
            elif isinstance(message, Forgotten):
                self._forgotten.offsets.extend(message.offsets)
                self._forgotten.requests.extend(message.requests)
            self.offset = record.offset
        if len(records) < limit:
            self._forget()
        return len(records)

    def start(self, *, on_look: Callable[[int | None], None] = lambda records: None) -> None:
        """Follows the log in a thread until :meth:`stop`; first reads what is there.

        Args:
            on_look: Told after each look how many records came; None where the log did not answer.
        """
        try:
            while records := self.catch_up():
                on_look(records)
            on_look(0)
        except LogUnavailable as error:
            self._placed, self.trouble = False, str(error)
            logging.getLogger(__name__).warning("%s %s", error, UNTIL_THEN)
            on_look(None)
        self._thread = threading.Thread(target=self._follow, args=(on_look,), name="fresh-history", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _forget(self) -> None:
        told, self._forgotten = self._forgotten, Forgotten(offsets=[])
        if told.offsets:
            self._on_forgotten(self._recent.forget(set(told.offsets)), frozenset(told.requests))

    def _follow(self, on_look: Callable[[int | None], None]) -> None:
        while not self._stop.is_set():
            try:
                records = self.catch_up(wait_seconds=WAIT_SECONDS)
                if self.trouble is not None:
                    logging.getLogger(__name__).warning("The event log answers again.")
                self.trouble = None
                on_look(records)
            except Exception as error:
                if not isinstance(error, LogUnavailable):  # a defect: histories that stand still must not stay so
                    logging.getLogger(__name__).exception("The event log cannot be followed from %d on.", self.offset)
                elif str(error) != self.trouble:
                    logging.getLogger(__name__).warning("%s %s", error, UNTIL_THEN)
                self._placed, self.trouble = False, str(error)  # it may come back as another
                on_look(None)
                self._stop.wait(RETRY_SECONDS)

    def _begin_at_what_is_left(self) -> None:
        """Passes over what was trimmed, and counts it. A log that ends before the offset is another one than that which the
        stored histories were made from, or lost what it held: all of it is new."""
        begin, end = self._log.begin(), self._log.end()
        if not self._placed and self.offset > end:
            logging.getLogger(__name__).warning(
                "The event log ends at record %d, and the stored histories hold those up to %d: it is another log. It is "
                "read from its beginning.",
                end,
                self.offset,
            )
            self.offset, self._another = begin, True
        elif begin > self.offset:
            self.missed += begin - self.offset
            logging.getLogger(__name__).warning(
                "The event log was trimmed up to record %d, and %d of them were not read here.",
                begin,
                begin - self.offset,
            )
            self.offset = begin
        self._placed = True
