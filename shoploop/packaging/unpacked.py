"""Unpacked Bentos on this machine: which of them a service works with, and that the others go a day after their last use.

Several services share the folder, of several recommenders. Who works with an unpacked Bento holds a lock on its folder, which
goes with the process however that ends. It must not know which version serves.
"""

import fcntl
import os
import re
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

UNUSED_DAYS = 1
"""How long one stays that no service works with, after it was last asked for: what only loads a model does so at once."""

OURS = re.compile(r"v[0-9a-f]{12}-[0-9a-f]{64}")


class Held:
    """The unpacked Bentos that this process works with."""

    def __init__(self, cache: Path):
        """
        Args:
            cache: The folder that they lie in.
        """
        self._cache = cache
        self._locks: dict[Path, int] = {}

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        self.only(())

    def only(self, paths: Collection[Path]) -> None:
        """Holds the Bentos that these paths lie in, lets go of all others, and removes what nobody uses any more."""
        wanted = {self._cache / path.relative_to(self._cache).parts[0] for path in paths}
        for folder in wanted - self._locks.keys():
            with suppress(OSError):  # a file system without locks: nothing is removed there
                descriptor = os.open(folder, os.O_RDONLY)
                self._locks[folder] = descriptor
                fcntl.flock(descriptor, fcntl.LOCK_SH)
        for folder in self._locks.keys() - wanted:
            os.close(self._locks.pop(folder))
        remove_unused(self._cache)


def used(folder: Path) -> None:
    """Notes that an unpacked Bento was asked for."""
    with suppress(OSError):  # of a folder that may only be read nothing is removed
        os.utime(folder)


def remove_unused(cache: Path) -> None:
    """Removes the unpacked Bentos below ``cache`` that nobody holds and nobody has asked for in the last day."""
    before = time.time() - UNUSED_DAYS * 86400
    for folder in cache.iterdir():
        if OURS.fullmatch(folder.name):
            with suppress(OSError):
                _remove_unused(folder, before)


def _remove_unused(folder: Path, before: float) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_mtime < before:
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".gone-") as aside:
                folder.rename(Path(aside, folder.name))  # nobody finds a part of it
    finally:
        os.close(descriptor)
