"""Ed25519 signatures of manifests, where keys are configured.

It must not know what the signed bytes say. Keys come from the environment, so that a training pod holds the private one
and a predictor only the public one.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from shoploop.errors import SignatureInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNING_KEY = "SHOPLOOP_SIGNING_KEY"
"""Environment variable: an Ed25519 private key in PEM, or the path of its file. Unset: nothing is signed."""

VERIFY_KEY = "SHOPLOOP_VERIFY_KEY"
"""Environment variable: the Ed25519 public key in PEM, or its file's path. Unset: signatures are not looked at."""


def sign(data: bytes) -> bytes | None:
    """The signature of ``data``, 64 bytes; None where no signing key is configured.

    Raises:
        SignatureInvalid: the configured key cannot be read, or is of another kind.
    """
    key = _signing_key()
    return key.sign(data) if key else None


def check_signature(data: bytes, signature: bytes | None, what: str) -> None:
    """Refuses ``data`` unless it was signed with the private half of the verify key; without such a key it passes.

    Args:
        data: The signed bytes.
        signature: As :func:`sign` gave it; None where there is none.
        what: How the error names the thing.

    Raises:
        SignatureInvalid: not signed, signed with another key, changed since, or the verify key cannot be read.
    """
    key = _verify_key()
    if key is None:
        return
    from cryptography.exceptions import InvalidSignature

    if signature is None:
        raise SignatureInvalid(
            f"{what} is not signed, and {VERIFY_KEY} asks for a signature. Set {SIGNING_KEY} where versions are "
            f"trained, or unset {VERIFY_KEY}."
        )
    try:
        key.verify(signature, data)
    except InvalidSignature as error:
        raise SignatureInvalid(
            f"{what} was not signed with the key that {VERIFY_KEY} names, or was changed since. Do not use it."
        ) from error


def _signing_key() -> "Ed25519PrivateKey | None":
    pem = _pem(SIGNING_KEY)
    if pem is None:
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise SignatureInvalid(f"{SIGNING_KEY} holds no private key in PEM: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureInvalid(
            f"{SIGNING_KEY} holds a key of another kind. Make one: openssl genpkey -algorithm ed25519"
        )
    return key


def _verify_key() -> "Ed25519PublicKey | None":
    pem = _pem(VERIFY_KEY)
    if pem is None:
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except ValueError as error:
        raise SignatureInvalid(f"{VERIFY_KEY} holds no public key in PEM: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureInvalid(f"{VERIFY_KEY} holds a key of another kind. Make one: openssl pkey -in KEY -pubout")
    return key


def _pem(variable: str) -> bytes | None:
    value = os.environ.get(variable)
    if not value:
        return None
    if value.lstrip().startswith("-----BEGIN"):
        return value.encode()
    try:
        return Path(value).read_bytes()
    except OSError as error:
        raise SignatureInvalid(f"{variable} names {value}, which cannot be read: {error.strerror}.") from error
