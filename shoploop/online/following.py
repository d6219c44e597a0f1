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
        self._told: tuple[int, int] | None = None
        self._looking = threading.Lock()

    @property
    def folder(self) -> Path | None:
        """That is followed."""
        return self._folder

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
        with self._looking:  # of two looks at once the one that began first must not end last
            return self._look(self._folder)

    def _look(self, folder: Path) -> bool:
        try:
            facts = (folder / POINTER).stat()
        except FileNotFoundError:
            return False
        except OSError:  # such as a volume that is gone for a moment: what is served goes on, and its age says so
            self._seen, self._served_newest = None, False
            return False
        seen = (facts.st_mtime_ns, facts.st_ino)
        if seen == self._seen:
            return False
        try:
            self.ranker = self._newest(folder)
        except (ArtifactCorrupt, OSError, ValueError) as error:
            if not isinstance(error, OSError):  # what cannot be read now may be read at the next look
                self._seen = seen
            if seen != self._told:
                self._told = seen
                self.refused += 1
                logging.getLogger(__name__).warning("An online update is not served: %s", error)
            self._served_newest = False
            return False
        self._seen, self._served_newest = seen, True
        return True

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


class Followings:
    """What each version that may answer in one process has learned: the one that serves, and those beside it."""

    def __init__(self, ranker: Ranker, folder: Path | None):
        """
        Args:
            ranker: The version as it was packaged.
            folder: That an updater writes to; None follows nothing.
        """
        self._by_version = {ranker.version: Following(ranker, folder)}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def configured(cls, ranker: Ranker) -> "Followings":
        """As the environment says."""
        folder = os.environ.get(ENVIRONMENT)
        return cls(ranker, Path(folder) if folder else None)

    @property
    def refused(self) -> int:
        """Updates that were not served, since they could not be verified."""
        return sum(following.refused for following in tuple(self._by_version.values()))

    def of(self, ranker: Ranker) -> Ranker:
        """The same version with what was learned since, as far as that is known here."""
        following = self._by_version.get(ranker.version)
        return following.ranker if following else ranker

    def age_seconds(self, ranker: Ranker) -> float:
        """Since what this version answers with was last known to be what its chain serves; 0 where it follows none."""
        following = self._by_version.get(ranker.version)
        return following.age_seconds() if following else 0.0

    def begin(self, ranker: Ranker, folder: Path | None) -> None:
        """Follows one version more, and knows on return what its folder holds now: before it answers anybody.

        Args:
            ranker: The version as it was packaged.
            folder: That its updater writes to; None follows nothing of it, or goes on with what was followed.
        """
        following = self._by_version.get(ranker.version)
        if folder is not None and (following is None or following.folder != folder):
            following = Following(ranker, folder)
        if following is not None:
            following.look()
            self._by_version = self._by_version | {ranker.version: following}

    def forget(self, version: str) -> None:
        """Follows that version no longer."""
        self._by_version = {name: following for name, following in self._by_version.items() if name != version}

    def look(self) -> None:
        """Has each version serve what is newest of it."""
        for following in tuple(self._by_version.values()):
            following.look()

    def start(self, *, on_look: Callable[[], None] = lambda: None) -> None:
        """Looks once, then again and again in a thread until :meth:`stop`.

        Args:
            on_look: Called after each look.
        """
        self.look()
        on_look()
        self._thread = threading.Thread(target=self._follow, args=(on_look,), name="online-updates", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self, on_look: Callable[[], None]) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            try:
                self.look()
                on_look()
            except Exception:  # a defect, which must not end the thread: nothing learned would be served any more
                logging.getLogger(__name__).exception("What was learned cannot be followed.")
