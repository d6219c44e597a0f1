"""The index of steps that were carried out, by their keys: where the output of each lies."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from shoploop.store import disk


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A step that was carried out: where its output lies."""

    key: str
    run: str
    out: str
    seconds: float
    files: dict[str, int] = field(default_factory=dict)
    """Size in bytes of every file, to notice an output that somebody has touched."""

    def write(self, index: Path) -> None:
        index.mkdir(parents=True, exist_ok=True)
        disk.write_json(index / f"{self.key}.json", self.__dict__, sort_keys=True)

    @classmethod
    def find(cls, index: Path, key: str) -> "Entry | None":
        """The entry of ``key``, unless its output is gone or no longer whole."""
        try:
            entry = cls(**json.loads((index / f"{key}.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        out = Path(entry.out)
        whole = all((out / name).is_file() and (out / name).stat().st_size == n for name, n in entry.files.items())
        return entry if entry.files and whole else None
