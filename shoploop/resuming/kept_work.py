"""Work that a step keeps for a later execution, in a store that is no folder: there and back, also while the step works.

A pod that is killed takes its disk along. What the step has renamed into place is therefore brought to the store every few
seconds: first the file under its digest, then the list of all files, which is replaced whole. Whoever fetches believes the
list, and a file only if its bytes have the digest that the list says. A store is not trusted with where files go: a name
that leads out of the folder is not looked at. It must not know what the files mean.
"""

import json
import logging
import os
import re
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shoploop.errors import NotFound, ShoploopError
from shoploop.store import Store, disk

LIST, FILES = "list.json", "files"
SECONDS_BETWEEN = 5.0
DIGEST = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger(__name__)


class KeptWork:
    """One folder of this machine and its like in the store."""

    def __init__(self, store: Store, key: str, local: Path):
        self.store, self.key, self.local = store, key, local
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._digests: dict[str, str] = {}
        """Of the files that the store's list names, by their path in the folder."""

    def fetch(self) -> None:
        """Brings what is kept; what is not whole is left out, and so is done again."""
        self.local.mkdir(parents=True, exist_ok=True)
        whole = self.local.resolve()
        for name, digest in _listed(self.store, self.key).items():
            target = self.local / name
            if not target.resolve().is_relative_to(whole):  # by a link
                _warn_of(self.store, self.key, name)
                continue
            if target.exists():  # a step was here before, and got at least as far
                if disk.digest_of(target) == digest:
                    self._digests[name], self._seen[name] = digest, _mark(target)
                continue
            try:
                self.store.get_file(f"{self.key}/{FILES}/{digest}", target)
            except NotFound:
                continue
            if disk.digest_of(target) != digest:
                target.unlink()
                log.warning(
                    "%s was kept by half: it is not used, and made again.", self.store.url(f"{self.key}/{name}")
                )
                continue
            self._digests[name], self._seen[name] = digest, _mark(target)

    def push(self) -> None:
        """Brings to the store what has changed, and then removes what no list names any more."""
        # os.walk, unlike rglob, goes on where a folder was moved away since it was listed
        files = sorted(Path(folder, name) for folder, _, names in os.walk(self.local) for name in names)
        found = {str(path.relative_to(self.local)): path for path in files if self._is_whole(path)}
        digests, seen = {}, {}
        for name, path in found.items():
            with suppress(FileNotFoundError):  # the step has removed it since
                seen[name] = _mark(path)
                digests[name] = self._digests[name] if self._seen.get(name) == seen[name] else self._upload(path)
        if digests == self._digests:
            return
        self.store.put(f"{self.key}/{LIST}", json.dumps(digests, sort_keys=True).encode())
        for digest in set(self._digests.values()) - set(digests.values()):
            self.store.delete(f"{self.key}/{FILES}/{digest}")
        self._digests, self._seen = digests, seen

    @contextmanager
    def followed(self, every: float = SECONDS_BETWEEN) -> Iterator[None]:
        """Pushes every so many seconds, and once more on leaving. A store that does not answer for once stops no step."""
        done = threading.Event()

        def follow() -> None:
            while not done.wait(every):
                self._push_or_warn()

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            done.set()
            thread.join()
            self._push_or_warn()  # what the step did before it failed; its own error is the one to tell
            raise
        done.set()
        thread.join()
        self.push()

    def _push_or_warn(self) -> None:
        try:
            self.push()
        except ShoploopError as error:
            log.warning("What the step keeps could not be brought to the store: %s", error)

    def _is_whole(self, path: Path) -> bool:
        """What begins with a dot, or lies in such a folder, was not renamed into place: see :mod:`shoploop.store.disk`."""
        return path.is_file() and not any(part.startswith(".") for part in path.relative_to(self.local).parts)

    def _upload(self, path: Path) -> str:
        with tempfile.TemporaryDirectory(dir=self.local.parent) as folder:
            # a second name of the same bytes: the step may put other ones into the file's place meanwhile
            copy = Path(folder) / path.name
            disk.link_file(path, copy)
            digest = disk.digest_of(copy)
            self.store.put_file(f"{self.key}/{FILES}/{digest}", copy)
        return digest


def kept_since(store: Store, key: str) -> dict[str, float]:
    """Names of what is kept, and when each was brought, seconds since 1970; a list that cannot be read names nothing."""
    listed = _listed(store, key)
    if not listed:
        return {}
    brought = {facts["path"]: facts["last_modified"].timestamp() for facts in store.list_facts(f"{key}/{FILES}")}
    files = {name: f"{key}/{FILES}/{digest}" for name, digest in listed.items()}
    return {name: brought[file] for name, file in files.items() if file in brought}


def forget(store: Store, key: str, names: Collection[str]) -> None:
    """Removes what is kept under these names; a step that works meanwhile brings what it has of them again."""
    listed = _listed(store, key)
    if not listed:
        return
    left = {name: digest for name, digest in listed.items() if name not in names}
    store.put(f"{key}/{LIST}", json.dumps(left, sort_keys=True).encode())
    for digest in set(listed.values()) - set(left.values()):
        store.delete(f"{key}/{FILES}/{digest}")


def _listed(store: Store, key: str) -> dict[str, str]:
    """What the list names, by paths below the folder; nothing where there is no list, or none that can be read."""
    try:
        listed = store.get_json(f"{key}/{LIST}")
    except (NotFound, ValueError):  # nobody has kept anything yet
        return {}
    found: dict[str, str] = {}
    for name, digest in listed.items() if isinstance(listed, dict) else ():
        if disk.is_inner(name) and isinstance(digest, str) and DIGEST.fullmatch(digest):
            found[name] = digest
        else:
            _warn_of(store, key, name)
    return found


def _warn_of(store: Store, key: str, name: str) -> None:
    log.warning("%s names %r in a way that no shoploop writes: it is left out.", store.url(f"{key}/{LIST}"), name)


def _mark(path: Path) -> tuple[int, int, int]:
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns
