"""Simple ways to score a request's candidates, behind the interface that the models share.

Legend: N candidates, R rows.
"""

import numpy as np
import numpy.typing as npt

from shoploop.features.contract import Contract
from shoploop.samples.sample_set import SampleSet

Array = npt.NDArray[np.float64]


class _ByFeatures:
    def __init__(self, contract: Contract):
        self._names = contract.pair_features

    def column(self, samples: SampleSet, name: str) -> Array:
        return samples.features_RK[:, self._names.index(name)].astype(np.float64)

    def popularity(self, samples: SampleSet) -> Array:
        """The share of the last 28 days' baskets as a number below 1, to break ties with."""
        return np.clip((self.column(samples, "item_rate_28") + 14.0) / 14.0, 0.0, 0.999)


class Popular(_ByFeatures):
    """What everybody bought most in the last 28 days."""

    def scores(self, samples: SampleSet) -> Array:
        return self.popularity(samples)


class Personal(_ByFeatures):
    """What the user bought on the most days; then what is popular."""

    def scores(self, samples: SampleSet) -> Array:
        days = np.rint(np.expm1(self.column(samples, "own_days")))
        return days + self.popularity(samples)


class Decay(_ByFeatures):
    """The same with each purchase counting exp(-age / 90 days)."""

    def scores(self, samples: SampleSet) -> Array:
        return self.column(samples, "own_decay_days_90") + 1e-6 * self.popularity(samples)


class Followers(_ByFeatures):
    """What is bought after the items of the last visits, lately above all: a Markov chain over visits."""

    def scores(self, samples: SampleSet) -> Array:
        return self.column(samples, "lately_recent") + 1e-6 * self.popularity(samples)


class Ease(_ByFeatures):
    """What goes with the items bought, those of the last visits above all, by EASE (Steck 2019)."""

    def scores(self, samples: SampleSet) -> Array:
        return self.column(samples, "taste_recent") + 1e-6 * self.popularity(samples)


class Shuffle:
    """Any order: what a model must beat to have learned anything at all."""

    def __init__(self, seed: int = 0):
        self._seed = seed

    def scores(self, samples: SampleSet) -> Array:
        return np.random.default_rng(self._seed).random(len(samples.items_R))
