"""The parts of long work that are done, kept in a folder, so that what was killed goes on where it was.

A stage's result is arrays and a JSON document. It must not know what they mean.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from shoploop.store import disk

Arrays = dict[str, npt.NDArray[Any]]
Document = dict[str, Any]
Result = tuple[Arrays, Document]

KEY = "key.json"


class Stages:
    """Makes each stage once; without a folder, each time that it is asked for."""

    def __init__(self, folder: Path | None, key: Mapping[str, Any]):
        """
        Args:
            folder: For these stages alone: what was kept there under another key is thrown away with all else.
            key: Everything that the results depend on, such as digests of data and code, and the seed.
        """
        self.folder = folder
        self.reused: list[str] = []
        """Stages that were found done."""

        if folder is None:
            return
        wanted, mark = json.dumps(key, sort_keys=True), folder / KEY
        if not mark.is_file() or mark.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            disk.write_text(mark, wanted)

    def __call__(self, name: str, make: Callable[[], Result]) -> Result:
        """The stage's result: what was kept of it, else what ``make`` returns, kept from then on."""
        if (kept := self._kept(name)) is not None:
            self.reused.append(name)
            return kept
        arrays, document = make()
        if self.folder is not None:
            if arrays:
                whole = {key: np.ascontiguousarray(value) for key, value in arrays.items()}
                with disk.whole_path(self._path(name, "safetensors")) as aside:
                    save_file(whole, aside)
            # the document comes last: where it lies, the stage is whole
            text = json.dumps({"arrays": sorted(arrays), "document": document})
            disk.write_text(self._path(name, "json"), text)
        return arrays, document

    def document(self, name: str, make: Callable[[], Document]) -> Document:
        """As a call, for a stage without arrays."""
        return self(name, lambda: ({}, make()))[1]

    def arrays(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """As a call, for a stage without a document."""
        return self(name, lambda: (make(), {}))[0]

    def has(self, name: str) -> bool:
        """Whether this stage is done."""
        return self.folder is not None and self._path(name, "json").is_file()

    def clear(self) -> None:
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _kept(self, name: str) -> Result | None:
        """None also where the arrays are not those that the document goes with."""
        if not self.has(name):
            return None
        try:
            kept = json.loads(self._path(name, "json").read_bytes())
            arrays = load_file(self._path(name, "safetensors")) if kept["arrays"] else {}
        except (SafetensorError, ValueError, KeyError, OSError):
            return None
        return (arrays, kept["document"]) if sorted(arrays) == kept["arrays"] else None

    def _path(self, name: str, kind: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{name.replace(' ', '-')}.{kind}"
