"""How often something was seen today, in memory that does not grow with what is seen.

A count-min sketch with conservative update (Cormode and Muthukrishnan 2005, "An improved data stream summary"; Estan and
Varghese 2002, "New directions in traffic measurement and accounting"): never less than the truth, and of a million different
things a day hardly ever more. Of ten million, each seen twice, most are taken for seen eight or nine times, and none of two
million that were looked at for seen twenty times.

Legend: R rows, C cells.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import blake2b

import numpy as np

ROWS, CELLS = 4, 1 << 20
"""8 MB."""


class DayCounts:
    """Counts of one day, UTC; the next begins at nothing. One instance serves all threads of a process."""

    def __init__(self, clock: Callable[[], datetime]):
        """
        Args:
            clock: The time, UTC. One that goes back by a day at most keeps the counts of the later day; further back, the
                later one was wrong, and counting begins anew: else nobody would be counted afresh until that day comes.
        """
        self._clock = clock
        self._day = clock().date()
        self._counts_RC = np.zeros((ROWS, CELLS), np.uint16)
        self._rows_R = np.arange(ROWS)
        self._lock = threading.Lock()

    def seen(self, about: tuple[str, ...]) -> int:
        """How often, at most."""
        with self._lock:
            self._begin_day()
            return int(self._counts_RC[self._rows_R, _cells_R(about)].min())

    def add(self, about: tuple[str, ...]) -> None:
        """Counts it once more."""
        cells_R = _cells_R(about)
        with self._lock:
            self._begin_day()
            found_R = self._counts_RC[self._rows_R, cells_R]
            least = min(int(found_R.min()) + 1, np.iinfo(np.uint16).max)
            self._counts_RC[self._rows_R, cells_R] = np.maximum(found_R, least)

    def _begin_day(self) -> None:
        today = self._clock().date()
        if today > self._day or today < self._day - timedelta(days=1):
            self._day = today
            self._counts_RC[:] = 0


def _cells_R(about: tuple[str, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    digest = blake2b("\0".join(about).encode(), digest_size=4 * ROWS).digest()
    return np.frombuffer(digest, "<u4") % CELLS
