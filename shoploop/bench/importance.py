"""The importance benchmark on breast_cancer: which estimator finds flipped labels.

AUC and F1 are taken within each observed label and averaged, so a detector that sees the label alone gets .50.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from shoploop.errors import NotFound, ShoploopError
from shoploop.importance.detection import (
    Flags,
    flip_labels,
    lowest_f1,
    mean_interval,
    near_boundary,
    within_label_auc,
)
from shoploop.importance.interface import ESTIMATORS, make_estimator
from shoploop.importance.table import Float64, Int64, Table

SHARES = (0.1, 0.2, 0.3)
FLOOR = 0.97
"""What loss ranking must reach at 20 % flips: a weaker one would make the others look good."""


class BaselineTooWeak(ShoploopError):
    """Loss ranking misses what it must reach, so no comparison with it means anything."""


def run(
    dataset: str = "breast_cancer", seeds: int = 20, progress: Callable[[str], None] = lambda what: None
) -> dict[str, Any]:
    """Flips labels and asks every estimator for them.

    Returns:
        detection: share of flips -> estimator -> auc, interval, f1; small_instance_dependent: the same at a tenth of the
        data with 20 % flips near the boundary; against_loss: the default's difference to loss ranking, paired by seed.

    Raises:
        NotFound: the dataset is not known here.
        BaselineTooWeak: loss ranking does not reach .97 at 20 %.
    """
    if dataset != "breast_cancer":
        raise NotFound(f"The importance benchmark does not know the dataset {dataset!r}. It knows breast_cancer.")
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    began = time.perf_counter()
    x_NK, y_N = load_breast_cancer(return_X_y=True)
    clean = Table.of(x_NK, y_N)
    chance_N = near_boundary(LogisticRegression().fit(clean.x_NK, y_N).decision_function(clean.x_NK))
    detection, paired = {}, {}
    for share in SHARES:
        found = [_measure(x_NK, y_N, share, None, seed) for seed in range(seeds)]
        progress(f"{share:.0%} flipped")
        detection[str(share)] = _summary(found)
        paired[str(share)] = _against_loss(found)
    if seeds and detection["0.2"]["loss"]["auc"] < FLOOR:
        raise BaselineTooWeak(f"Loss ranking reaches an AUC of {detection['0.2']['loss']['auc']:.3f}, not {FLOOR}.")
    found = []
    for seed in range(seeds):
        rows = np.random.default_rng(seed).choice(len(y_N), round(len(y_N) / 10), replace=False)
        found.append(_measure(x_NK[rows], y_N[rows], 0.2, chance_N[rows], seed))
    progress("a tenth of the data, flipped near the boundary")
    paired["small_instance_dependent"] = _against_loss(found)
    return {
        "dataset": dataset,
        "seeds": seeds,
        "detection": detection,
        "small_instance_dependent": _summary(found),
        "against_loss": paired,
        "seconds": round(time.perf_counter() - began, 2),
    }


Found = dict[str, tuple[float, float]]


def _measure(x_NK: Float64, y_N: Int64, share: float, chance_N: Float64 | None, seed: int) -> Found:
    rng = np.random.default_rng(seed)
    observed_N, flipped_N = flip_labels(y_N, share, rng=rng, chance_N=chance_N)
    table = Table.of(x_NK, observed_N, seed=seed)
    return {
        name: _quality(make_estimator(name).score(table, seed=seed).importance_N, observed_N, flipped_N)
        for name in ESTIMATORS
    }


def _quality(importance_N: Float64, observed_N: Int64, flipped_N: Flags) -> tuple[float, float]:
    return within_label_auc(importance_N, observed_N, flipped_N), lowest_f1(importance_N, observed_N, flipped_N)


def _summary(found: list[Found]) -> dict[str, Any]:
    rows = {}
    for name in ESTIMATORS:
        auc, f1 = np.array([seed[name] for seed in found]).T
        rows[name] = {"auc": float(np.nanmean(auc)), "interval": mean_interval(auc), "f1": float(np.nanmean(f1))}
    return rows


def _against_loss(found: list[Found]) -> dict[str, Any]:
    difference = np.array([seed["gan_attention"][0] - seed["loss"][0] for seed in found])
    return {"difference": float(np.nanmean(difference)), "interval": mean_interval(difference)}
