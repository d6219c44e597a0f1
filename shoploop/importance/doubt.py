"""How many of the labels are wrong, judged by samples whose label should never be.

The chance of a label falls to the share of wrong ones where the features speak most clearly against it (Liu and Tao 2016,
section 4: the noise rate of a label is the least of its chance over the features). On labels that can be trusted the share
is near 0, and then no sample deserves another weight than the next.

Legend: N samples, C labels.
"""

import numpy as np
import numpy.typing as npt

from shoploop.importance.estimators.table import Float64, Int64

CLEAREST = 0.1
"""Share of the samples that count as speaking most clearly against a label."""

ERRORS = 2.0
"""Standard errors within which two shares may be one, and one may be none."""

FEWEST = 20
"""Samples that count as such, at least."""


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


def noise_rate(chance_NC: Float64, y_N: Int64) -> float:
    """How often a sample carries a given label that is not its own; 0 where labels can be trusted.

    Features that never speak clearly against a label leave its chance high, wrong labels or not. So the labels that are least
    in doubt have the word, half of them, and those whose share differs from theirs no more than chance may have it (two
    standard errors): few samples speak clearly, and the least of several shares is too small by luck.

    Args:
        chance_NC: Of each label, as judged without having seen the sample.
        y_N: Labels as they are, 0 to C - 1.
    """
    count, classes = chance_NC.shape
    clearest = min(max(round(CLEAREST * count), FEWEST), max(count // 2, 1))
    found = sorted(_where_clearest(chance_NC[:, label], y_N == label, clearest) for label in range(classes))
    heard = (classes + 1) // 2
    for share in found[heard:]:
        mean, pooled = float(np.mean(found[:heard])), float(np.mean(found[: heard + 1]))
        error = np.sqrt(pooled * (1 - pooled) / clearest * (1 + 1 / heard))
        if share - mean > ERRORS * error:
            break
        heard += 1
    rate = float(np.mean(found[:heard]))
    return rate * _evident(rate, clearest * heard)


def _evident(rate: float, count: int) -> float:
    """How much of a share is more than luck: the positive part of 1 - (2 errors / share)² (after James and Stein 1961)."""
    return max(0.0, 1 - ERRORS**2 * (1 - rate) / (count * rate)) if rate > 0 else 0.0


def _where_clearest(chance_N: Float64, marked_N: npt.NDArray[np.bool_], count: int) -> float:
    """Share of the marked among the samples that least look it."""
    return float(marked_N[np.argsort(chance_N, kind="stable")[:count]].mean())
