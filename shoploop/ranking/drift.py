"""How far what is scored now is from what a version saw when it was made: the population stability index of each feature of
the model, and of its scores.

A version carries histograms of its last visits before those of evaluation: deciles of each feature over candidates, and of
the scores that it gives them. The index compares shares of the same bins: PSI = Σ (q - p) ln(q / p) (Siddiqi 2006, "Credit
Risk Scorecards", where below 0.1 nothing changed and from 0.25 on much did).

Legend: R rows, K features, N candidates, B bins.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.errors import ArtifactCorrupt
from shoploop.features.log import Float32

FILE = "reference.json"
"""Of a version."""

SCORE = "score"
BINS = 10
FLOOR = 1e-4
"""Share that an empty bin counts as: the index knows no nothing."""

EVERY = 8
"""One request in so many is looked at: the index needs many shoppers, not all."""

FEWEST, WINDOW = 200, 2000
"""Requests that were looked at before anything is told, and after which older ones begin to be forgotten."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Reference:
    """What a version saw: by name, inner edges of its bins and the share of rows in each."""

    edges: dict[str, Array]
    shares: dict[str, Array]

    @classmethod
    def of(cls, names: Sequence[str], features_RK: Float32, scores_R: Float32) -> "Reference":
        """By deciles; of what takes few values, a bin each.

        Args:
            names: Of the K features.
            features_RK: Of the candidates of some visits.
            scores_R: What the version says of them.
        """
        edges, shares = {}, {}
        for name, values_R in ((SCORE, scores_R), *zip(names, features_RK.T, strict=True)):
            found = np.unique(np.quantile(values_R.astype(np.float64), np.linspace(0, 1, BINS + 1)[1:-1]))
            edges[name] = found
            shares[name] = _counts(found, values_R) / max(len(values_R), 1)
        return cls(edges, shares)

    def to_bytes(self) -> bytes:
        told = {name: {"edges": self.edges[name].tolist(), "shares": self.shares[name].tolist()} for name in self.edges}
        return json.dumps(told, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Reference":
        """What :meth:`to_bytes` wrote.

        Raises:
            ArtifactCorrupt: it is none.
        """
        try:
            document: dict[str, Any] = json.loads(data)
            edges = {name: np.asarray(told["edges"], np.float64) for name, told in document.items()}
            shares = {name: np.asarray(told["shares"], np.float64) for name, told in document.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactCorrupt(f"{FILE} of the version holds no histograms: {error!r}. Train it again.") from error
        for name, edges_B in edges.items():
            fits = edges_B.ndim == shares[name].ndim == 1 and len(shares[name]) == len(edges_B) + 1
            if not (fits and np.isfinite(edges_B).all() and (np.diff(edges_B) > 0).all() and (shares[name] >= 0).all()):
                raise ArtifactCorrupt(f"{FILE} of the version holds no histogram of {name}. Train it again.")
        return cls(edges, shares)


def psi(expected_B: Array, found_B: Array) -> float:
    """Population stability index of two distributions over the same bins; 0 where they are one."""
    p_B, q_B = (np.maximum(share_B / max(share_B.sum(), 1e-12), FLOOR) for share_B in (expected_B, found_B))
    return float(((q_B - p_B) * np.log(q_B / p_B)).sum())


class Drift:
    """What one version's requests look like of late. One instance serves all threads of a process."""

    def __init__(self, names: Sequence[str], reference: Reference | None, *, every: int = EVERY):
        """
        Args:
            names: Of the K features.
            reference: None for a version that was made without: nothing is compared.
            every: One request in so many is looked at.
        """
        self._names = [name for name in names if reference and name in reference.edges]
        self._columns = [column for column, name in enumerate(names) if name in self._names]
        self._reference = reference
        self._every = every
        self._asked = self._looked = 0
        self._lock = threading.Lock()
        self._found = {
            name: np.zeros(len(share_B)) for name, share_B in (reference.shares if reference else {}).items()
        }

    def is_due(self) -> bool:
        """Whether the next request is one of those that are looked at; asked once for each."""
        if self._reference is None:
            return False
        with self._lock:
            self._asked += 1
            return self._asked % self._every == 0

    def put_off(self) -> None:
        """The request that was due had no time for the whole model: the next one is looked at instead."""
        with self._lock:
            self._asked -= 1

    def observe(self, features_NK: Float32, scores_N: Float32) -> None:
        """Looks at a request."""
        if self._reference is None or not len(scores_N):
            return
        with self._lock:
            columns = zip(self._names, (features_NK[:, column] for column in self._columns), strict=True)
            for name, values_N in ((SCORE, scores_N), *columns):
                if name in self._found:
                    self._found[name] += _counts(self._reference.edges[name], values_N)
            self._looked += 1
            if self._looked >= WINDOW:
                self._looked //= 2
                for counts_B in self._found.values():
                    counts_B *= 0.5

    def told(self) -> dict[str, float]:
        """The index by feature, and of the scores as ``score``; empty while too little was looked at."""
        with self._lock:
            if self._reference is None or self._looked < FEWEST:
                return {}
            return {name: psi(self._reference.shares[name], counts_B) for name, counts_B in self._found.items()}


def _counts(edges_B: Array, values_R: Float32) -> Array:
    return np.bincount(np.searchsorted(edges_B, values_R, side="left"), minlength=len(edges_B) + 1).astype(np.float64)
