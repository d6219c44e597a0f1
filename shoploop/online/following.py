"""What a predictor serves: its version with what was learned since, swapped by changing one reference.

A request takes the ranker once and keeps it to its end, so it never meets two models. What cannot be verified is not served.
"""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from shoploop.errors import ArtifactCorrupt
from shoploop.online.pointer import ENVIRONMENT, LOOKED, POINTER, Pointer, file_name
from shoploop.online.rows import from_bytes
from shoploop.ranking.ranker import Ranker

LOOK_SECONDS = 0.1


class Following:
    """A ranker that is replaced by a newer one."""

    def __init__(self, ranker: Ranker, folder: Path | None):
        """
        Args:
            ranker: The version as it was packaged.
            folder: That an updater writes to; None follows nothing.
        """
        self.ranker = ranker
        """What answers now."""

        self.refused = 0
        """Updates that were not served, since they could not be verified."""

        self._newest_since = time.time()
        """When it was last known that nothing newer is to be served; until then, when this was made."""

        self._served_newest = True
        self._base = ranker
        self._folder = folder
        self._seen: tuple[int, int] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def configured(cls, ranker: Ranker) -> "Following":
        """As the environment says."""
        folder = os.environ.get(ENVIRONMENT)
        return cls(ranker, Path(folder) if folder else None)

    def age_seconds(self) -> float:
        """Since what is served was last known to be what the chain serves; 0 where nothing is followed."""
        if self._folder is None:
            return 0.0
        if self._served_newest:
            with suppress(OSError):
                self._newest_since = max(self._newest_since, (self._folder / LOOKED).stat().st_mtime)
        return max(time.time() - self._newest_since, 0.0)

    def look(self) -> bool:
        """Serves what is newest; returns whether that changed."""
        if self._folder is None:
            return False
        try:
            facts = (self._folder / POINTER).stat()
        except FileNotFoundError:
            return False
        seen = (facts.st_mtime_ns, facts.st_ino)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self.ranker = self._newest(self._folder)
        except (ArtifactCorrupt, OSError, ValueError) as error:
            self.refused += 1
            self._served_newest = False
            logging.getLogger(__name__).warning("An online update is not served: %s", error)
            return False
        self._served_newest = True
        return True

    def start(self, *, on_look: Callable[[], None] = lambda: None) -> None:
        """Looks once, then again and again in a thread until :meth:`stop`.

        Args:
            on_look: Called after each look.
        """
        self.look()
        on_look()
        if self._folder is not None:
            self._thread = threading.Thread(target=self._follow, args=(on_look,), name="online-updates", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self, on_look: Callable[[], None]) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.look()
            on_look()

    def _newest(self, folder: Path) -> Ranker:
        pointer = Pointer.read(folder)
        if pointer.version != self._base.version:
            raise ArtifactCorrupt(f"it is on top of {pointer.version}, and {self._base.version} is served")
        file = folder / file_name(pointer.sha256)
        body = file.read_bytes()
        if hashlib.sha256(body).hexdigest() != pointer.sha256:
            raise ArtifactCorrupt(f"{file} was altered")
        vectors_ID, bias_I = self._base.items()
        rows = from_bytes(body, width=vectors_ID.shape[1], what=str(file))
        if len(rows) and not 0 <= rows.codes_N.min() <= rows.codes_N.max() < len(bias_I):
            raise ArtifactCorrupt(f"{file} holds items that {self._base.version} does not know")
        if not (np.isfinite(rows.vectors_ND).all() and np.isfinite(rows.bias_N).all()):
            raise ArtifactCorrupt(f"{file} holds NaN or infinity")
        if not pointer.commit:
            return self._base
        vectors_ID, bias_I = vectors_ID.copy(), bias_I.copy()
        if len(rows):
            vectors_ID[rows.codes_N], bias_I[rows.codes_N] = rows.vectors_ND, rows.bias_N
        return self._base.with_items(vectors_ID, bias_I, commit=pointer.commit)
