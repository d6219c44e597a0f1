"""The likelihood-ratio attack with shadow generators (Carlini et al. 2022), of one who has other people's data and the code.

Shadows learn as the generator did, each from half of all shoppers, so that of every shopper it is seen how virtual rows look
with and without. It asks of each: are the generator's rows more like those with? Shadows take no adversarial steps and select
nothing: what counts tell is in what is left, and eight full trainings a seed would be too many.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.fitting import BehaviourGenerator, fit_generator
from shoploop.augmentation.generator.records import Behaviour, concatenate
from shoploop.augmentation.proofs import privacy_attacks as privacy
from shoploop.augmentation.proofs.count_attack import item_means
from shoploop.augmentation.study import Study

PAIRS = 2
"""Times that the shoppers are halved; each half is a shadow's."""

_CALIBRATIONS = 6
_PAIR_RECORDS = 512
_SHADOW_ROWS = 40_000

Scores = npt.NDArray[np.float64]
Make = Callable[[Behaviour, int], Behaviour]


@dataclass(frozen=True, kw_only=True)
class Attacked:
    auc: float
    interval: tuple[float, float]
    control: float
    """AUC where generator and shadows hand out what they learned from."""


def likelihood_ratio(study: Study, made: Behaviour, config: BehaviourGenerator.Config, *, seed: int) -> Attacked:
    """Attacks ``made`` of the study's generator; a generator with differential privacy is attacked by plain shadows."""
    members = len(np.unique(study.real.user))
    everyone = concatenate([study.real, replace(study.held, user=study.held.user + int(study.real.user.max()) + 1)])
    calibrations = min(_CALIBRATIONS, config.calibrations)
    cheap = replace(
        config,
        adversary=replace(config.adversary, steps=0),
        calibrations=calibrations,
        pair_records=min(_PAIR_RECORDS, config.pair_records),
        proposals=1,
    )

    def learned(half: Behaviour, turn: int) -> Behaviour:
        shadow = fit_generator(half, study.vocabulary, study.conditions, cheap, seed=seed + turn)
        return shadow.sample_rows(_SHADOW_ROWS, seed=seed + turn)

    def handed_out(half: Behaviour, turn: int) -> Behaviour:
        return half.one_per_user(np.random.default_rng(seed + turn))

    random = np.random.default_rng((seed, 4))
    found = privacy.auc_interval(*_ratios(study, everyone, made, learned, members, seed), random)
    copies = handed_out(study.real, 0)
    control = privacy.auc_interval(*_ratios(study, everyone, copies, handed_out, members, seed), random)
    return Attacked(auc=found[0], interval=found[1:], control=control[0])


def _ratios(
    study: Study, everyone: Behaviour, made: Behaviour, make: Make, members: int, seed: int
) -> tuple[Scores, Scores]:
    """Log likelihood ratios of those learned from and of the others: Gaussians of one spread, statistics added up."""
    users = np.unique(everyone.user)
    random = np.random.default_rng((seed, 5))
    told = {True: np.zeros((2, len(users))), False: np.zeros((2, len(users)))}
    spread = []
    for pair in range(PAIRS):
        inside = np.isin(users, random.permutation(users)[: len(users) // 2])
        seen = np.zeros((2, len(users)))
        for half, turn in ((inside, 2 * pair), (~inside, 2 * pair + 1)):
            learners = everyone.take(np.flatnonzero(np.isin(everyone.user, users[half])))
            found = _statistics(study, everyone, make(learners, turn + 1))
            for with_it in (True, False):
                of = half == with_it
                told[with_it][:, of] += found[:, of] / PAIRS
            seen += np.where(half, found, -found)
        spread.append(seen.std(1))
    with_, without = told[True], told[False]
    wide = np.maximum(np.mean(spread, 0), 1e-9)[:, None]
    middle = (with_ + without) / 2
    score = ((with_ - without) * (_statistics(study, everyone, made) - middle) / wide**2).sum(0)
    return score[:members], score[members:]


def _statistics(study: Study, everyone: Behaviour, made: Behaviour) -> Scores:
    """(2, shoppers): mean log share of a shopper's items, and how near the nearest virtual record comes."""
    items = len(study.vocabulary)
    share = np.log(np.bincount(made.item, minlength=items) + 0.5) - np.log(len(made.item))
    near = privacy.closest(everyone, made, privacy.rarity(study.held, items), baskets=False)
    return np.stack([item_means(everyone, share), privacy.best_by_user(everyone.user, near)])
