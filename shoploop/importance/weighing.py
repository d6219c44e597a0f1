"""The one interface: samples and what a proxy sees in them go in; a weight each, the method and its diagnostics come out.

Only rows of the split ``train`` are weighed. Validation and evaluation rows never are, and no label of theirs is looked at.

Legend: R rows (a request and a candidate).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shoploop.features.contract import Contract
from shoploop.importance.interface import make_estimator
from shoploop.importance.shop import COLUMNS, Columns, shop_table
from shoploop.importance.shop_proxy import ProxyView
from shoploop.importance.table import Float32, Float64, Table
from shoploop.importance.weights import WeightConfig, to_weights
from shoploop.sample_set import SampleSet

METHODS = {
    "GanAttention": "gan_attention",
    "LossRanking": "loss",
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

    weights: WeightConfig = field(default_factory=WeightConfig)
    """The bounds."""

    columns: Sequence[Columns] = COLUMNS
    """What the estimator sees of a row."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Weighed:
    """What an estimator makes of samples."""

    weights_R: Float32
    """Mean 1 among the bought rows and among the others, between the bounds."""

    importance_R: Float64
    """On the method's own scale."""

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
    return Weighed(
        weights_R=to_weights(scores.importance_N, table.y_N, config.weights),
        importance_R=scores.importance_N,
        method=config.method,
        diagnostics=scores.diagnostics,
        parts=scores.parts,
        table=table,
    )
