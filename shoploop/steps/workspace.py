"""One recommender's part of a store as this machine sees it: what lies there is brought here, what is made here goes there.

Where the store is a folder, both are the same place and nothing is copied. It must not know what the files mean.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shoploop.errors import StoreUnavailable
from shoploop.hints import beside_the_user
from shoploop.resuming.kept_work import KeptWork
from shoploop.steps.index import Entry, Index
from shoploop.store import Store, disk, layout
from shoploop.versions.signing import Trust

INCUMBENT_DAYS = 1
"""How long the copy of a version stays that another is compared with, once a further one is fetched: who shares this home may
be at work with it."""


def home_of(store: Store) -> Path:
    """Where the work lies on this machine: in the store where that is a folder, else beside the user."""
    return store.folder or beside_the_user()


class Workspace:
    def __init__(self, store: Store, name: str, home: Path | None = None):
        """
        Args:
            home: Where files lie on this machine; it only counts for a store that is no folder. Unset: beside the user.
        """
        self.store, self.name = store, name
        self.home = store.folder or home or home_of(store)
        self.index = Index(store, name)

    def path(self, key: str) -> Path:
        """Where ``key`` lies on this machine, or will.

        Raises:
            StoreUnavailable: it leads out of the folder of this machine: some file of the store names it, and is damaged.
        """
        if not disk.is_inner(key):
            raise StoreUnavailable(f"{self.store.uri} names {key!r}, which is nothing of it. Bring back what names it.")
        return self.home / key

    def folder(self, key: str) -> Path:
        """A folder of the store on this machine; it comes as a whole or not at all."""
        target = self.path(key)
        if self.store.folder is None and not target.exists():
            self._fetch(key, target)
        return target

    def output(self, entry: Entry) -> Path:
        """What a step wrote, on this machine; what lies here but is not whole is fetched anew."""
        target = self.path(entry.folder)
        if self.store.folder is None and not entry.is_whole(sizes_of(target)):
            self._fetch(entry.folder, target)
        return target

    def keep(self, folder: Path) -> str:
        """Sees to it that a folder made here is in the store; returns its key there."""
        key = folder.relative_to(self.home).as_posix()
        if self.store.folder is None:
            self.store.put_folder(key, folder)
        return key

    @contextmanager
    def cache(self) -> Iterator[Path]:
        """The folder where steps keep work that outlives a killed one.

        For a store that is no folder it is brought there while the step works, and once more however the step ends.
        """
        key = layout.steps_cache(self.name)
        local = self.path(key)
        local.mkdir(parents=True, exist_ok=True)
        if self.store.folder is not None:
            yield local
            return
        kept = KeptWork(self.store, key, local)
        kept.fetch()
        with kept.followed():
            yield local

    def incumbent(self, version: str, trust: Trust) -> Path:
        """A copy of a version, verified and made anew, for a comparison; one that is gone leaves no folder. Earlier ones go.

        See :func:`~shoploop.versions.stored.fetch_incumbent`.
        """
        from shoploop.versions.stored import fetch_incumbent

        folder = self.path(layout.incumbent(self.name, version))
        _remove_older(folder, time.time() - INCUMBENT_DAYS * 86400)
        return fetch_incumbent(self.store, self.name, version, folder, trust)

    def collected(self, through: int) -> Path:
        """Interactions from the event log up to a cut, on this machine."""
        from shoploop.events.cuts import fetch_collected

        return fetch_collected(self.store, self.name, through, self.path(layout.collected_here(self.name)))

    def _fetch(self, key: str, target: Path) -> None:
        with disk.whole_folder(target, replace=True) as aside:
            self.store.get_folder(key, aside)


def _remove_older(folder: Path, before: float) -> None:
    """Removes what lies beside ``folder`` and was made before that, seconds since 1970."""
    for other in folder.parent.glob("*"):
        with suppress(FileNotFoundError):
            if other != folder and other.stat().st_mtime < before:
                shutil.rmtree(other, ignore_errors=True)


def sizes_of(folder: Path) -> dict[str, int]:
    """Bytes of every file below ``folder``, by its path in there."""
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()
    }
