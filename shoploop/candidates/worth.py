"""What a place in a source is worth: a logistic regression on visits of the past, solved by Newton's steps.

Most candidates are named by one source alone, so that a few thousand patterns of places stand for all rows.

Legend: N candidates, S sources, B buckets, R patterns of one visit, P patterns,
W weights (one for each source and bucket, and one for all).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.candidates.fetching import SOURCES
from shoploop.candidates.first_pass import NOWHERE, FirstPass, buckets
from shoploop.features.distinct import distinct
from shoploop.features.log import Int32

TELLING = 100
"""Items that were bought and fetched from which on places say what they are worth."""

RIDGE = 1.0
"""What draws every worth to 0: a visit counts 1."""

STEPS, ENOUGH, DECIMALS = 30, 1e-6, 4
"""Newton's steps at most, the change after which there are no more, and what is kept of a worth."""

_RADIX = NOWHERE + 1


class Worth:
    """Where sources name what was bought and what was not, visit by visit."""

    def __init__(self) -> None:
        self._patterns = [np.empty(0, np.int64)]
        self._counts = [np.empty((0, 2))]
        self.bought = 0
        """Candidates that were bought."""

        self.most = 0
        """Candidates of the visit that has most of them."""

    def add(self, named: Mapping[str, Int32], bought: Int32) -> None:
        """One visit of the past.

        Args:
            named: Of each source the items that it names, the best first, as of
                :func:`shoploop.candidates.fetching.by_source`.
            bought: What was bought on it. A visit counts as one, however much that was.
        """
        items_N = distinct(np.concatenate([named[source] for source in SOURCES]))
        pattern_N = np.zeros(len(items_N), np.int64)
        for source in SOURCES:
            bucket_N = np.full(len(items_N), NOWHERE, np.int64)
            bucket_N[np.searchsorted(items_N, named[source])] = buckets(np.arange(len(named[source])))
            pattern_N = pattern_N * _RADIX + bucket_N
        bought_N = np.isin(items_N, bought)
        self.bought += int(bought_N.sum())
        self.most = max(self.most, len(items_N))
        weight = 1.0 / max(int(bought_N.sum()), 1)
        patterns, at_N = np.unique(pattern_N, return_inverse=True)
        taken = np.bincount(at_N, weights=bought_N * weight, minlength=len(patterns))
        seen = np.bincount(at_N, minlength=len(patterns)) * weight
        self._patterns.append(patterns)
        self._counts.append(np.stack([taken, seen], axis=1))

    def first_pass(self, keep: int) -> FirstPass | None:
        """The first pass that these visits speak for.

        Args:
            keep: Candidates that pass.

        Returns:
            None where it would keep out nothing, or too little was bought to tell what: then the model looks at all.
        """
        if self.most <= keep or self.bought < TELLING:
            return None
        patterns_P, at_R = np.unique(np.concatenate(self._patterns), return_inverse=True)
        taken_R, seen_R = np.concatenate(self._counts).T
        taken_P = np.bincount(at_R, weights=taken_R, minlength=len(patterns_P))
        seen_P = np.bincount(at_R, weights=seen_R, minlength=len(patterns_P))
        fitted_W = _fitted(_rows(patterns_P), taken_P=taken_P, seen_P=seen_P)
        weights_SB = fitted_W[:-1].reshape(len(SOURCES), NOWHERE)
        worth = tuple(tuple(round(value, DECIMALS) for value in row) for row in weights_SB.tolist())
        return FirstPass(keep=keep, worth=worth)


def _rows(patterns_P: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Each pattern as 0 and 1, (P, W); the last is 1 for all. A source that does not name an item adds nothing."""
    rows_PSB = np.zeros((len(patterns_P), len(SOURCES), NOWHERE))
    left_P = patterns_P.copy()
    for source in reversed(range(len(SOURCES))):
        left_P, bucket_P = np.divmod(left_P, _RADIX)
        there = np.flatnonzero(bucket_P < NOWHERE)
        rows_PSB[there, source, bucket_P[there]] = 1.0
    return np.hstack([rows_PSB.reshape(len(patterns_P), -1), np.ones((len(patterns_P), 1))])


def _fitted(
    rows_PW: npt.NDArray[np.float64], *, taken_P: npt.NDArray[Any], seen_P: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Weights, (W,), by iteratively reweighted least squares (McCullagh, Nelder 1989) with a ridge on all but the last."""
    ridge_W = np.full(rows_PW.shape[1], RIDGE)
    ridge_W[-1] = 1e-6
    weights_W = np.zeros(rows_PW.shape[1])
    share = taken_P.sum() / seen_P.sum()
    weights_W[-1] = np.log(share / (1 - share)) if share < 1 else 0.0

    def reached(at_W: npt.NDArray[np.float64]) -> float:
        logit_P = rows_PW @ at_W
        return float(taken_P @ logit_P - seen_P @ np.logaddexp(0.0, logit_P) - 0.5 * (ridge_W * at_W) @ at_W)

    here = reached(weights_W)
    for _ in range(STEPS):
        chance_P = 1.0 / (1.0 + np.exp(-(rows_PW @ weights_W)))
        slope_W = rows_PW.T @ (taken_P - seen_P * chance_P) - ridge_W * weights_W
        bend_P = seen_P * chance_P * (1.0 - chance_P)
        step_W = np.linalg.solve(rows_PW.T @ (rows_PW * bend_P[:, None]) + np.diag(ridge_W), slope_W)
        # a whole step may go too far where a place was nearly always, or never, bought
        while np.abs(step_W).max() >= ENOUGH and reached(weights_W + step_W) < here:
            step_W = step_W / 2
        weights_W = weights_W + step_W
        here = reached(weights_W)
        if np.abs(step_W).max() < ENOUGH:
            break
    return weights_W
