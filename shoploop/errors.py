"""Every error that shoploop raises on purpose.

::

    ShoploopError                what happened to which thing, and what to do
    ├── UserError                somebody has to change a file, a flag or a spec; exit code 2
    │   ├── SpecInvalid          the recommender.yaml breaks a rule
    │   ├── DataUnreadable       a table is missing, unreadable or of no known format
    │   ├── PictureUnreadable    a picture is none, is too large, or lies where none may be read
    │   ├── SchemaMismatch       a column is missing, misspelt or of another type
    │   ├── TableEmpty           a table, or a column it needs, holds nothing
    │   ├── TooFewEvents         not enough history to split, train and evaluate on
    │   ├── ValidationFailed     the data breaks an expectation whose failure stops the run
    │   ├── NotFound             no such recommender, run, version or step
    │   ├── PortInUse            something else listens on the port
    │   ├── KeyUnusable          a key to sign or verify with is missing, unreadable or of another kind
    │   └── AlreadyThere         a file that must not be overwritten exists
    ├── ArtifactError            a stored model must not be used
    │   ├── ArtifactCorrupt      bytes, names, shapes or values differ from its manifest
    │   ├── ArtifactForeign      it is no shoploop artifact, one of another format, or another recommender's or version's
    │   ├── ArtifactUnsigned     nobody signed it, and a signature is asked for
    │   ├── KeyUntrusted         only keys that are not trusted have signed it
    │   ├── SignatureInvalid     its signature is not the key's that it claims to be
    │   └── ContractMismatch     it was trained on other features than those at hand
    ├── PeerLost                 of processes that work together one has ended, or cannot be reached
    └── StoreError
        ├── StoreUnavailable     it cannot be read or written
        ├── DiskFull             no space is left, or a limit is reached
        └── AlreadyExists        a put-if-absent lost: another writer was first

Other rooms hang their own errors below these; none derives from Exception directly.
"""

import re
from typing import Any


class ShoploopError(Exception):
    """Base of all errors raised on purpose. None tells the passwords of addresses, whatever named them."""

    exit_code = 1

    def __init__(self, *said: object):
        super().__init__(*(without_passwords(one) if isinstance(one, str) else one for one in said))


class UserError(ShoploopError):
    exit_code = 2


class SpecInvalid(UserError):
    pass


class DataUnreadable(UserError):
    pass


class PictureUnreadable(UserError):
    pass


class SchemaMismatch(UserError):
    pass


class TableEmpty(UserError):
    pass


class TooFewEvents(UserError):
    pass


class ValidationFailed(UserError):
    pass


class NotFound(UserError):
    pass


class PortInUse(UserError):
    pass


class KeyUnusable(UserError):
    pass


class AlreadyThere(UserError):
    pass


class ArtifactError(ShoploopError):
    exit_code = 2


class ArtifactCorrupt(ArtifactError):
    pass


class ArtifactForeign(ArtifactError):
    pass


class ArtifactUnsigned(ArtifactError):
    pass


class KeyUntrusted(ArtifactError):
    pass


class SignatureInvalid(ArtifactError):
    pass


class ContractMismatch(ArtifactError):
    pass


class PeerLost(ShoploopError):
    pass


class StoreError(ShoploopError):
    exit_code = 2


class StoreUnavailable(StoreError):
    pass


class DiskFull(StoreError):
    pass


class AlreadyExists(StoreError):
    pass


def without_passwords(text: str) -> str:
    """A text without the passwords of the addresses in it."""
    text = re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:...@", text)
    return re.sub(r"(?i)([?&](?:ssl)?password=)[^&\s'\"]+", r"\1...", text)


def with_no_passwords(document: Any) -> Any:
    """A document of JSON without the passwords of the addresses in its texts."""
    match document:
        case str():
            return without_passwords(document)
        case dict():
            return {name: with_no_passwords(value) for name, value in document.items()}
        case list():
            return [with_no_passwords(value) for value in document]
        case _:
            return document


def first_line(error: BaseException) -> str:
    """What went wrong, without the hints for programmers that a library's message goes on with."""
    return str(error).strip().partition("\n")[0].rstrip(".")
