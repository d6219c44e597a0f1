"""The datasets that are known by name, one module each.

A module joins by offering ``load``, ``files`` and ``version`` and a line in :data:`KNOWN`.
"""

import difflib
import importlib
from pathlib import Path
from typing import Protocol, cast

from shoploop.data.rules import Loaded
from shoploop.errors import SpecInvalid

KNOWN = {"completejourney": "shoploop.data.completejourney"}
"""Name in ``spec.data.dataset`` to the module that reads it."""


class Dataset(Protocol):
    """What a dataset's module offers."""

    def load(self) -> Loaded:
        """The tables, canonical but for completion and order."""

    def files(self) -> list[Path]:
        """Every file that :meth:`load` reads."""

    def version(self) -> str:
        """Of the package or archive that the files come from."""


def find(name: str) -> Dataset:
    """The dataset of that name.

    Raises:
        SpecInvalid: there is none.
    """
    if name not in KNOWN:
        near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0)[0]
        raise SpecInvalid(
            f"spec.data.dataset: {name!r} is no known dataset; did you mean {near!r}? "
            f"Known: {', '.join(sorted(KNOWN))}. Your own files go into spec.data.tables."
        )
    return cast(Dataset, importlib.import_module(KNOWN[name]))
