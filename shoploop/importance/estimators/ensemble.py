"""The default: several estimators that each see something else, mixed as far as each is right about labels it has not seen.

A penalised linear model, boosted trees, and the attention on the discriminator's prototypes. The mixing weights are those of
the mixture under which the observed labels are likeliest (by EM; stacking as in Smyth and Wolpert 1999), held towards equal
shares, so that a small table does not decide for one of them by chance.

Legend: N samples, C classes, J estimators.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from shoploop.importance.estimators.estimator import Importance
from shoploop.importance.estimators.gan_attention import GanAttention
from shoploop.importance.estimators.judges import LEAST, Calibrated, Calibration, log_loss
from shoploop.importance.estimators.loss import LossRanking, boosted_loss
from shoploop.importance.estimators.table import Float32, Float64, Int64, Table
from shoploop.importance.estimators.weights import Scores

T = TypeVar("T")

ROUNDS = 50
"""Of EM; it has settled long before."""

HELD = 0.2
"""Share of the samples whose word counts for equal shares."""


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    members: Sequence[Importance] = (LossRanking(), boosted_loss(), GanAttention())
    """Each must speak of chances."""

    name = "ensemble"
    paper = "Northcutt et al. 2021, section 3; Smyth and Wolpert 1999; and those of gan_attention"

    def score(self, table: Table, *, seed: int) -> Scores:
        """The mixed chance of each sample's label, by fits that did not see it."""
        return mixed({member.name: member.score(table, seed=seed) for member in self.members}, table.y_N)


def mixed(found: Mapping[str, Scores], y_N: Int64) -> Scores:
    """What several estimators say of the same samples, as one."""
    calibrations = [calibration_of(one, y_N) for one in found.values()]
    chances = [c.chance(_known(one.under_NC)) for c, one in zip(calibrations, found.values(), strict=True)]
    rows = np.arange(len(y_N))
    share_J = mixing(np.stack([chance_NC[rows, y_N] for chance_NC in chances], axis=1))
    chance_NC = np.einsum("j,jnc->nc", share_J, np.stack(chances))

    judges = _calibrated(found, calibrations)
    losses = {name: log_loss(chance, y_N) for name, chance in zip(found, chances, strict=True)}
    return Scores(
        importance_N=chance_NC[rows, y_N],
        diagnostics={
            "shares": dict(zip(found, share_J.tolist(), strict=True)),
            "out_of_fold_loss": losses | {"mixed": log_loss(chance_NC, y_N)},
            "members": {name: one.diagnostics for name, one in found.items()},
        },
        parts=next((one.parts for one in found.values() if one.parts is not None), None),
        under_NC=chance_NC,
        predict=_Mix(share_J=share_J, judges=judges) if judges else None,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Mix:
    share_J: Float64
    judges: Sequence[Calibrated]

    def __call__(self, x_MK: Float32) -> Float64:
        return np.einsum("j,jmc->mc", self.share_J, np.stack([judge(x_MK) for judge in self.judges]))


def _calibrated(found: Mapping[str, Scores], calibrations: Sequence[Calibration]) -> Sequence[Calibrated] | None:
    """None where one of them knows its own rows only."""
    pairs = list(zip(calibrations, [one.predict for one in found.values()], strict=True))
    made = [Calibrated(calibration=c, predict=predict) for c, predict in pairs if predict is not None]
    return made if len(made) == len(pairs) else None


def mixing(chance_NJ: Float64) -> Float64:
    """How much each is heard, (J,), summing to 1.

    Args:
        chance_NJ: What each gives the observed label.
    """
    count, judges = chance_NJ.shape
    chance_NJ = np.maximum(chance_NJ, LEAST)
    share_J = np.full(judges, 1 / judges)
    for _ in range(ROUNDS):
        said_NJ = chance_NJ * share_J
        heard_J = (said_NJ / said_NJ.sum(1, keepdims=True)).sum(0) + HELD * count / judges
        share_J = heard_J / heard_J.sum()
    return share_J


def calibration_of(scores: Scores, y_N: Int64) -> Calibration:
    """How what an estimator says becomes chances of labels."""
    return Calibration.fit(_known(scores.under_NC), y_N, blind=scores.blind)


def _known(value: T | None) -> T:
    if value is None:
        raise ValueError(
            "An estimator that judges a sample under its own label alone cannot be a member of an ensemble."
        )
    return value
