"""The file that an updater moves into place last, and that a predictor looks at: which rows are served."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from shoploop.store import disk

POINTER = "current.json"
LOOKED = "looked"
"""A file whose time says when the updater last saw that this is what the chain serves."""

ENVIRONMENT = "SHOPLOOP_ONLINE_UPDATES"
"""Environment variable: the folder that an updater writes to. Unset: the version is served as it was trained."""


@dataclass(frozen=True, kw_only=True)
class Pointer:
    """What is served."""

    version: str
    """That the rows lie on top of."""

    commit: int
    """0 is the version as it was trained."""

    sha256: str
    """Of the rows."""

    def write(self, folder: Path) -> None:
        """Moves it into place; durable on return."""
        disk.write_json(folder / POINTER, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Pointer":
        """What ``folder`` points to.

        Raises:
            OSError: there is none.
            ValueError: it is none.
        """
        try:
            found = json.loads((folder / POINTER).read_text())
            return cls(version=str(found["version"]), commit=int(found["commit"]), sha256=str(found["sha256"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{folder / POINTER} points to nothing: {error!r}") from error


def file_name(sha256: str) -> str:
    """Of rows, beside the pointer."""
    return f"{sha256}.safetensors"
