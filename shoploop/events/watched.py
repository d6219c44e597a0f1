"""What files say that may be exchanged while a process runs: they are looked at again once a second, when somebody asks."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Value = TypeVar("Value")

LOOK_SECONDS = 1.0


class Watched(Generic[Value]):
    """The value that was read last. One instance serves all threads of a process."""

    def __init__(
        self,
        read: Callable[[], Value],
        first: Value,
        *,
        errors: tuple[type[Exception], ...],
        goes_on: Callable[[Value, Exception], str],
        looked: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ):
        """
        Args:
            read: Reads the files anew.
            first: The value until then.
            errors: Of ``read`` that change nothing, as a file amid being written: the last value holds, and it is told once.
            goes_on: What is told then.
            looked: Whether ``first`` was read just now; else the first who asks reads.
            clock: Seconds.
        """
        self._read, self._value, self._errors, self._goes_on = read, first, errors, goes_on
        self._clock, self._lock = clock, threading.Lock()
        self._looked = clock() if looked else float("-inf")
        self._told = False

    @property
    def now(self) -> Value:
        with self._lock:
            if self._clock() - self._looked >= LOOK_SECONDS:
                self._looked = self._clock()
                try:
                    self._value, self._told = self._read(), False
                except self._errors as error:
                    if not self._told:
                        logging.getLogger(__name__).warning(self._goes_on(self._value, error))
                    self._told = True
            return self._value


class Complaints:
    """What is wrong with single files: each is told once, and once more when it was right meanwhile."""

    def __init__(self) -> None:
        self._told: frozenset[str] = frozenset()

    def tell(self, complaints: Iterable[str]) -> None:
        """Tells what is new among all that is wrong now."""
        now = frozenset(complaints)
        for each in sorted(now - self._told):
            logging.getLogger(__name__).warning("%s", each)
        self._told = now
