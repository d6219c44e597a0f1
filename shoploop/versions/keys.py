"""Ed25519 keys: made, read and named.

A private key comes from the environment alone, so that only the process that signs can have one; public keys may also
stand in a spec. It must not know what is signed.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from shoploop.errors import AlreadyThere, KeyUnusable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNING_KEY = "SHOPLOOP_SIGNING_KEY"
"""Environment variable: an Ed25519 private key in PEM, or the path of its file. Unset: nothing is signed."""

TRUSTED_KEYS = "SHOPLOOP_TRUSTED_KEYS"
"""Environment variable: Ed25519 public keys in PEM one after another, or paths of files or folders of ``*.pub`` files,
separated by colons."""

PRIVATE, PUBLIC = ".key", ".pub"
PRIVATE_MODE, PUBLIC_MODE = 0o600, 0o644
BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)

PublicKeys = Mapping[str, "Ed25519PublicKey"]
"""By their ids."""


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Somebody who can sign."""

    id: str
    """Of the key that verifies the signatures."""

    key: "Ed25519PrivateKey"

    @classmethod
    def configured(cls) -> "Signer | None":
        """The one whose key the environment names; None where it names none.

        Raises:
            KeyUnusable: it cannot be read, or is no Ed25519 private key.
        """
        value = os.environ.get(SIGNING_KEY)
        if not value:
            return None
        return signer(value.encode() if "-----BEGIN" in value else _read(Path(value), SIGNING_KEY), SIGNING_KEY)

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        return self.key.sign(data)


def signer(pem: bytes, source: str) -> Signer:
    """Whoever holds the private key in ``pem``; errors name ``source``.

    Raises:
        KeyUnusable: it is no Ed25519 private key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(f"{source} holds no private key in PEM that can be read: {error}. {_MAKE}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{source} holds a private key of another kind than Ed25519. {_MAKE}")
    return Signer(id=key_id(key.public_key()), key=key)


def trusted_keys() -> PublicKeys:
    """The public keys that the environment names.

    Raises:
        KeyUnusable: one cannot be read, is of another kind, or is private; or a place that is named holds none.
    """
    value = os.environ.get(TRUSTED_KEYS)
    if not value:
        return {}
    if "-----BEGIN" in value:
        return public_keys(value.encode(), TRUSTED_KEYS)
    found: dict[str, Ed25519PublicKey] = {}
    for name in filter(None, value.split(os.pathsep)):
        place = Path(name)
        files = sorted(place.glob(f"*{PUBLIC}")) if place.is_dir() else [place]
        if not files:
            raise KeyUnusable(f"{TRUSTED_KEYS} names the folder {place}, which holds no *{PUBLIC} file. {_MAKE}")
        for file in files:
            found |= public_keys(_read(file, TRUSTED_KEYS), str(file))
    return found


def public_keys(pem: bytes, source: str) -> PublicKeys:
    """The public keys that stand in ``pem`` one after another, at least one; errors name ``source``.

    Raises:
        KeyUnusable: there is none, or one is of another kind, or private.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    found: dict[str, Ed25519PublicKey] = {}
    for block in BLOCK.finditer(pem):
        if b"PRIVATE" in block[1]:
            raise KeyUnusable(f"{source} holds a private key where a public one belongs. Name the *{PUBLIC} file.")
        try:
            key = load_pem_public_key(block[0])
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyUnusable(f"{source} holds a public key that cannot be read: {error}. {_MAKE}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise KeyUnusable(f"{source} holds a public key of another kind than Ed25519. {_MAKE}")
        found[key_id(key)] = key
    if not found:
        raise KeyUnusable(f"{source} holds no public key in PEM. {_MAKE}")
    return found


def key_id(key: "Ed25519PublicKey") -> str:
    """16 hexadecimal digits: the beginning of the sha256 of what ``openssl pkey -pubin -outform DER`` writes."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()[:16]


def new_pair(name: Path) -> Signer:
    """Makes a pair and writes it to ``<name>.key``, which only its owner may read, and ``<name>.pub``.

    Raises:
        AlreadyThere: one of the files exists; nothing was written.
        KeyUnusable: the files cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    files = {PRIVATE: (private, PRIVATE_MODE), PUBLIC: (public, PUBLIC_MODE)}
    paths = {ending: name.with_name(name.name + ending) for ending in files}
    if there := [str(path) for path in paths.values() if path.exists()]:
        raise AlreadyThere(f"{' and '.join(there)} exist, and a key that is lost cannot be made again. Name another.")
    for ending, (content, mode) in files.items():
        _write_new(paths[ending], content, mode)
    return Signer(id=key_id(key.public_key()), key=key)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise AlreadyThere(f"{path} exists, and a key that is lost cannot be made again. Name another.") from error
    except OSError as error:
        raise KeyUnusable(f"{path} cannot be written: {error.strerror}. Name a place where you may write.") from error


_MAKE = "`shoploop keys new NAME` makes a pair."


def _read(path: Path, variable: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyUnusable(f"{variable} names {path}, which cannot be read: {error.strerror}.") from error
