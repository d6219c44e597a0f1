"""How far the label of each sample is to be believed, where nobody knows how many are wrong.

Under every share of wrong labels the chances of what is seen are those of the right labels, pressed up from nothing (Liu and
Tao 2016, section 4). So labels that are plain rule out that many are wrong; and labels that features say little of leave it
open, since classes that overlap look the same. Each share therefore counts as far as it is likely (Bayes), none at all
among them, and a sample is believed as it is on average over them: what may be wrong and may as well be right is spared a
little, and never as if it were known. Where the labels do not speak for wrong ones at all, every sample is believed alike.

It must not know what the chances come from, nor what weights are made of the belief.

Legend: N samples, M of them or others, C labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from shoploop.importance.doubt import LEAST, floors
from shoploop.importance.estimators.table import Float64, Int64

SHARES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
"""Of the labels that may be wrong, each as likely as the next before any label is looked at. Fewer are hardly worth a weight,
and where features say little they cannot be told from none."""

NONE = 0.5
"""How likely it is then that none is wrong."""

HEARD = 2.0
"""Power of the likelihood (as in Bissiri, Holmes and Walker 2016); above 1, since the chances were made to fit the labels as
they are, and so speak for few wrong ones and for many more alike than they should."""

NOISE = 1e-6
"""By how much it must be less likely than before that none is wrong, so that rounding is no evidence."""

FITTED = 2_000
"""Samples that tell how likely a share is, at most. Of very many the last word would be that of the curve's own form, which
is no more than near."""

STEEPEST = 20.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Supposed:
    """That each label is given so often to samples of others, and what the right labels' chances are then."""

    rate_C: Float64
    weight: float
    """How likely it is."""

    slope: float
    offset_C: Float64

    def share(self, chance_MC: Float64, y_M: Int64) -> Float64:
        """How far the labels are right, up to a factor: chance of the right label over that of what is seen, (M,)."""
        right_MC = _right(_logs(chance_MC), self.slope, self.offset_C)
        right_M = right_MC[np.arange(len(y_M)), y_M]
        share_M: Float64 = right_M / np.maximum(self.rate_C[y_M] + (1 - self.rate_C.sum()) * right_M, LEAST**2)
        return share_M


@dataclass(frozen=True, kw_only=True, eq=False)
class Belief:
    """What is thought of the labels of a table."""

    supposed: Sequence[Supposed]
    rate_C: Float64
    """How often a sample carries each label that is not its own, on average over what is supposed."""

    def share(self, chance_MC: Float64, y_M: Int64) -> Float64:
        """How far each label is to be believed, up to a factor, (M,).

        Args:
            chance_MC: Of each label, as judged without having seen the sample.
            y_M: Labels as they are, 0 to C - 1.
        """
        return sum((one.weight * one.share(chance_MC, y_M) for one in self.supposed), np.zeros(len(y_M)))


def trust(classes: int) -> Belief:
    """That no label is wrong."""
    return Belief(
        supposed=(Supposed(rate_C=np.zeros(classes), weight=1.0, slope=1.0, offset_C=np.zeros(classes)),),
        rate_C=np.zeros(classes),
    )


def believe(chance_NC: Float64, y_N: Int64, plainly: Callable[[], tuple[Float64, Int64]]) -> Belief:
    """How many labels may be wrong, and how likely.

    Mistakes that go one way are looked for where there are two labels, see :func:`shoploop.importance.doubt.floors`; what is
    found is supposed beside the rest, as likely as that it is not so.

    Args:
        chance_NC: Of each label, as judged without having seen the sample.
        y_N: Labels as they are, 0 to C - 1.
        plainly: Asked where one of two labels may hide more: the same of a linear model, (M, 2), and the labels of these.
    """
    count, classes = chance_NC.shape
    some = np.unique(np.linspace(0, count - 1, min(count, FITTED)).round().astype(np.int64))
    score_MC, y_M = _logs(chance_NC[some]), y_N[some]
    wrong = [np.full(classes, share / (classes - 1)) for share in (0.0, *SHARES)]
    belief = _spoken_for(_weighed(wrong, _prior(len(wrong)), score_MC, y_M))
    alike = float(belief.rate_C.mean())
    floor_C = floors(chance_NC, y_N, alike, plainly)
    if (floor_C > alike).any():
        wrong = wrong if alike else wrong[:1]
        one_way = [np.where(floor_C > alike, np.maximum(rate_C, floor_C), rate_C) for rate_C in wrong]
        belief = _spoken_for(_weighed(wrong + one_way, _prior(len(wrong)) * 2, score_MC, y_M))
    return belief


def _spoken_for(belief: Belief) -> Belief:
    """The belief, or trust where the labels do not make it less likely than before that none is wrong."""
    return belief if belief.supposed[0].weight < NONE - NOISE else trust(len(belief.rate_C))


def _prior(shares: int) -> list[float]:
    """How likely each of the shares is before any label is looked at; the first stands for none."""
    return [NONE] + [(1 - NONE) / len(SHARES)] * (shares - 1)


def _weighed(wrong: Sequence[Float64], prior: Sequence[float], score_MC: Float64, y_M: Int64) -> Belief:
    """Each rate by how likely the labels are under it."""
    curve_C = np.concatenate([[1.0], np.zeros(score_MC.shape[1] - 1)])
    likely, supposed = [], []
    for rate_C, before in zip(wrong, prior, strict=True):
        loss, curve_C = _fitted(score_MC, y_M, rate_C, curve_C)
        likely.append(np.log(before) - HEARD * loss)
        supposed.append(Supposed(rate_C=rate_C, weight=1.0, slope=float(curve_C[0]), offset_C=_offsets(curve_C)))
    weights = softmax(likely)
    return Belief(
        supposed=[replace(one, weight=float(weight)) for one, weight in zip(supposed, weights, strict=True)],
        rate_C=np.asarray(weights @ np.stack(wrong)),
    )


def _fitted(score_MC: Float64, y_M: Int64, rate_C: Float64, start_C: Float64) -> tuple[float, Float64]:
    """The least loss under these rates, in nats, and the curve with it: a slope, and offsets of all labels but the first.

    Offsets are held towards 0: a rare label says little of its own.
    """
    kept = 1 - rate_C.sum()
    rows, own_MC = np.arange(len(y_M)), np.eye(score_MC.shape[1])[y_M]

    def loss(curve_C: Float64) -> tuple[float, Float64]:
        right_MC = _right(score_MC, curve_C[0], _offsets(curve_C))
        right_M = right_MC[rows, y_M]
        seen_M = np.maximum(rate_C[y_M] + kept * right_M, LEAST**2)
        by_score_MC = (own_MC - right_MC) * (kept * right_M / seen_M)[:, None]
        slopes = np.concatenate([[(by_score_MC * score_MC).sum()], by_score_MC[:, 1:].sum(0)])
        held = curve_C[1:]
        return -float(np.log(seen_M).sum()) + float(held @ held) / 2, -slopes + np.concatenate([[0.0], held])

    bounds = [(0, STEEPEST)] + [(None, None)] * (len(start_C) - 1)
    found = minimize(loss, start_C, jac=True, method="L-BFGS-B", bounds=bounds)
    return float(found.fun), found.x


def _offsets(curve_C: Float64) -> Float64:
    return np.concatenate([[0.0], curve_C[1:]])


def _logs(chance_MC: Float64) -> Float64:
    return np.log(np.maximum(chance_MC, LEAST))


def _right(score_MC: Float64, slope: float, offset_C: Float64) -> Float64:
    right_MC: Float64 = softmax(slope * score_MC + offset_C, axis=1)
    return right_MC
