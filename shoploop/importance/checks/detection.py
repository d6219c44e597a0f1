"""Labels flipped on purpose, and how well an importance finds them.

Legend: N samples.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.evaluation import curves
from shoploop.evaluation.metrics import auc
from shoploop.importance.estimators.table import Float64, Int64

Flags = npt.NDArray[np.bool_]


def flip_labels(
    y_N: Int64, share: float, *, rng: np.random.Generator, chance_N: Float64 | None = None
) -> tuple[Int64, Flags]:
    """Gives a share of samples another label.

    Args:
        y_N: Codes 0 to C - 1.
        share: Of all samples, 0 to 1.
        chance_N: How likely each is to be flipped, up to a factor; alike where None.

    Returns:
        The new labels and which were changed.
    """
    classes = int(y_N.max()) + 1
    chosen = rng.choice(
        len(y_N), round(share * len(y_N)), replace=False, p=None if chance_N is None else chance_N / chance_N.sum()
    )
    flipped_N = np.zeros(len(y_N), bool)
    flipped_N[chosen] = True
    shift_N = np.where(flipped_N, rng.integers(1, classes, len(y_N)), 0)
    return (y_N + shift_N) % classes, flipped_N


def near_boundary(margin_N: Float64) -> Float64:
    """A chance of being mislabelled that falls with the distance from the boundary between the labels.

    Boundary-consistent noise (Menon, van Rooyen, Natarajan 2018, section 4): exp(-|margin| / median |margin|).
    """
    margin_N = np.abs(margin_N)
    return np.asarray(np.exp(-margin_N / max(float(np.median(margin_N)), 1e-12)))


def within_label_auc(importance_N: Float64, observed_N: Int64, flipped_N: Flags) -> float:
    """Chance that a flipped sample is less important than an unflipped one of the same observed label, mean over labels.

    A detector that looks at the label alone gets .50. NaN where no label has both kinds.
    """
    found = [auc(-importance_N[observed_N == label], flipped_N[observed_N == label]) for label in np.unique(observed_N)]
    values = [value for value in found if value is not None]
    return float(np.mean(values)) if values else float("nan")


def within_label_curve(importance_N: Float64, observed_N: Int64, flipped_N: Flags) -> dict[str, Any]:
    """``roc`` of calling the least important samples of each observed label flipped, and their ``confusion``: see
    :mod:`shoploop.evaluation.curves`. A score is the share of its label's samples that are more important."""
    scores_N = np.zeros(len(importance_N))
    for label in np.unique(observed_N):
        of_it = observed_N == label
        ascending = np.sort(importance_N[of_it])
        scores_N[of_it] = 1 - np.searchsorted(ascending, importance_N[of_it], side="right") / len(ascending)
    return {"roc": curves.roc(scores_N, flipped_N), "confusion": curves.confusion(scores_N, flipped_N)}


def lowest_f1(importance_N: Float64, observed_N: Int64, flipped_N: Flags) -> float:
    """F1 of calling the lowest k flipped, within each observed label, k being how many were; mean over labels.

    With that k precision, recall and F1 are one number.
    """
    values = []
    for label in np.unique(observed_N):
        rows = observed_N == label
        count = int(flipped_N[rows].sum())
        if count and not flipped_N[rows].all():
            lowest = np.argsort(importance_N[rows], kind="stable")[:count]
            values.append(flipped_N[rows][lowest].mean())
    return float(np.mean(values)) if values else float("nan")


def mean_interval(
    values: Sequence[float] | Float64, *, seed: int = 0, draws: int = 2000, confidence: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over repetitions; NaN are left out, and of nothing it is (NaN, NaN)."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return float("nan"), float("nan")
    means = known[np.random.default_rng(seed).integers(0, len(known), (draws, len(known)))].mean(1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
