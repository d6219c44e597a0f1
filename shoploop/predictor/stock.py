"""What cannot be bought just now, from a file that the shop keeps: ids, a line each.

It changes with every sale, so it is no part of a spec, and of no single request either. The shop replaces the file; a
predictor sees that within a second.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from shoploop.data.ids import canonical_id
from shoploop.errors import DataUnreadable, NotFound
from shoploop.events.watched import Watched

ENVIRONMENT = "SHOPLOOP_OUT_OF_STOCK"
"""Environment variable: the file's path."""


class OutOfStock:
    """The items of a file as it is now. One instance serves all threads of a process."""

    def __init__(
        self,
        path: Path | None,
        *,
        tell: Callable[[int], None] = lambda count: None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """
        Args:
            path: None where the shop keeps no such file: everything is in stock.
            tell: Is told how many items are out of stock, whenever the file was read.
            clock: Seconds.

        Raises:
            NotFound: there is no such file.
            DataUnreadable: it cannot be read, or is no text.
        """
        self._path = path
        self._tell = tell
        self._seen: tuple[int, int, int] | None = None
        self._last: frozenset[str] = frozenset()
        try:
            first = self._read()
        except FileNotFoundError as error:
            raise NotFound(
                f"What is out of stock is to be read from {path}, and there is no such file. Write it, empty where "
                "everything is in stock, or name another."
            ) from error
        except (OSError, ValueError) as error:
            raise DataUnreadable(
                f"What is out of stock cannot be read from {path}: {error}. Write one id a line, as UTF-8."
            ) from error
        self._items = Watched(self._read, first, errors=(OSError, ValueError), goes_on=self._goes_on, clock=clock)

    @classmethod
    def configured(cls, *, tell: Callable[[int], None] = lambda count: None) -> "OutOfStock":
        """As the environment says.

        Raises:
            NotFound, DataUnreadable: it names a file that is not there, or cannot be read.
        """
        path = os.environ.get(ENVIRONMENT)
        return cls(Path(path) if path else None, tell=tell)

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
            lines = self._path.read_text(encoding="utf-8-sig").splitlines()  # spreadsheets begin with a mark
            self._last = frozenset(id for line in lines if (id := canonical_id(line)))
            self._seen = seen
            self._tell(len(self._last))
        return self._last

    def _goes_on(self, items: frozenset[str], error: Exception) -> str:
        return (
            f"What is out of stock cannot be read from {self._path} ({error}): {len(items)} items stay left out. "
            "Write the file again."
        )
