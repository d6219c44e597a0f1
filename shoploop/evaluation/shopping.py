"""How well the next shop is foreseen: every part of the model against habits that are counted, on the visits of evaluation.

Legend: Q visits, R rows (a visit and a candidate shop).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.api.v1alpha1 import GateSpec
from shoploop.evaluation.incumbent import Metrics, measured_by
from shoploop.evaluation.intervals import Bootstrap
from shoploop.evaluation.scoring import (
    comparison,
    first_bounds,
    incumbent_bound,
    measured_beside,
    model_scores,
    summary,
)
from shoploop.models.fusion import FusedModel
from shoploop.samples.files import read_samples
from shoploop.samples.sample_set import SampleSet
from shoploop.samples.shops import SHOP_COLUMNS
from shoploop.training.trees import LambdaMart

WEEKDAY_TIMES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""What a visit on the day's weekday may count beside what it counts anyway; the visits to learn from choose."""

ROUNDS, LEAVES = 100, 15
"""Of the trees: a visit has one right shop of few, and of larger ones the visits before the judged days found fewer."""

METRICS = ("hit@1", "mrr")
USED_TO = 20
"""Visits from which a user's habits are known."""

Array = npt.NDArray[np.float64]


def evaluate_shops(
    folder: Path,
    model: FusedModel,
    *,
    seed: int,
    gate_spec: GateSpec | None = None,
    incumbent: Callable[[SampleSet], Metrics] | None = None,
) -> dict[str, Any]:
    """Metrics of every method on the visits of evaluation.

    Args:
        folder: The part of the samples on shops.
        model: Trained.
        seed: Of trees and intervals.
        gate_spec: Confidence of the bounds that the gate will look at; the default where not given.
        incumbent: Measures the version that serves, where its model chooses shops.

    Returns:
        ``methods`` and ``comparisons`` with hit@1 and MRR, users drawn whole; ``slices``, the same of parts of the visits;
        ``visits`` judged and their ``users``, ``candidate_recall``, ``weekday_times``, ``alpha``; and the bounds for the
        ``gate``, by hit@1 whatever the metric of recommendations is: one shop is right.
    """
    held_out, learn = (read_samples(folder, SHOP_COLUMNS, split) for split in ("evaluation", "train"))
    weekday_times = best_weekday_times(learn)
    scores = simple_scores(held_out, weekday_times)
    simple, confidence = tuple(scores), (gate_spec or GateSpec()).confidence
    scores["lambdamart"] = LambdaMart(rounds=ROUNDS, leaves=LEAVES, seed=seed).fit(learn).scores(held_out)
    scores |= {str(part): values for part, values in model_scores(model, held_out, surface="shops").items()}
    metrics = {name: visit_metrics(held_out, values) for name, values in scores.items()}
    bootstrap = Bootstrap(len(held_out), seed=seed, of_user=held_out.users_Q)
    bounds = first_bounds(simple, METRICS[0], confidence, metrics, bootstrap) | {"falls_back": "frequency"}
    theirs, bounds["incumbent"] = measured_by(incumbent, held_out)
    if theirs is not None:
        metrics["incumbent"] = theirs
        bounds["incumbent"] |= incumbent_bound(METRICS[0], confidence, metrics, bootstrap)
    found = compared_visits(held_out, metrics, better=("fused",), seed=seed)
    if theirs is not None:
        found["methods"]["incumbent"] |= measured_beside(metrics["fused"], theirs, bootstrap, METRICS)
    return {
        "gate": bounds,
        "visits": len(held_out),
        "users": len(np.unique(held_out.users_Q)),
        "candidate_recall": float(held_out.labels_R.sum() / max(len(held_out), 1)),
        "weekday_times": weekday_times,
        "alpha": model.alpha["shops"],
    } | found


def simple_scores(samples: SampleSet, weekday_times: float) -> dict[str, Array]:
    """What needs no training, (R,) each; what was visited lately breaks the ties of all of them."""
    lately = _column(samples, "decay_30")
    return {
        "last": _column(samples, "last") + 1e-3 * lately,
        "most_frequent": _column(samples, "share") + 1e-6 * lately,
        "half_life_30": lately,
        "half_life_weekday": lately + weekday_times * _column(samples, "weekday_30"),
    }


