"""From the chain to the predictors of one machine or pod: what is served is written aside, verified, then pointed to.

It knows no model. A predictor reads the folder through its pointer, which is moved into place last.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from shoploop.errors import ShoploopError
from shoploop.online.chain import Chain, State
from shoploop.online.pointer import LOOKED, Pointer, file_name
from shoploop.online.rows import to_bytes
from shoploop.store import disk

LOOK_SECONDS = 0.2
HOLD = "hold"
"""While a file of this name lies in the folder, what predictors are brought stays as it is."""

HELD_AT_MOST_SECONDS = 20.0
"""An older file counts no more: whoever laid it there takes it away sooner, or wants the pause no longer, or has gone."""

KEPT_FILES = 3
"""A predictor that is about to read an older one must find it."""


class Updater:
    """Writes what a chain serves into a folder, whenever it changes."""

    def __init__(self, chain: Chain, folder: Path, *, version: str):
        self._chain = chain
        self._folder = folder
        self._version = version
        self._written: int | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def look(self) -> bool:
        """Writes what is new; returns whether there was something.

        Raises:
            StoreUnavailable, ArtifactCorrupt: nothing was written, and what was there stays.
        """
        if self._is_held():
            return False
        self._chain.refresh()
        number = self._chain.served
        new = self._written != number
        if new:
            self._write(self._chain.state(number))
            self._written = number
        (self._folder / LOOKED).touch()
        return new

    def _is_held(self) -> bool:
        try:
            laid = (self._folder / HOLD).stat().st_mtime
        except FileNotFoundError:
            return False
        return abs(time.time() - laid) < HELD_AT_MOST_SECONDS

    def _write(self, state: State) -> None:
        body = to_bytes(state.rows)
        digest = hashlib.sha256(body).hexdigest()
        file = self._folder / file_name(digest)
        if not file.exists():
            disk.write_bytes(file, body)
        Pointer(version=self._version, commit=state.number, sha256=digest).write(self._folder)
        files = sorted(self._folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime)
        for old in files[:-KEPT_FILES]:
            if old != file:
                with suppress(FileNotFoundError):
                    old.unlink()


def follow(updater: Updater, *, until: Callable[[], bool], looked: Callable[[], None] = lambda: None) -> None:
    """Looks again and again until it is told to end; a store that is away, or a damaged chain, is told once.

    Args:
        updater: Looks.
        until: Whether to end.
        looked: Called after each look, whatever it found.
    """
    told = ""
    while not until():
        try:
            updater.look()
            told = ""
        except (ShoploopError, OSError) as error:  # a full disk, too
            if str(error) != told:
                told = str(error)
                logging.getLogger(__name__).warning("%s Predictors go on with what they have.", error)
            time.sleep(1.0)
        looked()
        time.sleep(LOOK_SECONDS)
