"""Which estimator finds flipped labels, for any source of samples.

AUC and F1 are taken within each observed label and averaged, so a detector that sees the label alone gets .50.

Legend: N samples, K features.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shoploop.importance.checks.detection import Flags, flip_labels, lowest_f1, mean_interval, within_label_auc
from shoploop.importance.estimators.estimator import Importance
from shoploop.importance.estimators.gan_attention import GanAttention, GanAttentionConfig
from shoploop.importance.estimators.interface import ESTIMATORS, make_estimator
from shoploop.importance.estimators.table import Float32, Float64, Int64, Table

SHARES = (0.1, 0.2, 0.3)
DEFAULT, BASELINE = "gan_attention", "loss"


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """Samples whose labels are taken for the truth."""

    x_NK: Float32 | Float64
    y_N: Int64
    names: tuple[str, ...] | None = None
    chance_N: Float64 | None = None
    """How likely each is mislabelled, up to a factor; alike where None."""


Draw = Callable[[int], Labelled]
"""Seed to samples."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Flipped:
    """Some labels changed, and the table that estimators are given."""

    table: Table
    flipped_N: Flags

    @classmethod
    def of(cls, samples: Labelled, share: float, *, seed: int) -> "Flipped":
        """Flips this share of the labels."""
        rng = np.random.default_rng(seed)
        observed_N, flipped_N = flip_labels(samples.y_N, share, rng=rng, chance_N=samples.chance_N)
        return cls(table=Table.of(samples.x_NK, observed_N, names=samples.names, seed=seed), flipped_N=flipped_N)

    def quality(self, importance_N: Float64) -> tuple[float, float]:
        """AUC and F1 of an importance."""
        observed_N = self.table.y_N
        return (
            within_label_auc(importance_N, observed_N, self.flipped_N),
            lowest_f1(importance_N, observed_N, self.flipped_N),
        )


@dataclass
class Found:
    """AUC and F1 by estimator, seed after seed."""

    values: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, name: str, quality: tuple[float, float]) -> None:
        self.values.setdefault(name, []).append(quality)

    def summary(self) -> dict[str, dict[str, Any]]:
        rows = {}
        for name, values in self.values.items():
            auc, f1 = np.array(values).T
            rows[name] = {
                "auc": float(np.nanmean(auc)),
                "interval": list(mean_interval(auc)),
                "f1": float(np.nanmean(f1)),
            }
        return rows

    def difference(self, name: str, than: str) -> dict[str, Any]:
        """By how much one AUC exceeds another, paired by seed."""
        values = np.array(self.values[name])[:, 0] - np.array(self.values[than])[:, 0]
        return {"difference": float(np.nanmean(values)), "interval": list(mean_interval(values)), "seeds": len(values)}


def detect(draw: Draw, share: float, seeds: Sequence[int], *, methods: Sequence[str] = tuple(ESTIMATORS)) -> Found:
    """Flips this share of each seed's samples and asks the estimators for them."""
    found = Found()
    for seed in seeds:
        task = Flipped.of(draw(seed), share, seed=seed)
        for name in methods:
            found.add(name, task.quality(make_estimator(name).score(task.table, seed=seed).importance_N))
    return found


def look_inside(draw: Draw, share: float, seeds: Sequence[int]) -> dict[str, Any]:
    """The default with generated and with real prototypes, and what is left when its attention is permuted.

    Returns:
        ``generated``, ``real``, ``permuted``: auc, interval, f1; ``real_less_generated``: their difference, paired.
    """
    found = Found()
    makers: dict[str, Importance] = {
        "generated": GanAttention(),
        "real": GanAttention(config=GanAttentionConfig(source="Real")),
    }
    for seed in seeds:
        task = Flipped.of(draw(seed), share, seed=seed)
        for name, estimator in makers.items():
            scores = estimator.score(task.table, seed=seed)
            found.add(name, task.quality(scores.importance_N))
            if name == "generated":
                permuted_N = scores.parts.importance(permute=np.random.default_rng(seed))
                found.add("permuted", task.quality(permuted_N))
    return found.summary() | {"real_less_generated": found.difference("real", "generated")}
