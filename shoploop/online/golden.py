"""Golden requests: always the same ones, so that it shows how what is learned changes what is answered.

They are of shoppers of whom nothing is known but that they have just bought one of the items that sell most: no list has to
be kept, and every learner of a version asks the same.

Legend: I items, D width, G golden requests, K first answers, B bins.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from shoploop.events.fresh import Done
from shoploop.features.log import Float32
from shoploop.ranking.asked import Asked
from shoploop.ranking.drift import BINS, psi

REQUESTS = 16
TOP = 10

LONG_AGO = datetime(1970, 1, 2, tzinfo=UTC)
"""When they are asked: before all data, which is answered as of the day after its last."""


def golden_requests(items: Sequence[str], shares_I: Float32) -> list[Asked]:
    """Who has just bought one of the items that sell most, ties by code."""
    order_I = np.lexsort((np.arange(len(shares_I)), -shares_I))
    return [
        Asked("", (Done(item=items[code], kind="purchase", day=0, quantity=1.0),), LONG_AGO)
        for code in order_I[:REQUESTS].tolist()
    ]


class Golden:
    """What a model answers to them, against what it answered as it was trained."""

    def __init__(self, states_GD: Float32, vectors_ID: Float32, bias_I: Float32):
        """
        Args:
            states_GD: h_u of the requests; those with NaN are left out.
            vectors_ID: As they were trained.
            bias_I: As they were trained.
        """
        self._states_GD = states_GD[np.isfinite(states_GD).all(axis=1)]
        scores_GI = self._scores(vectors_ID, bias_I)
        self._edges_B = np.unique(np.quantile(scores_GI, np.linspace(0, 1, BINS + 1)[1:-1])) if scores_GI.size else None
        self._shares_B = self._counted(scores_GI)
        self._top_GK = self._top(scores_GI)

    @property
    def is_empty(self) -> bool:
        """No request could be made: it says nothing."""
        return not len(self._states_GD)

    def look(self, vectors_ID: Float32, bias_I: Float32) -> tuple[float, float]:
        """Population stability index of all items' scores against those that were trained, 0 where nothing moved; and the
        share of their first ten answers that are the same."""
        scores_GI = self._scores(vectors_ID, bias_I)
        top_GK = self._top(scores_GI)
        same = [len(np.intersect1d(before, now)) for before, now in zip(self._top_GK, top_GK, strict=True)]
        return psi(self._shares_B, self._counted(scores_GI)), float(np.mean(same)) / max(top_GK.shape[1], 1)

    def _scores(self, vectors_ID: Float32, bias_I: Float32) -> Float32:
        scores_GI: Float32 = self._states_GD @ vectors_ID.T + bias_I
        scores_GI -= scores_GI.mean(axis=1, keepdims=True)  # what all items gain alike changes no answer
        return scores_GI

    def _counted(self, scores_GI: Float32) -> npt.NDArray[np.float64]:
        if self._edges_B is None:
            return np.ones(1)
        bins = np.searchsorted(self._edges_B, scores_GI.ravel(), side="right")
        return np.bincount(bins, minlength=len(self._edges_B) + 1).astype(np.float64)

    def _top(self, scores_GI: Float32) -> npt.NDArray[np.int64]:
        k = min(TOP, scores_GI.shape[1])
        return np.argpartition(-scores_GI, k - 1, axis=1)[:, :k] if k else np.zeros((len(scores_GI), 0), np.int64)
