"""The datasets that are known by name, one module each.

A module joins by offering ``ABOUT``, ``load``, ``files`` and ``version``, a function that imports it, and a line in
:data:`KNOWN`. It is imported by an import statement, not by its name in a string, so that the code digest of loading sees it.
"""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from shoploop.data.about import About
from shoploop.data.rules import Loaded
from shoploop.errors import SpecInvalid


class Dataset(Protocol):
    """What a dataset's module offers."""

    @property
    def ABOUT(self) -> About:
        """What people should know of it before they use it."""

    def load(self, *, offers: bool = False) -> Loaded:
        """The tables, canonical but for completion and order; on request with what was on offer."""

    def files(self, *, offers: bool = False) -> list[Path]:
        """Every file that :meth:`load` reads then."""

    def version(self) -> str:
        """Of the package or archive that the files come from."""


def _completejourney() -> Dataset:
    from shoploop.data import completejourney

    return completejourney


KNOWN: dict[str, Callable[[], Dataset]] = {"completejourney": _completejourney}
"""Name in ``spec.data.dataset`` to what brings the module that reads it."""


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
    return KNOWN[name]()


def find_with_offers(name: str) -> Dataset:
    """The same, of one that says what was on offer.

    Raises:
        SpecInvalid: there is none, or it does not say that.
    """
    dataset = find(name)
    if not dataset.ABOUT.offers:
        raise SpecInvalid(f"spec.data.offers: nothing is known of what was on offer in {name}. Leave the field out.")
    return dataset
