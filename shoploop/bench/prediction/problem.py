"""A dataset cut by its protocol: what may be learned from, and what has to be predicted."""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.errors import NotFound, ShoploopError
from shoploop.features.contract import Contract
from shoploop.features.log import PurchaseLog, Vocabulary
from shoploop.features.offers import Offers
from shoploop.samples.sample_set import Request

Say = Callable[[str], None]


class ProtocolViolated(ShoploopError):
    """The data does not give the counts that the protocol states."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """A number that others report of a method: one that is far below it was made badly, and is no rival."""

    rival: str
    metric: str
    value: float
    slice: str | None = None
    """Which part of all targets; None is all of them."""


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

    offers: Offers | None = None
    """What was on offer, where the contract knows of offers."""

    in_shop: bool = False
    """Whether the shop of each target is known, and of half of the visits that are learned from."""

    new_only: bool = False
    """What the user has bought is no answer: it is masked for every method alike."""

    validation: list[Request] = field(default_factory=list)
    """Visits between the past and the targets, where the protocol has some: part of histories, and nobody learns from them.
    Settings are chosen on them; without any, on the past's own last visits."""

    slices: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Parts of the targets by name, (Q,) each, in the order of ``targets``."""

    rivals: tuple[str, ...] = ()
    """Known methods that are fitted beside, by the names of :mod:`shoploop.bench.prediction.rivals`."""

    known: tuple["Known", ...] = ()
    """What rivals reach elsewhere under this protocol."""

    everyone: list[Request] = field(default_factory=list)
    """All targets, where ``targets`` are a draw of them: rivals are held against what is known of them on these."""

    everyones_slices: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Parts of ``everyone`` by name, in its order."""

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


def latest_labels(past: PurchaseLog, most: int) -> tuple[list[Request], int]:
    """The latest visits that have others before them, and the first day of any of them."""
    _, first_V = past.baskets()
    user_V, day_V = past.user_R[first_V], past.day_R[first_V]
    later_V = np.concatenate([[False], user_V[1:] == user_V[:-1]])
    order = np.argsort(-day_V[later_V], kind="stable")[:most]
    first = int(day_V[later_V][order].min())
    chosen = (day_V >= first) & later_V
    return [Request(user=int(u), day=int(d)) for u, d in zip(user_V[chosen], day_V[chosen], strict=True)], first


NOBODY = pl.DataFrame({"user": [""]})
"""Users of whom nothing is known."""
