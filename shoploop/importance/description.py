"""What people want to see of weights: distribution, the samples at both ends in product names, slices, days, one sample.

It describes what the estimator found; missing values, outliers and duplicates stand beside it and are not mixed in.

Legend: R rows (a request and a candidate), Q requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from shoploop.importance.checks.flips import Shop
from shoploop.importance.checks.trial import history_slices
from shoploop.importance.estimators.gan_attention import GanAttentionParts
from shoploop.importance.estimators.table import Float32, Float64
from shoploop.importance.estimators.weights import WeightConfig
from shoploop.importance.weighing import Weighed
from shoploop.samples.sample_set import SampleSet

LABELS = {True: "bought", False: "not bought"}
SHOWN = 8
"""Samples at each end, for each label."""

BINS = 12
PROTOTYPES, FEATURES = 4, 8
"""Of the one sample that is shown from inside."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """What codes stand for."""

    users: Sequence[str]
    """Of each request."""

    items: Sequence[str]
    titles: Sequence[str]
    """Of each item code."""


def describe(
    samples: SampleSet, weights_R: Float32, importance_R: Float64, names: Names, shop: Shop, config: WeightConfig
) -> dict[str, Any]:
    """JSON: ``distribution``, ``slices``, ``days``, ``most`` and ``least``, each by label.

    Slices and days tell mean weights and mean ranks of importance: 0 is the most doubtful of its label, 1 the most credible.
    """
    rank_R = np.empty(len(weights_R))
    for label in LABELS:
        chosen_R = samples.labels_R == label
        if chosen_R.any():
            rank_R[chosen_R] = (rankdata(importance_R[chosen_R]) - 0.5) / chosen_R.sum()
    return {
        "distribution": _distribution(samples, weights_R, config),
        "slices": _slices(samples, weights_R, rank_R, shop),
        "days": _days(samples, weights_R, rank_R),
    } | {
        end: {
            name: _extremes(samples, weights_R, importance_R, names, label, least=end == "least")
            for label, name in LABELS.items()
        }
        for end in ("most", "least")
    }


def _distribution(samples: SampleSet, weights_R: Float32, config: WeightConfig) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for label, name in LABELS.items():
        chosen = weights_R[samples.labels_R == label].astype(np.float64)
        edges = np.linspace(chosen.min(), max(float(chosen.max()), chosen.min() + 1e-3), BINS + 1)
        counts, _ = np.histogram(chosen, edges)
        out[name] = {
            "rows": len(chosen),
            "mean": float(chosen.mean()),
            "quantiles": {str(q): float(np.quantile(chosen, q)) for q in (0.01, 0.1, 0.5, 0.9, 0.99)},
            "at_lowest": float((chosen <= config.lowest + 1e-6).mean()),
            "at_highest": float((chosen >= config.highest - 1e-6).mean()),
            "bins": [
                {"low": float(edges[b]), "high": float(edges[b + 1]), "share": float(counts[b] / len(chosen))}
                for b in range(BINS)
            ],
        }
    return out


def _slices(samples: SampleSet, weights_R: Float32, rank_R: Float64, shop: Shop) -> list[dict[str, Any]]:
    counts_Q = np.diff(samples.offsets_Q1)
    history_R = samples.sources_R & 1 == 1
    parts = {name: np.repeat(chosen_Q, counts_Q) for name, chosen_Q in history_slices(samples, shop).items()}
    parts |= {"bought before": history_R, "never bought before": ~history_R}
    return [
        {"slice": name} | _means(samples, weights_R, rank_R, chosen_R)
        for name, chosen_R in parts.items()
        if chosen_R.any()
    ]


def _days(samples: SampleSet, weights_R: Float32, rank_R: Float64) -> list[dict[str, Any]]:
    day_R = np.repeat(samples.days_Q, np.diff(samples.offsets_Q1))
    first, last = int(day_R.min()), int(day_R.max())
    step = max(1, -(-(last - first + 1) // 60))
    out = []
    for day in range(first, last + 1, step):
        chosen_R = (day_R >= day) & (day_R < day + step)
        if chosen_R.any():
            out.append({"day": _date(day)} | _means(samples, weights_R, rank_R, chosen_R))
    return out


def _means(samples: SampleSet, weights_R: Float32, rank_R: Float64, chosen_R: npt.NDArray[np.bool_]) -> dict[str, Any]:
    row: dict[str, Any] = {"rows": int(chosen_R.sum())}
    for label, name in LABELS.items():
        of_label_R = chosen_R & (samples.labels_R == label)
        if of_label_R.any():
            row[name] = {
                "rows": int(of_label_R.sum()),
                "weight": float(weights_R[of_label_R].mean(dtype=np.float64)),
                "rank": float(rank_R[of_label_R].mean()),
            }
    return row


def _extremes(
    samples: SampleSet, weights_R: Float32, importance_R: Float64, names: Names, label: bool, *, least: bool
) -> list[dict[str, Any]]:
    """The rows at one end, no product twice: a list of one product says nothing about the others."""
    rows = np.flatnonzero(samples.labels_R == label)
    order = rows[np.argsort(importance_R[rows] if least else -importance_R[rows], kind="stable")]
    _, first = np.unique(samples.items_R[order[:20_000]], return_index=True)
    chosen = order[np.sort(first)[:SHOWN]]
    return [_row(samples, weights_R, importance_R, names, int(row)) for row in chosen]


def _row(samples: SampleSet, weights_R: Float32, importance_R: Float64, names: Names, row: int) -> dict[str, Any]:
    request = int(np.searchsorted(samples.offsets_Q1, row, side="right") - 1)
    code = int(samples.items_R[row])
    return {
        "user": names.users[request],
        "day": _date(int(samples.days_Q[request])),
        "item": names.items[code],
        "title": names.titles[code],
        "bought": bool(samples.labels_R[row]),
        "weight": float(weights_R[row]),
        "importance": float(importance_R[row]),
    }


def inside(samples: SampleSet, weighed: Weighed, names: Names) -> dict[str, Any] | None:
    """What one sample looks at: the prototypes with the most attention, their scores, and how they differ from it.

    The sample is the most doubtful one that was bought. None for estimators without prototypes.
    """
    parts = weighed.parts
    bought = np.flatnonzero(samples.labels_R)
    if not isinstance(parts, GanAttentionParts) or not len(bought):
        return None
    row = int(bought[np.argmin(weighed.importance_R[bought])])
    features_MK, attention_M, scores_M = parts.prototypes(row)
    own_K = parts.table.scale.backward(parts.table.x_NK[row : row + 1])[0]
    drawn_K = attention_M @ parts.table.scale.forward(features_MK) - parts.table.x_NK[row]
    order_M = np.argsort(-attention_M, kind="stable")[:PROTOTYPES]
    order_K = np.argsort(-np.abs(drawn_K), kind="stable")[:FEATURES]
    return _row(samples, weighed.weights_R, weighed.importance_R, names, row) | {
        "attended": float(np.exp(-(attention_M * np.log(np.maximum(attention_M, 1e-12))).sum())),
        "prototypes_in_all": len(attention_M),
        "mean_score": float(scores_M.mean()),
        "features": [parts.table.names[k] for k in order_K],
        "own": [float(own_K[k]) for k in order_K],
        "prototypes": [
            {
                "attention": float(attention_M[m]),
                "score": float(scores_M[m]),
                "values": [float(features_MK[m, k]) for k in order_K],
            }
            for m in order_M
        ],
    }


def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
