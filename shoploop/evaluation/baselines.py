"""Simple ways to score a request's candidates, behind the interface that the models share.

Legend: R rows.
"""

import numpy as np
import numpy.typing as npt

from shoploop.features.contract import Contract
from shoploop.ranking.simple import Simple, simple_scores
from shoploop.samples.sample_set import SampleSet

Array = npt.NDArray[np.float64]


class _ByFeatures:
    method: Simple

    def __init__(self, contract: Contract):
        self._names = contract.pair_features

    def scores(self, samples: SampleSet) -> Array:
        """What :func:`~shoploop.ranking.simple.simple_scores` says of them."""
        return simple_scores(self.method, samples.features_RK, self._names)


class Popular(_ByFeatures):
    """What everybody bought most in the last 28 days."""

    method = "popular"


class Personal(_ByFeatures):
    """What the user bought on the most days; then what is popular."""

    method = "personal"


class Decay(_ByFeatures):
    """The same with each purchase counting exp(-age / 90 days)."""

    method = "decay"


class Followers(_ByFeatures):
    """What is bought after the items of the last visits, lately above all: a Markov chain over visits."""

    method = "followers"


class Ease(_ByFeatures):
    """What goes with the items bought, those of the last visits above all, by EASE (Steck 2019)."""

    method = "ease"


class Shuffle:
    """Any order: what a model must beat to have learned anything at all."""

    def __init__(self, seed: int = 0):
        self._seed = seed

    def scores(self, samples: SampleSet) -> Array:
        return np.random.default_rng(self._seed).random(len(samples.items_R))
