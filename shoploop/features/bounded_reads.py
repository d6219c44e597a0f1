"""Reads of an online store that may be down, or hang: each takes no longer than who asks for it has.

One thread reads; who asks waits for it as long as they can. A store that has refused a read is left alone for a moment, and
while it keeps somebody's read nobody else waits for it: what that costs is one asker's patience, not everybody's. Nothing has
to be told when it is back: the first read that succeeds is an answer again.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from shoploop.errors import StoreUnavailable

T = TypeVar("T")

RETRY_SECONDS = 1.0
"""After a read that failed, until the next one is tried."""


class FeatureStoreUnavailable(StoreUnavailable):
    """The online store of features does not answer just now; ask again."""


class BoundedReads(Generic[T]):
    """May be used by several threads."""

    def __init__(self, read: Callable[[str], T], *, where: str, clock: Callable[[], float] = time.monotonic):
        """
        Args:
            read: Reads what is asked for; has an end of its own, be it late. Raises FeatureStoreUnavailable.
            where: The store, for people.
            clock: Seconds.
        """
        self._read = read
        self._where = where
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="feature-store")
        self._lock = threading.Lock()
        self._trouble: str | None = None
        self._again = float("-inf")
        self._late: Future[T] | None = None
        """A read that took longer than who asked for it could wait."""

    def __call__(self, asked: str, seconds: float | None = None) -> T:
        """What the store holds of it.

        Args:
            asked: Whom.
            seconds: How long to wait at most; None: until the read ends by itself.

        Raises:
            FeatureStoreUnavailable: that is not known in time.
        """
        with self._lock:
            if self._late is not None and not self._late.done():
                raise FeatureStoreUnavailable(f"{self._where} has not answered for a while.")
            if self._trouble is not None and self._clock() < self._again:
                raise FeatureStoreUnavailable(self._trouble)
        future = self._pool.submit(self._tried, asked)
        try:
            return future.result(seconds)
        except TimeoutError:
            if not future.cancel():
                with self._lock:
                    self._late = future
            raise FeatureStoreUnavailable(f"{self._where} did not answer in {seconds or 0:.3f} s.") from None

    def _tried(self, asked: str) -> T:
        try:
            found = self._read(asked)
        except FeatureStoreUnavailable as error:
            with self._lock:
                told, self._trouble = self._trouble, str(error)
                self._again = self._clock() + RETRY_SECONDS
            if told is None:
                logging.getLogger(__name__).warning("%s Answers do without it until it is back.", error)
            raise
        with self._lock:
            told, self._trouble = self._trouble, None
        if told is not None:
            logging.getLogger(__name__).warning("%s answers again.", self._where)
        return found
