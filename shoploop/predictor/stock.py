"""What cannot be bought just now, from a file that the shop keeps: ids, a line each.

It changes with every sale, so it is no part of a spec, and of no single request either. The shop replaces the file; a
predictor sees that within a second.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from shoploop.data.ids import canonical_id
from shoploop.events.watched import Watched

ENVIRONMENT = "SHOPLOOP_OUT_OF_STOCK"
"""Environment variable: the file's path."""


class OutOfStock:
    """The items of a file as it is now. One instance serves all threads of a process."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.monotonic):
        """
        Args:
            path: None where the shop keeps no such file: everything is in stock.
            clock: Seconds.
        """
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._last: frozenset[str] = frozenset()
        self._items = Watched(
            self._read, self._last, errors=(OSError, ValueError), goes_on=self._goes_on, looked=False, clock=clock
        )

    @classmethod
    def configured(cls) -> "OutOfStock":
        """As the environment says."""
        path = os.environ.get(ENVIRONMENT)
        return cls(Path(path) if path else None)

    @property
    def items(self) -> frozenset[str]:
        """Ids of what cannot be bought. A file that is away, or half of it no text, changes nothing: the last one holds."""
        return self._items.now

    def _read(self) -> frozenset[str]:
        if self._path is None:
            return self._last
        found = self._path.stat()
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen != self._seen:
            lines = self._path.read_text(encoding="utf-8").splitlines()
            self._last = frozenset(id for line in lines if (id := canonical_id(line)))
            self._seen = seen
        return self._last

    def _goes_on(self, items: frozenset[str], error: Exception) -> str:
        return (
            f"What is out of stock cannot be read from {self._path} ({error}): {len(items)} items stay left out. "
            "Write the file again."
        )
