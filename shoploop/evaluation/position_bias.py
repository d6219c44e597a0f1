"""How much a place alone draws clicks, estimated from lists that were shown and what was clicked in them.

Assumed is the position-based model: an item is clicked with a probability θ_place · q, of which θ belongs to the place and
q to the item and who sees it; and q grows as exp(β · score) with a score that knows no places. Then of all clicks of a list
the share of an item is the softmax of ``bias[place] + β · score``: a conditional logit (McFadden 1974, "Conditional logit
analysis of qualitative choice behavior") with a constant for each place, which is the additive two-tower model of Yan et al.
2022 ("Revisiting two-tower models for unbiased learning to rank", SIGIR) where one tower is given. Lists without a click
tell nothing of places and take no part; several clicks of a list count each: the likelihood's gradient has the expectation 0
at the truth, however many items are clicked, each by itself.

What the score does not know of an item, and whoever ordered the list did, is told as the place's. Only chance in the order
(``serving.exploration``; :mod:`shoploop.evaluation.counterfactual` is for such logs) is free of that.

Legend: Q lists, R rows (a list and an item in it), P places, J coefficients (places but the top, and β).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploop.errors import TooFewEvents

Array = npt.NDArray[np.float64]

PRIOR = 0.01
"""Curvature of a normal prior on each coefficient: a place that was never clicked is far down, and no infinity."""

STEPS, SMALL = 50, 1e-9


@dataclass(frozen=True, kw_only=True)
class PositionBias:
    """What places add to the logit of a click."""

    bias_P: Array
    """0 at the top."""

    error_P: Array
    """Standard errors, users drawn whole; that of the top is 0."""

    score_times: float
    """β: what a point of the score adds."""

    clicks: int

    @property
    def examined_P(self) -> Array:
        """θ of each place, that of the top being 1."""
        found: Array = np.exp(self.bias_P)
        return found


def fit_position_bias(
    scores_R: npt.NDArray[np.floating],
    places_R: npt.NDArray[np.integer],
    clicked_R: npt.NDArray[np.bool_],
    offsets_Q1: npt.NDArray[np.integer],
    *,
    users_Q: npt.NDArray[np.integer] | None = None,
) -> PositionBias:
    """The most likely bias of each place, beside what the scores explain.

    Args:
        scores_R: How much an item is wanted, as a logit, by what knows no places; better of a model that did not learn from
            these clicks. All alike where nothing is known: then the bias is that of the clicks, whyever they came.
        places_R: From 0, the top.
        clicked_R: What was clicked.
        offsets_Q1: Rows of list q are ``offsets_Q1[q]`` to ``offsets_Q1[q + 1]``.
        users_Q: Whose each list is, where somebody has several: their clicks hang together.

    Raises:
        TooFewEvents: nothing was clicked.
    """
    lists_R = np.repeat(np.arange(len(offsets_Q1) - 1), np.diff(offsets_Q1))
    clicks_Q = np.bincount(lists_R, clicked_R, len(offsets_Q1) - 1).astype(np.float64)
    if not clicks_Q.any():
        raise TooFewEvents("Nothing was clicked in any of the lists, so they tell nothing of places. Wait for clicks.")
    kept_R = clicks_Q[lists_R] > 0
    clicked_lists, list_R = np.unique(lists_R[kept_R], return_inverse=True)
    count_C = clicks_Q[clicked_lists]
    places = int(places_R.max()) + 1
    centred_R = scores_R[kept_R] - np.mean(scores_R[kept_R])
    features_RJ = np.column_stack([places_R[kept_R, None] == np.arange(1, places), centred_R]).astype(np.float64)
    starts_C = np.searchsorted(list_R, np.arange(len(count_C)))
    clicked_CJ = np.add.reduceat(features_RJ * clicked_R[kept_R, None], starts_C)
    bias_J = np.zeros(places)
    for _ in range(STEPS):
        gradient_CJ, information_JJ = _likelihood(bias_J, features_RJ, clicked_CJ, list_R, starts_C, count_C)
        step_J = np.linalg.solve(information_JJ, gradient_CJ.sum(axis=0) - PRIOR * bias_J)
        # far from the top of the hill a whole step of Newton's may overshoot
        bias_J = bias_J + step_J * min(1.0, 2.0 / max(np.abs(step_J).max(), SMALL))
        if np.abs(step_J).max() < SMALL:
            break
    gradient_CJ, information_JJ = _likelihood(bias_J, features_RJ, clicked_CJ, list_R, starts_C, count_C)
    inverse_JJ = np.linalg.inv(information_JJ)
    _, who_C = np.unique(clicked_lists if users_Q is None else users_Q[clicked_lists], return_inverse=True)
    by_user_UJ = np.zeros((who_C.max() + 1, places))
    np.add.at(by_user_UJ, who_C, gradient_CJ)
    error_J = np.sqrt(np.diag(inverse_JJ @ (by_user_UJ.T @ by_user_UJ) @ inverse_JJ))
    return PositionBias(
        bias_P=np.append(0.0, bias_J[:-1]),
        error_P=np.append(0.0, error_J[:-1]),
        score_times=float(bias_J[-1]),
        clicks=int(count_C.sum()),
    )


def _likelihood(
    bias_J: Array,
    features_RJ: Array,
    clicked_CJ: Array,
    list_R: npt.NDArray[np.integer],
    starts_C: npt.NDArray[np.integer],
    count_C: Array,
) -> tuple[Array, Array]:
    """Each list's gradient, (C, J), and the information of all with the prior's, (J, J)."""
    logits_R = features_RJ @ bias_J
    weight_R = np.exp(logits_R - np.maximum.reduceat(logits_R, starts_C)[list_R])
    chance_R = weight_R / np.add.reduceat(weight_R, starts_C)[list_R]
    mean_CJ = np.add.reduceat(features_RJ * chance_R[:, None], starts_C)
    weighed_RJ = features_RJ * (chance_R * count_C[list_R])[:, None]
    information_JJ = features_RJ.T @ weighed_RJ - mean_CJ.T @ (mean_CJ * count_C[:, None])
    return clicked_CJ - count_C[:, None] * mean_CJ, information_JJ + PRIOR * np.eye(len(bias_J))
