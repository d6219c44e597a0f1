"""The parts of a long step that are done: kept aside, so that a killed step goes on where it was.

A stage's result is arrays and a JSON document. It must not know what they mean.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

Arrays = dict[str, npt.NDArray[Any]]
Result = tuple[Arrays, dict[str, Any]]


class Stages:
    """What lies in a folder belongs to one ``key``; anything else that is found there is thrown away."""

    def __init__(self, folder: Path, key: Mapping[str, Any]):
        self.folder = folder
        self.reused: list[str] = []
        """Stages that were found done."""

        wanted, mark = json.dumps(key, sort_keys=True), folder / "key.json"
        if not mark.is_file() or mark.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            mark.write_text(wanted)

    def __call__(self, name: str, make: Callable[[], Result]) -> Result:
        """The stage's result: what was kept of it, else what ``make`` returns, kept from then on."""
        path, document = self.folder / f"{name}.safetensors", self.folder / f"{name}.json"
        if document.is_file():
            try:
                found = load_file(path) if path.is_file() else {}, json.loads(document.read_text())
            except (SafetensorError, ValueError, OSError):
                document.unlink()
            else:
                self.reused.append(name)
                return found
        arrays, said = make()
        if arrays:
            aside = path.with_suffix(f".{os.getpid()}")
            save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, aside)
            aside.replace(path)
        # the document comes last: where it lies, the stage is whole
        aside = document.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(said))
        aside.replace(document)
        return arrays, said

    def has(self, name: str) -> bool:
        """Whether this stage is done."""
        return (self.folder / f"{name}.json").is_file()

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
