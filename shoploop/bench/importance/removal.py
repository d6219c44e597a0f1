"""What a model is worth that learns without the least, the most, or any important samples.

Labels of the samples are flipped before; what is judged on is clean. Shares are removed within each observed label, so
that no curve moves because a label became rarer.

Legend: N samples, U units that a mean is taken over (seeds or requests).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from shoploop.evaluation.intervals import Bootstrap
from shoploop.features.log import Int32
from shoploop.importance.checks.detection import Flags
from shoploop.importance.estimators.table import Float64, Int64

SHARES = (0.1, 0.2, 0.3)
DRAWS = 5
"""Random removals, averaged."""

Values = dict[str, dict[str, Float64]]
"""Kind of removal, then share: quality by unit."""


def remove(y_N: Int64, importance_N: Float64, judge: Callable[[Flags], Float64], *, seed: int) -> Values:
    """Trains without some samples.

    Args:
        y_N: Observed labels.
        importance_N: What is said of the samples.
        judge: Trains on the samples that are kept and returns the quality by unit.
        seed: Of random removal, and of the order of ties.
    """
    rng = np.random.default_rng(seed)
    order_N = rng.permutation(len(y_N))
    out: Values = {"lowest": {}, "highest": {}, "random": {}}
    for share in SHARES:
        lowest_N = _rank(importance_N, y_N, order_N)
        out["lowest"][str(share)] = judge(lowest_N > share)
        out["highest"][str(share)] = judge(lowest_N <= 1 - share)
        draws = [judge(_rank(rng.random(len(y_N)), y_N, order_N) > share) for _ in range(DRAWS)]
        out["random"][str(share)] = np.mean(draws, axis=0)
    return out


def _rank(values_N: Float64, y_N: Int64, order_N: Int64) -> Float64:
    """Ranks within each label, above 0 to 1; ties in this order."""
    rank_N = np.empty(len(y_N))
    for label in np.unique(y_N):
        rows = order_N[y_N[order_N] == label]
        rank_N[rows] = rankdata(values_N[rows], method="ordinal") / len(rows)
    return rank_N


def curves(found: Sequence[Values], metric: str, *, over_seeds: bool, users_U: Int32 | None = None) -> dict[str, Any]:
    """The report of several seeds.

    Args:
        found: One a seed.
        metric: Its name in the report.
        over_seeds: Units are the seeds; else they are the same in every seed, whose mean is taken.
        users_U: Whose each unit is, where a user has several: users are drawn whole.

    Returns:
        ``lowest``, ``highest``, ``random``: share -> the metric, and but for random the difference to it with the
        paired 95 % interval.
    """
    out: dict[str, Any] = {"metric": metric}
    for kind in ("lowest", "highest", "random"):
        out[kind] = {}
        for share in map(str, SHARES):
            values_U = _joined([values[kind][share] for values in found], over_seeds)
            row: dict[str, Any] = {"value": float(np.nanmean(values_U))}
            if kind != "random":
                difference_U = values_U - _joined([values["random"][share] for values in found], over_seeds)
                interval = Bootstrap(len(difference_U), of_user=users_U).interval(difference_U)
                row |= {
                    "difference": float(np.nanmean(difference_U)),
                    "interval": list(interval) if interval else None,
                }
            out[kind][share] = row
    return out


def _joined(values: Sequence[Float64], over_seeds: bool) -> Float64:
    return np.concatenate(values) if over_seeds else np.mean(values, axis=0)
