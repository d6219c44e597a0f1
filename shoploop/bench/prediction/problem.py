"""A dataset cut by its protocol: what may be learned from, and what has to be predicted."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.errors import NotFound, ShoploopError
from shoploop.features.contract import Contract
from shoploop.features.log import PurchaseLog, Vocabulary
from shoploop.samples.sample_set import Request


class ProtocolViolated(ShoploopError):
    """The data does not give the counts that the protocol states."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One dataset and its protocol, applied. Legend: Q targets."""

    dataset: str
    log: PurchaseLog
    """Every purchase of kept items, the targets with them; histories are cut by day."""

    past: PurchaseLog
    """Without the targets: what statistics may count."""

    before_labels: PurchaseLog
    """Without the labels too: what the catalog is fitted on."""

    targets: list[Request]
    labels: list[Request]
    contract: Contract
    items: pl.DataFrame
    """Columns ``item`` and ``category``, as of :func:`shoploop.features.catalog.fit_catalog`."""

    counts: Mapping[str, float]
    """What the protocol found, to be held against what it states."""

    new_only: bool = False
    """What the user has bought is no answer: it is masked for every method alike."""

    slices: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Parts of the targets by name, (Q,) each, in the order of ``targets``."""

    def checked(self, stated: Mapping[str, float]) -> "Problem":
        """Itself.

        Raises:
            ProtocolViolated: the counts differ from those stated.
        """
        found = {name: self.counts[name] for name in stated}
        if found != dict(stated):
            raise ProtocolViolated(
                f"{self.dataset}: found {found}, the protocol's counts are {dict(stated)}. "
                "The dataset or its loading changed; scores would not be comparable."
            )
        return self


def read_compressed(path: Path) -> bytes:
    """A gzip file of the evaluation data.

    Raises:
        NotFound: it is not there.
    """
    if not path.exists():
        raise NotFound(f"{path} does not exist. SHOPLOOP_BENCH_DATA names the folder of the evaluation data.")
    return gzip.decompress(path.read_bytes())


def bare_purchases(rows: pl.DataFrame) -> pl.DataFrame:
    """Interactions of which user, item and time are all that is known."""
    return rows.with_columns(
        kind=pl.lit("purchase"),
        quantity=pl.lit(None, pl.Float64),
        price=pl.lit(None, pl.Float64),
        shop=pl.lit(None, pl.String),
    )


def bare_items(vocabulary: Vocabulary) -> pl.DataFrame:
    """Items of which nothing is known."""
    return pl.DataFrame(
        {"item": vocabulary.items, "category": [[] for _ in vocabulary.items]},
        schema={"item": pl.String, "category": pl.List(pl.String)},
    )


NOBODY = pl.DataFrame({"user": [""]})
"""Users of whom nothing is known."""
