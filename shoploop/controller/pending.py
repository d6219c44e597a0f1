"""The keys that wait to be looked at: each once, at its time, and by one worker at a time."""

import heapq
import time
from threading import Condition

from shoploop.controller.cache import Key


class Pending:
    def __init__(self) -> None:
        self._changed = Condition()
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._busy: set[Key] = set()
        self._closed = False

    def add(self, key: Key, after_seconds: float = 0) -> None:
        """Asks for a look at ``key``; of several times the earliest holds."""
        due = time.monotonic() + after_seconds
        with self._changed:
            if due < self._due.get(key, float("inf")):
                self._due[key] = due
                heapq.heappush(self._heap, (due, key))
                self._changed.notify()

    def take(self) -> Key | None:
        """The next key whose time has come, once no other worker has it; None after :meth:`close`."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                waiting: list[tuple[float, Key]] = []
                try:
                    while self._heap and self._heap[0][0] <= now:
                        due, key = heapq.heappop(self._heap)
                        if self._due.get(key) != due:
                            continue  # asked for at an earlier time meanwhile
                        if key in self._busy:
                            waiting.append((due, key))
                            continue
                        del self._due[key]
                        self._busy.add(key)
                        return key
                finally:
                    for entry in waiting:
                        heapq.heappush(self._heap, entry)
                ahead = [due for due, key in self._heap if key not in self._busy]
                self._changed.wait(min(ahead) - now if ahead else None)
            return None

    def done(self, key: Key) -> None:
        with self._changed:
            self._busy.discard(key)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        """Keys whose time has come."""
        now = time.monotonic()
        with self._changed:
            return sum(due <= now for due in self._due.values())
