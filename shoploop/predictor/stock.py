"""What cannot be bought just now, from a file that the shop keeps: ids, a line each.

It changes with every sale, so it is no part of a spec, and of no single request either. The shop replaces the file; a
predictor sees that within a second.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from shoploop.data.ids import canonical_id

ENVIRONMENT = "SHOPLOOP_OUT_OF_STOCK"
"""Environment variable: the file's path."""

LOOK_SECONDS = 1.0


class OutOfStock:
    """The items of a file as it is now. One instance serves all threads of a process."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.monotonic):
        """
        Args:
            path: None where the shop keeps no such file: everything is in stock.
            clock: Seconds.
        """
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._looked = -LOOK_SECONDS
        self._seen: tuple[int, int, int] | None = None
        self._items: frozenset[str] = frozenset()
        self._told = False

    @classmethod
    def configured(cls) -> "OutOfStock":
        """As the environment says."""
        path = os.environ.get(ENVIRONMENT)
        return cls(Path(path) if path else None)

    @property
    def items(self) -> frozenset[str]:
        """Ids of what cannot be bought. A file that is away, or half of it no text, changes nothing: the last one holds."""
        if self._path is None:
            return self._items
        with self._lock:
            now = self._clock()
            if now - self._looked >= LOOK_SECONDS:
                self._looked = now
                self._look(self._path)
            return self._items

    def _look(self, path: Path) -> None:
        try:
            found = path.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen != self._seen:
                lines = path.read_text(encoding="utf-8").splitlines()
                self._items = frozenset(id for line in lines if (id := canonical_id(line)))
                self._seen = seen
            self._told = False
        except (OSError, ValueError) as error:
            if not self._told:  # once, not every second
                logging.getLogger(__name__).warning(
                    "What is out of stock cannot be read from %s (%s): %d items stay left out. Write the file again.",
                    path,
                    error,
                    len(self._items),
                )
            self._told = True
