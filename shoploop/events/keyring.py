"""Secret keys from a folder of files, which may be exchanged while a predictor runs.

``<key id>.key`` holds 32 random bytes or more, in base64. All of them verify, and the newest signs: a new key is laid beside
the old one, and the old one is removed when everything that it signed has expired. A Secret that is mounted as a folder works
the same way, but that Kubernetes writes all of its files anew at each change: there the last in the order of the names is
the newest. Kubernetes brings it to one node sooner than to another, so a new key signs only when the others have it, too.

Each file is judged by itself. One that is no key is told and passed over, and a key whose file is gone, or holds something
else, counts no more from the next look on, whatever lies beside it.
"""

import base64
import binascii
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shoploop.errors import KeyUnusable
from shoploop.events.watched import Complaints, Watched
from shoploop.store import disk

SUFFIX = ".key"
KEY_BYTES = 32
SETTLED_SECONDS = 300.0
"""A key is there so long before it signs, where there is another: a kubelet brings what is new in a Secret in two minutes."""

MOUNTED = "..data"
"""What Kubernetes calls the folder of a mounted Secret's files as they are now."""

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class SecretKey:
    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True)
class _Laid:
    key: SecretKey
    since: float
    """By the keyring's clock: when it was first seen, or its file was written where that was before the first look. Not the
    file's time alone: a copy may bring that of another machine, and a mounted Secret's is that of its last change."""


class Keyring:
    """The keys of a folder as they are now. One instance serves all threads of a process."""

    def __init__(self, folder: Path, *, may_be_empty: bool = False, clock: Callable[[], float] = time.monotonic):
        """Reads the folder.

        Args:
            folder: Of the key files; one that is not there holds none.
            may_be_empty: There may be no key now; one that comes later is seen.
            clock: Seconds.

        Raises:
            KeyUnusable: it cannot be read, or holds no key, perhaps one that is too short or no base64.
        """
        self.folder = folder
        self._clock = clock
        self._complaints = Complaints()
        self._since: dict[SecretKey, float] | None = None
        keys = self._look()
        if not keys and not may_be_empty:
            raise _none(folder)
        self._keys: Watched[dict[str, _Laid]] = Watched(
            self._look,
            keys,
            errors=(KeyUnusable,),
            goes_on=lambda _, error: f"{error} The keys that were read before go on.",
            clock=clock,
        )

    @classmethod
    def made(cls, folder: Path) -> "Keyring":
        """The keyring of a folder that is made, with one key, where it is not there."""
        if not any(folder.glob(f"*{SUFFIX}")):
            add_key(folder)
        return cls(folder)

    @property
    def signing(self) -> SecretKey:
        """The key to sign with: the newest that everybody has by now. Where that is not known of any, as by a pod that has
        just mounted them, the one before the newest.

        Raises:
            KeyUnusable: there is none any more.
        """
        keys = list(self._keys.now.values())
        if not keys:
            raise _none(self.folder)
        settled = self._clock() - SETTLED_SECONDS
        return next((each.key for each in keys if each.since <= settled), keys[1 if len(keys) > 1 else 0].key)

    def get(self, id: str) -> SecretKey | None:
        """The key of this id; None where it was never there, or is not any more."""
        found = self._keys.now.get(id)
        return found.key if found else None

    def holds(self, secret: bytes) -> SecretKey | None:
        """The key that ``secret`` is, in base64; None where it is none. The time it takes does not tell how much is right."""
        found = None
        for each in self._keys.now.values():
            if secrets.compare_digest(base64.b64encode(each.key.secret), secret):
                found = each.key
        return found

    def _look(self) -> dict[str, _Laid]:
        """The folder's keys by id, newest first."""
        found, bad = _read(self.folder)
        self._complaints.tell(f"{error} It is passed over." for error in bad)
        now = self._clock()
        if self._since is None:
            self._since = {key: now - age for key, age in found}
        self._since = {key: self._since.get(key, now) for key, _ in found}
        return {key.id: _Laid(key, since) for key, since in self._since.items()}


def add_key(folder: Path) -> SecretKey:
    """Lays a new random key into the folder, readable by its owner only."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = SecretKey(f"{int(time.time())}-{secrets.token_hex(3)}", secrets.token_bytes(KEY_BYTES))
    path = folder / f"{key.id}{SUFFIX}"
    with disk.whole_path(path) as aside:
        aside.touch(mode=0o600)
        aside.write_bytes(base64.b64encode(key.secret) + b"\n")
    return key


def _read(folder: Path) -> tuple[list[tuple[SecretKey, float]], list[KeyUnusable]]:
    """The folder's keys, newest first, with the seconds since their files were written, and what is wrong with the others."""
    if not folder.exists():
        return [], []
    try:
        paths = [path for path in folder.iterdir() if path.name.endswith(SUFFIX) and ID.fullmatch(path.stem)]
        mounted = (folder / MOUNTED).is_symlink()
    except OSError as error:
        raise KeyUnusable(f"The keys in {folder} cannot be read: {error.strerror}.") from error
    found: list[tuple[float, SecretKey]] = []
    bad: list[KeyUnusable] = []
    for path in paths:
        try:
            found.append((path.stat().st_mtime, _key(path)))
        except FileNotFoundError:
            continue  # it was taken away just now
        except OSError as error:
            bad.append(KeyUnusable(f"{path} cannot be read: {error.strerror}."))
        except KeyUnusable as error:
            bad.append(error)
    found.sort(key=lambda each: (0.0 if mounted else each[0], each[1].id), reverse=True)
    now = time.time()
    return [(key, max(now - written, 0.0)) for written, key in found], bad


def _none(folder: Path) -> KeyUnusable:
    return KeyUnusable(f"{folder} holds no key. A key is a file NAME{SUFFIX} of {KEY_BYTES} random bytes in base64.")


def _key(path: Path) -> SecretKey:
    try:
        secret = base64.b64decode(path.read_bytes().strip(), validate=True)
    except (ValueError, binascii.Error) as error:
        raise KeyUnusable(f"{path} is no base64.") from error
    if len(secret) < KEY_BYTES:
        raise KeyUnusable(f"{path} has {len(secret)} bytes, and a key has {KEY_BYTES} or more.")
    return SecretKey(path.stem, secret)
