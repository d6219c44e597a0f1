"""How many of the labels are wrong, judged by samples whose label should never be.

The chance of a label falls to the share of wrong ones where the features speak most clearly against it (Liu and Tao 2016,
section 4: the noise rate of a label is the least of its chance over the features). On labels that can be trusted the share
is near 0, and then no sample deserves another weight than the next.

Legend: N samples, M of them or all, C labels.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logit

from shoploop.importance.estimators.table import Float64, Int64

CLEAREST = 0.1
"""Share of the samples that count as speaking most clearly against a label."""

ERRORS = 2.0
"""Standard errors within which two shares may be one, and one may be none."""

FEWEST = 20
"""Samples that count as such, at least."""

LEAST = 1e-4
"""No chance counts as less: one sample must not decide about a curve."""

RISE = 0.1
"""By how much a curve rises at least; what is flatter tells no floor from the rest."""


def wrong_share(importance_N: Float64, marked_N: npt.NDArray[np.bool_]) -> float:
    """Share of the samples marked with a label that are likely wrong, 0 to 1.

    Args:
        importance_N: 0 to 1, comparable between the two labels: high for a credible one.
        marked_N: Who carries the label in question, and not the other.
    """
    if not marked_N.any():
        return 0.0
    chance_N = np.where(marked_N, importance_N, 1 - importance_N)
    found = _where_clearest(chance_N, marked_N, max(round(CLEAREST * len(marked_N)), 1))
    return float(min(found / marked_N.mean(), 1.0))


def floors(chance_NC: Float64, y_N: Int64, alike: float, plainly: Callable[[], tuple[Float64, Int64]]) -> Float64:
    """How often a sample carries each given label that is not its own where mistakes may go one way, (C,).

    What is wrong alike is known. One label may hide more; but a high share is as often that of classes that overlap. The two
    differ in how the share falls with what a linear model says: where classes overlap, on a logistic curve that goes on
    falling; where labels are wrong, down to a floor. So a label has its own rate only where such a floor makes the labels
    likelier by what two standard errors are worth (Wilks 1938). Of more than two none has: against several others together
    the share need not be logistic, and a floor was found in clean ones.

    Args:
        chance_NC: Of each label, as judged without having seen the sample.
        y_N: Labels as they are, 0 to C - 1.
        alike: How often it is so of every label, at least.
        plainly: Asked where a label may hide more: the same of a linear model, (M, 2), and the labels of these samples.
    """
    found_C, clearest = _least(chance_NC, y_N)
    found_C = np.array([share * _evident(share, clearest) for share in found_C])
    rate_C = np.full(len(found_C), alike)
    more = np.flatnonzero(found_C > alike)
    if len(found_C) > 2 or not more.size:
        return rate_C
    plain_M2, y_M = plainly()
    for label in more:
        floor = _floor(plain_M2[:, label], y_M == label, alike, 1 - alike)
        rate_C[label] = max(alike, min(found_C[label], floor))
    return rate_C


def _floor(chance_M: Float64, marked_M: npt.NDArray[np.bool_], least: float, most: float) -> float:
    """Below which the share of the marked does not fall, however little they look it; ``least`` without evidence of more.

    Args:
        chance_M: That a sample is marked.
        marked_M: Who is.
        least: Floor where nothing speaks for another.
        most: What the share rises to.
    """
    if most - least < RISE:
        return least
    score_M = logit(np.clip(chance_M, LEAST, 1 - LEAST))
    score_M = (score_M - score_M.mean()) / max(float(score_M.std()), LEAST)
    start = np.array([1.0, 0.0, least])
    plain = _fitted(score_M, marked_M, start, least, least, most)
    free = [
        _fitted(score_M, marked_M, np.array([*plain[1][:2], floor]), least, most - RISE, most)
        for floor in (least, min((least + most) / 2, most - RISE))
    ]
    loss, (_, _, floor) = min(free, key=lambda one: one[0])
    return float(floor) if plain[0] - loss >= ERRORS**2 / 2 else least


def _fitted(
    score_M: Float64, marked_M: npt.NDArray[np.bool_], start: Float64, least: float, greatest: float, most: float
) -> tuple[float, Float64]:
    """The least loss, in nats, of a curve from a floor between the bounds to ``most``; its slope, offset and floor."""

    def loss(curve: Float64) -> tuple[float, Float64]:
        slope, offset, floor = curve
        rise_M = expit(slope * score_M + offset)
        share_M = np.clip(floor + (most - floor) * rise_M, LEAST, 1 - LEAST)
        by_share_M = np.where(marked_M, -1 / share_M, 1 / (1 - share_M))
        by_logit_M = by_share_M * (most - floor) * rise_M * (1 - rise_M)
        slopes = np.array([by_logit_M @ score_M, by_logit_M.sum(), by_share_M @ (1 - rise_M)])
        return -float(np.log(np.where(marked_M, share_M, 1 - share_M)).sum()), slopes

    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None), (least, max(greatest, least))]
    )
    return float(found.fun), found.x


def _least(chance_NC: Float64, y_N: Int64) -> tuple[Float64, int]:
    """Of each label the share where features speak most clearly against it, (C,), and of how many samples."""
    count, classes = chance_NC.shape
    clearest = min(max(round(CLEAREST * count), FEWEST), max(count // 2, 1))
    return np.array([_where_clearest(chance_NC[:, c], y_N == c, clearest) for c in range(classes)]), clearest


def _evident(rate: float, count: int) -> float:
    """How much of a share is more than luck: the positive part of 1 - (2 errors / share)² (after James and Stein 1961)."""
    return max(0.0, 1 - ERRORS**2 * (1 - rate) / (count * rate)) if rate > 0 else 0.0


def _where_clearest(chance_N: Float64, marked_N: npt.NDArray[np.bool_], count: int) -> float:
    """Share of the marked among the samples that least look it."""
    return float(marked_N[np.argsort(chance_N, kind="stable")[:count]].mean())
