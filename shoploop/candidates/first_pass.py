"""A first pass over what was fetched, by which sources named an item and how far up: the model sees the best of them alone.

What an item is worth is a sum over the sources, of one number for each bucket of places, the logarithm of odds that it is
bought. It costs nothing that fetching has not paid for.

Legend: N candidates, S sources, B buckets of places.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BUCKETS = np.array([1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320])
"""Where buckets of places end: each about half as long again as all before it."""

NOWHERE = len(BUCKETS) + 1
"""Bucket of an item that a source does not name."""

FIRST_OF_EACH = 5
"""Of every source so many pass whatever they are worth: what is new has no past that speaks for it."""

TIMES_ASKED = 10
"""Candidates that pass for each item asked for, where that is more than usual."""


@dataclass(frozen=True, kw_only=True)
class FirstPass:
    """What is worth a look by the model."""

    keep: int
    """Candidates that pass, and beside them the first few of each source."""

    worth: tuple[tuple[float, ...], ...]
    """(S, B): by how much the log-odds of an item rise when a source names it at a place of the bucket."""

    def to_json(self) -> dict[str, Any]:
        return {"keep": self.keep, "worth": [list(each) for each in self.worth]}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "FirstPass":
        return cls(keep=int(told["keep"]), worth=tuple(tuple(map(float, each)) for each in told["worth"]))

    def scores(self, named: Sequence[npt.NDArray[np.intp]], size: int) -> Array:
        """What each candidate is worth, (N,).

        Args:
            named: Of each source where among the N candidates the items stand that it names, the best first.
            size: N.
        """
        scores_N = np.zeros(size)
        for at, by_place in zip(named, self._by_place, strict=True):
            near = min(len(at), len(by_place))
            scores_N[at[:near]] += by_place[:near]
            scores_N[at[near:]] += by_place[-1]
        return scores_N

    @cached_property
    def _by_place(self) -> tuple[Array, ...]:
        bucket = buckets(np.arange(int(BUCKETS[-1]) + 1))
        return tuple(np.array(each)[bucket] for each in self.worth)


def buckets(places: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """The bucket of each place, 0 the first."""
    return np.searchsorted(BUCKETS, places, side="right").astype(np.int64)


def best(
    scores_N: Array,
    keep: int,
    *,
    always_N: npt.NDArray[np.bool_],
    hidden_N: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.bool_]:
    """Which candidates pass, (N,): the best ``keep``, of equal ones the first, and those that always do.

    Args:
        scores_N: What each is worth.
        keep: How many.
        always_N: What passes anyway, and takes a place only where it is among the best.
        hidden_N: What a rule will hide: it takes no place from what may be shown, and passes where it is worth as much as
            what does, so that the rule can say what it has hidden.
    """
    able = np.arange(len(scores_N)) if hidden_N is None else np.flatnonzero(~hidden_N)
    passed_N = always_N.copy()
    first = able[np.argsort(-scores_N[able], kind="stable")[:keep]]
    passed_N[first] = True
    if hidden_N is not None:
        passed_N |= hidden_N & (scores_N >= scores_N[first].min(initial=np.inf))
    return passed_N
