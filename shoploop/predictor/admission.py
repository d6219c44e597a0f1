"""Who is let in, and until when an answer has to be there: the deadline counts from a request's arrival.

Requests wait for each other, so the time that one takes is taken from all that wait behind it. A request gets the whole
model's answer only if the newest of those behind it can still get a short one in time; a request that could not get even
that is refused with 503 and Retry-After, which costs the shop less than an answer that comes too late.

A request takes a place once all of it is there: who sends a body byte by byte takes none from those whose request has come.

A refusal takes its time of the event loop, too. Clients that ask again the moment they are refused would leave those that
were let in none of it, so beyond a rate refusals are held back, up to the second that clients are told to wait anyway.

``GET /load`` tells how many requests are being answered just now (:mod:`shoploop.predictor.admin`): an autoscaler asks it. A
probe or a scrape is no load.
It must not know what the requests mean.
"""

import asyncio
import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from shoploop.predictor.http import App, Message, Receive, Send, refuse

PATH = "/load"
OVERHEAD_SECONDS = 0.001
"""Of HTTP, for an answer; what is seen in operation corrects it."""

FILLED = 0.7
"""Share of the deadline up to which requests that wait are let in: the pace is a mean, and half of what is let in to the last
moment would be late."""

SMOOTHING = 0.1
"""Weight of the last pace that was seen."""

REFUSALS_PER_SECOND = 100.0
"""That are told at once: some tenth of a core."""

REFUSALS_AT_ONCE = 20
HELD_SECONDS = 1.0
"""A refusal is held at most so long, the least that Retry-After ever says."""


@dataclass
class Visit:
    """One request from its arrival to its answer."""

    arrived: float
    """When its first bytes came."""

    came: float | None = None
    """When all of it was there, and it was let in."""

    began: bool = False
    """Work on it began: what is no request at all is sent back before, and says nothing of how fast answers are made."""


_visit: ContextVar[Visit | None] = ContextVar("visit", default=None)


class Waiting:
    """The requests of one process that have come and are not answered yet."""

    def __init__(self, *, deadline_seconds: float = 0.1, clock: Callable[[], float] = time.perf_counter):
        self.deadline_seconds = deadline_seconds
        self.pace_seconds = OVERHEAD_SECONDS
        """From one answer to the next while requests wait."""

        self.in_flight = 0
        self._clock = clock
        self._begun = 0
        self._newest = 0.0
        self._last_answer: float | None = None

    def expect(self, *, deadline_seconds: float, short_seconds: float) -> None:
        """Sets what the ranker measured at its warm-up.

        Args:
            deadline_seconds: From arrival to answer.
            short_seconds: That a short answer takes to compute.
        """
        self.deadline_seconds = deadline_seconds
        self.pace_seconds = short_seconds + OVERHEAD_SECONDS

    @property
    def has_room(self) -> bool:
        """Whether one more request could get a short answer in time. One is always let in."""
        return self.in_flight == 0 or (self.in_flight + 1) * self.pace_seconds <= self.deadline_seconds * FILLED

    @property
    def retry_after_seconds(self) -> int:
        """When those who wait now have their answers."""
        return max(1, math.ceil(self.in_flight * self.pace_seconds))

    def arrive(self) -> Visit:
        """A request begins to come; it takes no place yet."""
        return Visit(self._clock())

    def let_in(self, visit: Visit) -> None:
        """All of the request is there: it takes its place."""
        self.in_flight += 1
        self._newest = visit.came = self._clock()

    @contextmanager
    def turn(self) -> Iterator[float]:
        """Around the work on a request: until when it may take, on the clock."""
        self._begun += 1
        if visit := _visit.get():
            visit.began = True
        try:
            yield self._until()
        finally:
            self._begun -= 1

    def _until(self) -> float:
        visit = _visit.get()
        arrived = visit.arrived if visit else self._clock()
        behind = max(self.in_flight - self._begun, 0)
        leaves_time = self._newest + self.deadline_seconds - behind * self.pace_seconds
        return arrived + self.deadline_seconds if behind == 0 else min(arrived + self.deadline_seconds, leaves_time)

    def leave(self, visit: Visit) -> None:
        """Counts an answer that is on its way, and sees how fast answers follow each other while requests wait.

        The pace is counted from the answer before, or from when all of the request was there: nobody could work on it before.
        A pace that lets in one alone would be seen by nobody, and stay: it is corrected by what those take that come alone,
        which is more than the pace.
        """
        if visit.came is None:
            return
        now = self._clock()
        self.in_flight -= 1
        if visit.began:
            before = self._last_answer
            seconds = now - (visit.came if before is None else max(visit.came, before))
            lets_in_one = 2 * self.pace_seconds > self.deadline_seconds * FILLED
            if before is not None or (lets_in_one and seconds < self.pace_seconds):
                self.pace_seconds += SMOOTHING * (seconds - self.pace_seconds)
            self._last_answer = now
        if not self.in_flight:
            self._last_answer = None


class Refusals:
    """Spaces refusals in time: a bucket that fills at ``REFUSALS_PER_SECOND`` (GCRA, ITU-T I.371, 1996)."""

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter):
        self._clock = clock
        self._due = -math.inf

    def hold_seconds(self) -> float:
        """How long the refusal that is due now is held back; 0 unless there have been many."""
        now = self._clock()
        earliest = now - (REFUSALS_AT_ONCE - 1) / REFUSALS_PER_SECOND
        self._due = min(max(self._due, earliest), now + HELD_SECONDS)
        held = max(self._due - now, 0.0)
        self._due += 1 / REFUSALS_PER_SECOND
        return held


class Admission:
    """ASGI middleware: lets requests to some routes in, or refuses them while there are too many."""

    def __init__(self, app: App, *, routes: Collection[str], waiting: Waiting):
        self.app = app
        self.routes = frozenset(routes)
        self.waiting = waiting
        self.refusals = Refusals()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self.routes:
            await self.app(scope, receive, send)
            return
        if not self.waiting.has_room:
            await self._refuse(send)
            return
        visit = self.waiting.arrive()

        async def received() -> Message:
            message = await receive()
            if visit.came is None and message["type"] == "http.request" and not message.get("more_body", False):
                if not self.waiting.has_room:  # others were there sooner
                    raise _Full
                self.waiting.let_in(visit)
            return message

        token = _visit.set(visit)
        try:
            await self.app(scope, received, send)
        except _Full:
            await self._refuse(send)
        finally:
            _visit.reset(token)
            self.waiting.leave(visit)

    async def _refuse(self, send: Send) -> None:
        if held := self.refusals.hold_seconds():
            await asyncio.sleep(held)
        seconds = self.waiting.retry_after_seconds
        message = f"More requests than can be answered in time. Ask again in {seconds} s, or run more replicas."
        await refuse(send, 503, message, headers=[(b"retry-after", str(seconds).encode())])


class _Full(Exception):
    """All of a request is there, and too many others are."""
