"""What trees know of the training visits, for the DNN to learn beside what was bought (docs/decisions/0118).

LambdaMART reads the same features and splits where a network has to bend. Its scores of visits that it has not learned from,
as chances over a visit's candidates, tell the DNN how near each item came, and what was bought alone does not. It teaches
only: what serves is the network.

Legend: Q requests, R rows.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from shoploop.compute.cores import cores
from shoploop.compute.parallel import Group
from shoploop.features.log import Float32
from shoploop.samples.sample_set import Offsets, SampleSet
from shoploop.training.trees import LambdaMart

FOLDS = 2
"""Parts of the users; of each part's visits trees say what they learned of the other parts."""

ROUNDS, RATE = 60, 0.15
"""Trees, and how far each goes: what is told of a visit need not be as sharp as a rival is, and has to be there at once."""

FEWEST_REQUESTS = 1_000
"""Visits with a purchase among the candidates below which nobody teaches: trees of fewer say little, and nobody has measured
what it does."""

MOST_TIMES = 20.0
"""By which scores are divided or multiplied at most."""

Progress = Callable[[float, float, str], None]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What the teacher says."""

    taught_R: Float32
    """Chances that sum to 1 over each request."""

    temperature: float
    """What scores were divided by."""

    surprise: float
    """The loss of what was bought under it, in nats."""


def teaches(samples: SampleSet) -> bool:
    """Whether there is enough to learn from for trees to teach."""
    bought_Q = _totals(samples.labels_R.astype(np.float64), _requests(samples), len(samples)) > 0
    return int(bought_Q.sum()) >= FEWEST_REQUESTS and len(np.unique(samples.users_Q)) >= FOLDS


def lesson(
    samples: SampleSet,
    *,
    seed: int,
    progress: Progress = lambda done, total, what: None,
) -> Lesson | None:
    """What trees say of each row, that have not learned from its user, as chances; None where there is too little to teach.

    Args:
        samples: The training visits, with their weights.
        seed: Of the parts and of the trees.
        progress: Called with the trees grown, their number, and "trees of the lesson".
    """
    return _softened(samples, foreign_scores(samples, seed=seed, progress=progress)) if teaches(samples) else None


def foreign_scores(
    samples: SampleSet,
    *,
    seed: int,
    progress: Progress = lambda done, total, what: None,
) -> Array:
    """Each row's score, (R,), by trees that have learned from the users of the other parts alone."""
    users, user_Q = np.unique(samples.users_Q, return_inverse=True)
    part_Q = (np.random.default_rng([seed, FOLDS]).permutation(len(users)) % FOLDS)[user_Q]
    part_R = np.repeat(part_Q, np.diff(samples.offsets_Q1))
    scores_R = np.zeros(len(samples.items_R))
    numbers = count(1)  # whose next is one for each that asks, also where two ask at once

    def grown() -> None:
        progress(next(numbers), FOLDS * ROUNDS, "trees of the lesson")

    def scores_of(part: int) -> Array:
        # each in one thread: what trees say becomes a version's digits
        trees = LambdaMart(seed=seed, threads=1, rounds=ROUNDS, rate=RATE)
        trees.fit(samples.select(np.flatnonzero(part_Q != part)), grown)
        return trees.scores(samples.select(np.flatnonzero(part_Q == part)))

    # LightGBM lets go of the interpreter, so that parts are learned beside each other
    with ThreadPoolExecutor(min(cores(), FOLDS)) as pool:
        for part, found in enumerate(pool.map(scores_of, range(FOLDS))):
            scores_R[part_R == part] = found
    return scores_R


def _softened(samples: SampleSet, scores_R: Array) -> Lesson:
    """Scores as chances, at the temperature that surprises least."""
    from scipy.optimize import minimize_scalar

    of_R = _requests(samples)
    weights_R = np.ones(len(scores_R)) if samples.weights_R is None else samples.weights_R.astype(np.float64)
    wanted_R = samples.labels_R * weights_R
    total_Q = _totals(wanted_R, of_R, len(samples))
    count_Q = np.sqrt(total_Q)  # as in training's own loss
    best_Q = np.full(len(samples), -np.inf)
    np.maximum.at(best_Q, of_R, scores_R)

    def chances(temperature: float) -> Array:
        likely_R: Array = np.exp((scores_R - best_Q[of_R]) / temperature)
        return likely_R / _totals(likely_R, of_R, len(samples))[of_R]

    def surprise(logarithm: float) -> float:
        told_R = -wanted_R * np.log(chances(float(np.exp(logarithm))).clip(1e-12))
        told_Q = _totals(told_R, of_R, len(samples)) / total_Q.clip(1e-6)
        return float((told_Q * count_Q).sum() / max(count_Q.sum(), 1e-6))

    most = float(np.log(MOST_TIMES))
    found = minimize_scalar(surprise, bounds=(-most, most), method="bounded")
    temperature = float(np.exp(found.x))
    return Lesson(taught_R=chances(temperature).astype(np.float32), temperature=temperature, surprise=float(found.fun))


def _requests(samples: SampleSet) -> npt.NDArray[np.int64]:
    """The request of each row, (R,)."""
    return np.repeat(np.arange(len(samples)), np.diff(samples.offsets_Q1))


def _totals(values_R: Array, of_R: npt.NDArray[np.int64], requests: int) -> Array:
    """Sums over each request."""
    return np.asarray(np.bincount(of_R, weights=values_R, minlength=requests), np.float64)


def told_lesson(together: Group, make: Callable[[], tuple[SampleSet, Lesson] | None]) -> Lesson | None:
    """What the first process is taught, in every process for the requests that it owns; None where nobody teaches."""
    made = make() if together.rank == 0 else None
    words = None
    if made is not None:
        samples, found = made
        words = save(
            {
                "taught_R": found.taught_R,
                "offsets_Q1": samples.offsets_Q1,
                "found": np.array([found.temperature, found.surprise]),
            }
        )
    told = together.told(words)
    if told is None:
        return None
    tensors = load(told)
    temperature, surprise = tensors["found"].tolist()
    own_R = _owned(tensors["taught_R"], tensors["offsets_Q1"], together)
    return Lesson(taught_R=own_R, temperature=temperature, surprise=surprise)


def _owned(values_R: Float32, offsets_Q1: Offsets, together: Group) -> Float32:
    owned_Q = np.arange(len(offsets_Q1) - 1) % together.size == together.rank
    own_R: Float32 = values_R[np.repeat(owned_Q, np.diff(offsets_Q1))]
    return own_R


def taught(samples: SampleSet, found: Lesson | None) -> SampleSet:
    """The samples with what the teacher says of them."""
    return samples if found is None else replace(samples, taught_R=found.taught_R)
