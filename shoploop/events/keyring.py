"""Secret keys from a folder of files, which may be exchanged while a predictor runs.

``<key id>.key`` holds 32 random bytes or more, in base64. The newest file signs, all of them verify: a new key is laid beside
the old one, and the old one is removed when everything that it signed has expired. A key whose file is gone counts no more
from the next look on. A Secret that is mounted as a folder works the same way, but that Kubernetes writes all of its files
anew at each change: there the last in the order of the names signs.
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
from shoploop.events.watched import Watched
from shoploop.store import disk

SUFFIX = ".key"
KEY_BYTES = 32
MOUNTED = "..data"
"""What Kubernetes calls the folder of a mounted Secret's files as they are now."""

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class SecretKey:
    id: str
    secret: bytes = field(repr=False)


class Keyring:
    """The keys of a folder as they are now. One instance serves all threads of a process."""

    def __init__(self, folder: Path, *, may_be_empty: bool = False, clock: Callable[[], float] = time.monotonic):
        """Reads the folder.

        Args:
            folder: Of the key files; one that is not there holds none.
            may_be_empty: There may be no key now; one that comes later is seen.
            clock: Seconds.

        Raises:
            KeyUnusable: it holds no key, or one that is too short or no base64.
        """
        self.folder = folder
        keys = _read(folder)
        if not keys and not may_be_empty:
            raise _none(folder)
        self._keys: Watched[dict[str, SecretKey]] = Watched(
            lambda: _read(folder),
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
    def newest(self) -> SecretKey:
        """The key to sign with.

        Raises:
            KeyUnusable: there is none any more.
        """
        for key in self._keys.now.values():
            return key
        raise _none(self.folder)

    def get(self, id: str) -> SecretKey | None:
        """The key of this id; None where it was never there, or is not any more."""
        return self._keys.now.get(id)

    def holds(self, secret: bytes) -> SecretKey | None:
        """The key that ``secret`` is, in base64; None where it is none. The time it takes does not tell how much is right."""
        found = None
        for key in self._keys.now.values():
            if secrets.compare_digest(base64.b64encode(key.secret), secret):
                found = key
        return found


def add_key(folder: Path) -> SecretKey:
    """Lays a new random key into the folder, readable by its owner only."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = SecretKey(f"{int(time.time())}-{secrets.token_hex(3)}", secrets.token_bytes(KEY_BYTES))
    path = folder / f"{key.id}{SUFFIX}"
    with disk.whole_path(path) as aside:
        aside.touch(mode=0o600)
        aside.write_bytes(base64.b64encode(key.secret) + b"\n")
    return key


def _read(folder: Path) -> dict[str, SecretKey]:
    """The folder's keys by id, newest first."""
    if not folder.exists():
        return {}
    try:
        paths = [path for path in folder.iterdir() if path.name.endswith(SUFFIX) and ID.fullmatch(path.stem)]
        mounted = (folder / MOUNTED).is_symlink()
        paths.sort(key=lambda path: (0 if mounted else path.stat().st_mtime_ns, path.name), reverse=True)
        return {path.stem: _key(path) for path in paths}
    except OSError as error:
        raise KeyUnusable(f"The keys in {folder} cannot be read: {error.strerror}.") from error


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
