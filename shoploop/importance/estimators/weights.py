"""From an importance to what a sample counts in the loss.

Legend: N samples, C labels.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shoploop.importance.estimators.errors import WeightsAllZero
from shoploop.importance.estimators.table import Float32, Float64, Int64


@dataclass(frozen=True, kw_only=True)
class WeightConfig:
    lowest: float = 0.05
    """A sample never counts less; above 0 nothing is thrown away for good."""

    highest: float = 5.0
    """A sample never counts more, so none rules a batch."""

    sharpness: float = 0.7
    """Deviation of the log weights within a label before clipping; estimators differ in how far their importance spreads,
    weights do not."""

    def __post_init__(self) -> None:
        if not (0 <= self.lowest < 1 < self.highest and self.sharpness > 0):
            raise ValueError(
                f"Weights have the mean 1, so lowest < 1 < highest and sharpness > 0; got lowest {self.lowest}, "
                f"highest {self.highest}, sharpness {self.sharpness}."
            )


NOTHING = 0.01
"""What no weight differs from 1 by where there is nothing to weigh, and all are exactly 1."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """What an estimator says."""

    importance_N: Float64
    """At least 0, higher for a more credible sample; on the estimator's own scale."""

    diagnostics: dict[str, Any] = field(default_factory=dict)
    """Plain JSON."""

    under_NC: Float64 | None = None
    """The importance that each sample would have under every label; None where the estimator knows its own alone."""

    blind: bool = False
    """Whether it was learned as if all labels were equally common."""

    predict: Callable[[Float32], Float64] | None = None
    """The same of rows that were not there, (M, K) normal scores to (M, C); None where it knows its own rows only."""

    parts: Any = None
    """What the estimator keeps for inspection."""


def weights_by_belief(share_N: Float64, y_N: Int64, config: WeightConfig) -> Float32:
    """Weights of mean 1 within each label, between the bounds; exactly 1 where all of a label are believed alike.

    Trained with weights by how far labels are right (sharpness 1) on noisy labels, a model learns what it would from clean
    ones (Liu and Tao 2016, section 3).

    Args:
        share_N: How far each is to be believed, up to a factor; see :class:`shoploop.importance.belief.Belief`.
        y_N: Labels as they are.
        config: Bounds; the sharpness is the exponent.
    """
    weights_N = np.ones(len(y_N), np.float32)
    for label in np.unique(y_N):
        rows = y_N == label
        values = share_N[rows] ** config.sharpness
        if values.min() <= (1 - NOTHING) * values.max():
            weights_N[rows] = _scaled(np.maximum(values, 1e-9), config)
    return weights_N


def to_weights(importance_N: Float64, y_N: Int64, config: WeightConfig | None = None) -> Float32:
    """Weights of mean 1 within each label, between the bounds.

    Samples are compared with those of the same label only: doubt must not change how much a label counts in all.

    Raises:
        WeightsAllZero: the importance of a label's samples is 0 throughout.
    """
    config = config or WeightConfig()
    if not np.isfinite(importance_N).all() or (importance_N < 0).any():
        raise ValueError("An importance is negative or not finite; the estimator is at fault.")
    weights_N = np.empty(len(y_N), np.float32)
    for label in np.unique(y_N):
        rows = y_N == label
        values = _spread(importance_N[rows], config.sharpness)
        if not values.any():
            raise WeightsAllZero(
                f"All {rows.sum()} samples of label {label} have importance 0, so after clipping nothing is left "
                "to learn from. Use another estimator, or look at its diagnostics."
            )
        weights_N[rows] = _scaled(values, config)
    return weights_N


def unbounded(importance_N: Float64, y_N: Int64, config: WeightConfig | None = None) -> Float64:
    """What :func:`to_weights` would say without bounds: it tells the worst from the bad, too."""
    config = config or WeightConfig()
    values_N = np.empty(len(y_N))
    for label in np.unique(y_N):
        rows = y_N == label
        values = _spread(importance_N[rows], config.sharpness)
        values_N[rows] = values / max(float(values.mean()), 1e-300)
    return values_N


def _spread(importance: Float64, sharpness: float) -> Float64:
    """The power of the importance whose logs have this deviation; 0 stays 0."""
    positive = importance > 0
    logs = np.log(importance[positive])
    values = np.zeros(len(importance))
    if positive.any():
        deviation = logs.std()
        values[positive] = np.exp(sharpness * (logs - logs.mean()) / deviation) if deviation > 1e-9 else 1.0
    return values


def _scaled(values: Float64, config: WeightConfig) -> Float64:
    """clip(c · values) with the c that makes the mean 1, by bisection: the mean grows with c."""
    if (positive := (values > 0).mean()) * config.highest + (1 - positive) * config.lowest < 1:
        # so many zeros that the bound keeps the mean below 1: the bound gives way for the others
        return np.where(values > 0, (1 - (1 - positive) * config.lowest) / positive, config.lowest)
    low, high = 0.0, config.highest / values[values > 0].min()
    for _ in range(200):
        middle = (low + high) / 2
        if np.clip(middle * values, config.lowest, config.highest).mean() < 1:
            low = middle
        else:
            high = middle
    weights: Float64 = np.clip(high * values, config.lowest, config.highest)
    return weights
