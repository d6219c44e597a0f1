"""Which of the proposed records are kept: rejection sampling by a second discriminator, of records after decoding.

The adversary's own discriminator judges vectors; what the decoder makes of them it never sees. A gradient booster that
tells decoded records from real ones estimates the ratio of their densities, and a record is kept with the probability
that this ratio asks for (Azadi et al. 2019, Discriminator Rejection Sampling). It learns from the generator's own
shoppers alone: whoever judges the records afterwards has seen none of its data. Its trees are small and their leaves
wide, since its score is open to a membership attack like any discriminator's (see ``proofs.privacy_attacks``).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.records import Behaviour, Floats, Vocabulary
from shoploop.augmentation.generator.traits import Traits

_FLOOR = 0.01
"""Least probability of being kept, so that every condition that is asked for comes about."""

_LEAVES = 30
"""A leaf holds at least one in so many of the records learned from: no leaf is about a shopper."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A booster, as the text that LightGBM writes, and the log ratio from which on every record is kept."""

    traits: Traits
    model: str
    ceiling: float

    def log_ratio(self, behaviour: Behaviour) -> npt.NDArray[np.float64]:
        """(N,) log of real over virtual density, up to a constant; higher is more like the real ones."""
        return np.asarray(self._booster.predict(self.traits.of(behaviour), raw_score=True, num_threads=1), np.float64)

    def keep(self, proposed: Behaviour, random: np.random.Generator) -> npt.NDArray[np.int64]:
        """The records to keep, ascending."""
        kept = np.exp(np.minimum(self.log_ratio(proposed) - self.ceiling, 0))
        return np.flatnonzero(random.random(proposed.records) < np.maximum(kept, _FLOOR)).astype(np.int64)

    @cached_property
    def _booster(self) -> Any:
        import lightgbm

        return lightgbm.Booster(model_str=self.model)


def fit_selection(
    real: Behaviour,
    proposed: Behaviour,
    fresh: Behaviour,
    vocabulary: Vocabulary,
    popularity: Floats,
    *,
    rounds: int,
    proposals: int,
    seed: int,
) -> Selection:
    """Learns to tell ``proposed`` from ``real``.

    Args:
        fresh: Records of the generator that the booster does not see: on them the ceiling is set.
        popularity: (V,) share of rows of each item in the generator's own data.
        proposals: Records made for one that is kept.
    """
    import lightgbm

    traits = Traits.choose(real, vocabulary, popularity)
    table = np.concatenate([traits.of(real), traits.of(proposed)])
    label = np.repeat([1, 0], [real.records, proposed.records])
    # Both sides weigh alike, whatever their number: the ratio is of densities.
    weight = np.where(label == 1, proposed.records / real.records, 1.0)
    settings = {
        "objective": "binary",
        "learning_rate": 0.05,
        "num_leaves": 4,
        "min_data_in_leaf": max(1, len(table) // _LEAVES),
        "feature_fraction": 0.3,
        "bagging_fraction": 0.5,
        "bagging_freq": 1,
        "lambda_l2": 50.0,
        "max_bin": 31,
        "verbose": -1,
        "seed": seed,
        "deterministic": True,
        "num_threads": 1,
    }
    data = lightgbm.Dataset(table, label, weight=weight, params={"max_bin": 31, "verbose": -1})
    booster = lightgbm.train(settings, data, num_boost_round=rounds)
    unset = Selection(traits=traits, model=booster.model_to_string(), ceiling=0.0)
    return Selection(traits=traits, model=unset.model, ceiling=ceiling(unset.log_ratio(fresh), 1 / proposals))


def ceiling(log_ratio: npt.NDArray[np.float64], share: float) -> float:
    """The log ratio at which so many are kept, when those below it are kept in proportion to their ratio."""
    low, high = float(log_ratio.min()) - 1, float(log_ratio.max()) - float(np.log(share)) + 1
    for _ in range(60):
        middle = (low + high) / 2
        if np.exp(np.minimum(log_ratio - middle, 0)).mean() > share:
            low = middle
        else:
            high = middle
    return (low + high) / 2
