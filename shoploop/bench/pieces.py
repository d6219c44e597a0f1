"""Pieces of a long benchmark, kept in a folder, so that one that was broken off goes on where it was.

A piece is kept under a digest of the code that made it; another version of the code makes it anew.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from shoploop.code_digest import code_digest

Arrays = dict[str, np.ndarray[Any, np.dtype[np.float64]]]


class Pieces:
    """Makes each piece once; without a folder it makes them all."""

    def __init__(self, folder: Path | None, module: str):
        """
        Args:
            module: The benchmark's; its code and all that it reaches is what pieces are kept under.
        """
        self.folder = folder / code_digest(module)[:12] if folder else None
        if self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)

    def has(self, name: str) -> bool:
        """Whether such a piece is kept."""
        paths = [self._path(f"{name}.{kind}") for kind in ("json", "npz")]
        return any(path is not None and path.exists() for path in paths)

    def numbers(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A piece of JSON."""
        path = self._path(f"{name}.json")
        if path and path.exists():
            kept: dict[str, Any] = json.loads(path.read_bytes())
            return kept
        made = make()
        if path:
            aside = path.with_suffix(".part")
            aside.write_text(json.dumps(made))
            aside.replace(path)
        return made

    def arrays(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """A piece of arrays by name."""
        path = self._path(f"{name}.npz")
        if path and path.exists():
            with np.load(path, allow_pickle=False) as kept:
                return {key: kept[key] for key in kept.files}
        made = make()
        if path:
            aside = path.with_suffix(".part")
            with aside.open("wb") as file:
                np.savez(file, allow_pickle=False, **made)
            aside.replace(path)
        return made

    def _path(self, file: str) -> Path | None:
        return self.folder / file.replace(" ", "-") if self.folder else None
