"""The one interface: samples and what a proxy sees in them go in; a weight each, the method and its diagnostics come out.

Only rows of the split ``train`` are weighed. Validation and evaluation rows never are, and no label of theirs is looked at.

Legend: R rows (a request and a candidate).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.features.contract import Contract
from shoploop.importance.doubt import wrong_share
from shoploop.importance.estimators.interface import make_estimator
from shoploop.importance.estimators.judges import Chances
from shoploop.importance.estimators.table import Float32, Float64, Table
from shoploop.importance.estimators.weights import NOTHING, Scores, WeightConfig, to_weights
from shoploop.importance.shop import COLUMNS, Columns, shop_table
from shoploop.importance.shop_proxy import ProxyView
from shoploop.samples.sample_set import SampleSet

METHODS = {
    "Ensemble": "ensemble",
    "GanAttention": "gan_attention",
    "LossRanking": "loss",
    "BoostedLossRanking": "loss_boosted",
    "El2n": "el2n",
    "Forgetting": "forgetting",
    "TracIn": "tracin",
    "KnnShapley": "knn_shapley",
    "DensityRatio": "density_ratio",
}
"""As a spec names an estimator, and as ``interface.ESTIMATORS`` does."""


@dataclass(frozen=True, kw_only=True)
class WeighingConfig:
    method: str = "gan_attention"
    """As in ``interface.ESTIMATORS``."""

    weights: WeightConfig = field(default_factory=lambda: WeightConfig(sharpness=0.4))
    """The bounds, and how far weights spread where every label is in doubt."""

    by_doubt: bool = True
    """Weights spread as far as labels are in doubt: labels that can be trusted count alike (docs/decisions/0051)."""

    bought_only: bool = True
    """Rows that were not bought all count 1. To spare what looks as if it might have been bought takes the hard negatives
    out of the ranking, which loses on clean labels and on noisy ones (docs/decisions/0050)."""

    columns: Sequence[Columns] = COLUMNS
    """What the estimator sees of a row."""

    def weights_of(self, chance_R: Float64, labels_R: npt.NDArray[np.bool_]) -> Float32:
        """What rows count whose labels are so likely, mean 1 among the bought and among the others, between the bounds.

        Raises:
            WeightsAllZero: nothing of a label is left.
        """
        config = self.weights
        if self.by_doubt:
            spread = config.sharpness * wrong_share(chance_R, labels_R)
            if spread < NOTHING:
                return np.ones(len(labels_R), np.float32)
            config = replace(config, sharpness=spread)
        weights_R = to_weights(chance_R, labels_R.astype(np.int64), config)
        if self.bought_only:
            weights_R[~labels_R] = 1.0
        return weights_R


@dataclass(frozen=True, kw_only=True, eq=False)
class Weighed:
    """What an estimator makes of samples."""

    weights_R: Float32
    """Mean 1 among the bought rows and among the others; see :meth:`WeighingConfig.weights_of`."""

    importance_R: Float64
    """On the method's own scale."""

    chance_R: Float64
    """How likely each row's label is, in the order of the importance: what weights and doubt are made of."""

    method: str
    diagnostics: dict[str, Any]
    parts: Any
    """What the estimator keeps for inspection; None for most."""

    table: Table


def weigh(samples: SampleSet, view: ProxyView, contract: Contract, config: WeighingConfig, *, seed: int) -> Weighed:
    """Weighs every row of the samples.

    Args:
        samples: Of the split ``train``.
        view: The proxy's look at them.
        contract: Names the pair features.
        config: Estimator, bounds and columns.
        seed: Same seed, same samples, same bytes.

    Raises:
        TooFewSamples, FeaturesNotFinite, OneClassOnly, SamplesEqual: the samples cannot be weighed.
        TooManyPrototypes, WeightsAllZero: the settings do not fit the samples.
    """
    table = shop_table(samples, view, contract, columns=config.columns, seed=seed)
    scores = make_estimator(config.method).score(table, seed=seed)
    chance_R = _chances(scores, table, seed)
    return Weighed(
        weights_R=config.weights_of(chance_R, samples.labels_R),
        importance_R=scores.importance_N,
        chance_R=chance_R,
        method=config.method,
        diagnostics=scores.diagnostics,
        parts=scores.parts,
        table=table,
    )


def _chances(scores: Scores, table: Table, seed: int) -> Float64:
    """The importance where it is comparable between labels, or alike throughout; else a linear model's word in its order.

    Ranks lie evenly from 0 to 1 whatever labels are worth, and a self-influence is no chance: taken for chances they find
    doubt where there is none.
    """
    if scores.under_NC is not None or (scores.importance_N == scores.importance_N[0]).all():
        return scores.importance_N
    return Chances.of(scores, table, seed=seed).own_N
