"""The importance benchmark on a plain table: breast_cancer of scikit-learn.

Legend: N samples, K features, T held-out samples.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shoploop.bench.importance.flips import BASELINE, DEFAULT, SHARES, Flipped, Labelled, detect, look_inside
from shoploop.bench.importance.removal import Values, curves, remove
from shoploop.evaluation.intervals import Bootstrap
from shoploop.importance.checks.detection import Flags, near_boundary
from shoploop.importance.estimators.interface import make_estimator
from shoploop.importance.estimators.table import Float64, Int64, Table
from shoploop.importance.estimators.weights import to_weights
from shoploop.importance.quality import describe_quality

NOISE = 0.2
HELD_OUT = 0.3
TENTH = 0.1


def breast_cancer() -> Labelled:
    """The table, with the chance of a mistake that falls with the distance from the boundary of a logistic regression."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    data = load_breast_cancer()
    x_NK, y_N = data.data, data.target.astype(np.int64)
    clean = Table.of(x_NK, y_N)
    chance_N = near_boundary(LogisticRegression().fit(clean.x_NK, y_N).decision_function(clean.x_NK))
    return Labelled(x_NK=x_NK, y_N=y_N, names=tuple(data.feature_names), chance_N=chance_N)


def run(samples: Labelled, seeds: Sequence[int], progress: Callable[[str], None]) -> dict[str, Any]:
    """Everything but the speed.

    Returns:
        ``detection``, ``small_instance_dependent`` (a tenth of the data, 20 % flipped near the boundary), ``against_loss``,
        ``inside`` (kinds of prototypes and permuted attention), ``removal``, ``training`` and ``quality``.
    """
    even = Labelled(x_NK=samples.x_NK, y_N=samples.y_N, names=samples.names)
    detection, against = {}, {}
    for share in SHARES:
        progress(f"detection, {share:.0%} flipped")
        found = detect(lambda seed: even, share, seeds)
        detection[str(share)] = found.summary()
        against[str(share)] = found.difference(DEFAULT, BASELINE)
    progress("detection at a tenth of the data, flipped near the boundary")
    small = detect(lambda seed: _tenth(samples, seed), NOISE, seeds)
    against["small_instance_dependent"] = small.difference(DEFAULT, BASELINE)
    progress("prototypes")
    inside = look_inside(lambda seed: even, NOISE, seeds)
    removals, clean, noisy = [], [], []
    for seed in seeds:
        progress(f"removal and training, seed {seed}")
        clean.append(_trained(even, 0.0, seed)[1])
        values, difference = _trained(even, NOISE, seed)
        removals.append(values)
        noisy.append(difference)
    return {
        "detection": detection,
        "small_instance_dependent": small.summary(),
        "against_loss": against,
        "inside": inside,
        "removal": curves(removals, "auc on clean held-out rows", over_seeds=True),
        "training": {
            "metric": "auc on clean held-out rows, logistic regression",
            "clean": _mean(clean),
            "noisy": _mean(noisy),
        },
        "quality": describe_quality(samples.x_NK, samples.y_N, names=samples.names),
    }


def _tenth(samples: Labelled, seed: int) -> Labelled:
    rows = np.random.default_rng(seed).choice(len(samples.y_N), round(len(samples.y_N) * TENTH), replace=False)
    chance_N = None if samples.chance_N is None else samples.chance_N[rows]
    return Labelled(x_NK=samples.x_NK[rows], y_N=samples.y_N[rows], names=samples.names, chance_N=chance_N)


def _trained(samples: Labelled, noise: float, seed: int) -> tuple[Values, float]:
    """Removal curves, and the gain by weights, on rows held out before any label was flipped."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    order = np.random.default_rng(seed).permutation(len(samples.y_N))
    cut = round(len(order) * HELD_OUT)
    held, learned = order[:cut], order[cut:]
    task = Flipped.of(Labelled(x_NK=samples.x_NK[learned], y_N=samples.y_N[learned]), noise, seed=seed)
    table = task.table
    x_TK = table.scale.forward(samples.x_NK[held])

    def judge(kept_N: Flags, weights_N: Float64 | None = None) -> Float64:
        y_N: Int64 = table.y_N[kept_N]
        model = LogisticRegression(max_iter=1000).fit(table.x_NK[kept_N], y_N, sample_weight=weights_N)
        return np.array([roc_auc_score(samples.y_N[held], model.decision_function(x_TK))])

    importance_N = make_estimator(DEFAULT).score(table, seed=seed).importance_N
    everything = np.ones(len(learned), bool)
    weights_N = to_weights(importance_N, table.y_N).astype(np.float64)
    gain = float((judge(everything, weights_N) - judge(everything))[0])
    return remove(table.y_N, importance_N, judge, seed=seed) if noise else {}, gain


def _mean(differences: Sequence[float]) -> dict[str, Any]:
    values_U = np.asarray(differences)
    interval = Bootstrap(len(values_U)).interval(values_U)
    return {
        "difference": float(values_U.mean()),
        "interval": list(interval) if interval else None,
        "seeds": len(values_U),
    }
