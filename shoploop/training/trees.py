"""LambdaMART: the rival that every run has, and the DNN's teacher.

Legend: R rows.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.samples.sample_set import SampleSet

Array = npt.NDArray[np.float64]

SMALL_ROWS = 100_000
"""Of fewer, trees are grown in one thread: on a busy machine threads wait for each other for longer than they compute, and
the numbers are the same."""


class LambdaMart:
    """Gradient-boosted trees on the same features and candidates (Burges 2010), by LightGBM."""

    def __init__(self, *, rounds: int = 200, rate: float = 0.06, leaves: int = 31, seed: int = 0, threads: int = 2):
        self.rounds = rounds
        self._parameters = {
            "objective": "lambdarank",
            "metric": "None",
            "num_leaves": leaves,
            "learning_rate": rate,
            "min_data_in_leaf": 200,
            "feature_fraction": 0.6,
            "lambdarank_truncation_level": 30,
            "max_bin": 127,
            "num_threads": threads,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        self._booster: Any = None  # lightgbm ships no types

    def fit(self, samples: SampleSet, grown: Callable[[], None] = lambda: None) -> "LambdaMart":
        """Learns from the samples; ``grown`` hears of every tree."""
        import lightgbm

        parameters = self._parameters | ({"num_threads": 1} if len(samples.items_R) < SMALL_ROWS else {})
        data = lightgbm.Dataset(
            samples.features_RK,
            label=samples.labels_R.astype(np.float32),
            group=np.diff(samples.offsets_Q1),
            weight=samples.weights_R,
            params=parameters,
        )
        self._booster = lightgbm.train(parameters, data, num_boost_round=self.rounds, callbacks=[lambda _: grown()])
        return self

    def scores(self, samples: SampleSet) -> Array:
        if self._booster is None:
            raise RuntimeError("LambdaMart.fit comes before scores")
        return np.asarray(self._booster.predict(samples.features_RK), np.float64)