def best_weekday_times(learn: SampleSet) -> float:
    """Which of :data:`WEEKDAY_TIMES` finds the most shops of the visits to learn from."""

    def found(times: float) -> float:
        return float(visit_metrics(learn, simple_scores(learn, times)["half_life_weekday"])["hit@1"].mean())

    return max(WEEKDAY_TIMES, key=found)


def visit_metrics(samples: SampleSet, scores_R: npt.NDArray[np.floating]) -> dict[str, Array]:
    """Each visit's hit@1 and reciprocal rank, (Q,); 0 where its shop is no candidate. Of equal scores the first is first."""
    reciprocal_Q = np.zeros(len(samples))
    for q in range(len(samples)):
        rows = samples.rows(q)
        right = np.flatnonzero(samples.labels_R[rows])
        if len(right):
            mine_N, place = scores_R[rows], int(right[0])
            before = (mine_N > mine_N[place]).sum() + (mine_N[:place] == mine_N[place]).sum()
            reciprocal_Q[q] = 1 / (1 + before)
    return {"hit@1": (reciprocal_Q == 1).astype(np.float64), "mrr": reciprocal_Q}


def compared_visits(
    samples: SampleSet, metrics: Mapping[str, Mapping[str, Array]], *, better: Sequence[str], seed: int
) -> dict[str, Any]:
    """Means with 95 % intervals, users drawn whole, and some methods against every other; the same of parts of the visits.

    Args:
        samples: The visits.
        metrics: Each method's, as :func:`visit_metrics` has them.
        better: Which methods are held against every other.
        seed: Of the intervals.
    """
    users_Q = samples.users_Q
    found = _compared(metrics, users_Q, np.arange(len(samples)), better=better, seed=seed)
    slices = {}
    for name, part_Q in visit_slices(samples).items():
        if part_Q.any():
            chosen = np.flatnonzero(part_Q)
            slices[name] = {"visits": len(chosen)} | _compared(metrics, users_Q, chosen, better=better, seed=seed)
    return found | {"slices": slices}


def visit_slices(samples: SampleSet) -> dict[str, npt.NDArray[np.bool_]]:
    """Parts of the visits, (Q,) each: where the shop is another than the last, or new to the user; of users with habits."""
    first_Q = samples.offsets_Q1[:-1]
    rows_Q = np.diff(samples.offsets_Q1)
    visits_R, right_R = _column(samples, "visits"), samples.labels_R
    right_Q = np.repeat(np.arange(len(samples)), rows_Q)[right_R]
    stayed_Q, known_Q, all_Q = (np.zeros(len(samples), bool), np.zeros(len(samples), bool), np.zeros(len(samples)))
    stayed_Q[right_Q] = _column(samples, "last")[right_R] > 0
    known_Q[right_Q] = visits_R[right_R] > 0
    all_Q[rows_Q > 0] = np.expm1(_column(samples, "all_visits")[first_Q[rows_Q > 0]])
    seen_Q = all_Q > 0.5
    return {
        "changed": seen_Q & ~stayed_Q,
        "new_to_the_user": seen_Q & ~known_Q,
        "habits_known": all_Q > USED_TO - 0.5,
    }


def _column(samples: SampleSet, name: str) -> Array:
    return samples.features_RK[:, SHOP_COLUMNS.index(f"shop_{name}")].astype(np.float64)


def _compared(
    metrics: Mapping[str, Mapping[str, Array]],
    users_Q: npt.NDArray[np.integer],
    chosen: npt.NDArray[np.integer],
    *,
    better: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    bootstrap = Bootstrap(len(chosen), seed=seed, of_user=users_Q[chosen])
    own = {name: {metric: values[metric][chosen] for metric in METRICS} for name, values in metrics.items()}
    return {
        "methods": {name: summary(values, bootstrap, METRICS) for name, values in own.items()},
        "comparisons": [
            comparison(each, than, METRICS[0], own, bootstrap) for each in better for than in own if than != each
        ],
    }
