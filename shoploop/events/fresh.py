"""What users did since their stored history was made: the tail of the log, laid over it at a request.

One thread follows the log; a request reads from memory. Memory is bounded: of each user the last events, and the users who
did something last. Every predictor follows the same log, so all of them agree as soon as they have read as far, also after a
restart, which reads it again from ``since``.
"""

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from shoploop.events.log import BEGINNING, EventLog, LogUnavailable
from shoploop.events.messages import Kept, from_json

EVENTS_A_USER = 200
USERS = 50_000
WAIT_SECONDS = 0.25
RETRY_SECONDS = 1.0
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Done:
    """One thing that a user did with an item."""

    item: str
    kind: str
    day: int
    """Days since 1970-01-01 (UTC)."""

    quantity: float


class FreshHistory:
    """The last events of users, by user."""

    def __init__(self, log: EventLog, *, users: int = USERS, events_a_user: int = EVENTS_A_USER, since_day: int = 0):
        """
        Args:
            log: What to follow.
            users: How many are kept; those who did something last.
            events_a_user: How many are kept of each.
            since_day: Events of earlier days are in the stored history already, days since 1970-01-01 (UTC).
        """
        self.offset = BEGINNING
        """Of the last record that was read."""

        self._log = log
        self._users = users
        self._events_a_user = events_a_user
        self._since_day = since_day
        self._done: OrderedDict[str, deque[Done]] = OrderedDict()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def of(self, user: str) -> tuple[Done, ...]:
        """What the user did, in the order in which it came."""
        with self._lock:
            return tuple(self._done.get(user, ()))

    def catch_up(self, *, limit: int = 1000, wait_seconds: float = 0.0) -> int:
        """Reads what is new; returns how many records that was.

        Raises:
            LogUnavailable: the log does not answer; what is known stays.
        """
        records = self._log.read(self.offset, limit=limit, wait_seconds=wait_seconds)
        for record in records:
            try:
                message = from_json(record.body)
            except ValueError:
                logging.getLogger(__name__).warning("Record %d of the event log is none of ours.", record.offset)
                message = None
            if isinstance(message, Kept):
                self._add(message)
            self.offset = record.offset
        return len(records)

    def start(self, *, on_lag: Callable[[int], None] = lambda records: None) -> None:
        """Follows the log in a thread until :meth:`stop`; first reads what is there.

        Args:
            on_lag: Told after each read how many records came.
        """
        try:
            while self.catch_up():
                pass
        except LogUnavailable as error:
            logging.getLogger(__name__).warning("%s Answers know stored histories only, until it is back.", error)
        self._thread = threading.Thread(target=self._follow, args=(on_lag,), name="fresh-history", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self, on_lag: Callable[[int], None]) -> None:
        while not self._stop.is_set():
            try:
                on_lag(self.catch_up(wait_seconds=WAIT_SECONDS))
            except LogUnavailable:
                self._stop.wait(RETRY_SECONDS)

    def _add(self, event: Kept) -> None:
        day = (event.time.date() - EPOCH).days
        if event.item is None or day < self._since_day:
            return
        done = Done(event.item, event.kind, day, 1.0 if event.quantity is None else event.quantity)
        with self._lock:
            events = self._done.setdefault(event.user, deque(maxlen=self._events_a_user))
            events.append(done)
            self._done.move_to_end(event.user)
            while len(self._done) > self._users:
                self._done.popitem(last=False)
