"""For whom a method works: the metrics again, over parts of the users or of the items.

Legend: Q requests, R rows, I items.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.candidates.fetching import SOURCES
from shoploop.evaluation.intervals import Bootstrap
from shoploop.evaluation.metrics import NAMES
from shoploop.evaluation.scoring import request_list_metrics, summary
from shoploop.samples.sample_set import SampleSet

Array = npt.NDArray[np.float64]

SHORT_DAYS, LONG_DAYS = 10, 50
"""Days with a purchase below which a history is short, and from which on it is long."""

TAIL_SHARE = 0.5
"""Tail items are the least sold ones that make up this share of all purchases."""


def user_slices(
    samples: SampleSet, days_active_Q: Array, metrics: Mapping[str, Mapping[str, Array]], seed: int
) -> dict[str, Any]:
    """Users without a history (cold), with a short and with a long one."""
    parts = {
        "cold users": days_active_Q == 0,
        "short histories": (days_active_Q > 0) & (days_active_Q < SHORT_DAYS),
        "long histories": days_active_Q >= LONG_DAYS,
    }
    return {
        name: _part({m: {k: v[chosen_Q] for k, v in values.items()} for m, values in metrics.items()}, seed)
        for name, chosen_Q in parts.items()
        if chosen_Q.any()
    }


def item_slices(
    samples: SampleSet, scores: Mapping[str, Array], purchases_I: npt.NDArray[np.integer], seed: int
) -> dict[str, Any]:
    """Items that the user had bought before, had not, and items that sell little; each ranked among its own kind."""
    tail_I = _tail(purchases_I)
    history_bit = SOURCES.index("history")
    repeated_R = (samples.sources_R >> history_bit & 1) == 1
    known = [np.sort(samples.items_R[samples.rows(q)][repeated_R[samples.rows(q)]]) for q in range(len(samples))]
    parts = {
        "repeated items": (repeated_R, [np.isin(samples.truth(q), known[q]) for q in range(len(samples))]),
        "new items": (~repeated_R, [~np.isin(samples.truth(q), known[q]) for q in range(len(samples))]),
        "tail items": (tail_I[samples.items_R], [tail_I[samples.truth(q)] for q in range(len(samples))]),
    }
    found = {}
    for name, (rows_R, truths) in parts.items():
        cut, kept_R = _cut(samples, rows_R, truths)
        metrics = {method: request_list_metrics(cut, values_R[kept_R]) for method, values_R in scores.items()}
        some_Q = np.diff(cut.truth_offsets_Q1) > 0
        if some_Q.any():
            found[name] = _part({m: {k: v[some_Q] for k, v in values.items()} for m, values in metrics.items()}, seed)
    return found


def _part(metrics: Mapping[str, Mapping[str, Array]], seed: int) -> dict[str, Any]:
    users = len(next(iter(next(iter(metrics.values())).values())))
    bootstrap = Bootstrap(users, draws=300, seed=seed)
    return {
        "users": users,
        "methods": {name: summary(values, bootstrap, NAMES) for name, values in metrics.items()},
    }


def _tail(purchases_I: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    order = np.argsort(purchases_I, kind="stable")
    share = np.cumsum(purchases_I[order]) / max(int(purchases_I.sum()), 1)
    tail_I = np.zeros(len(purchases_I), bool)
    tail_I[order[share <= TAIL_SHARE]] = True
    return tail_I


def _cut(
    samples: SampleSet, rows_R: npt.NDArray[np.bool_], truths: list[npt.NDArray[np.bool_]]
) -> tuple[SampleSet, npt.NDArray[np.bool_]]:
    counts = np.add.reduceat(np.append(rows_R, False).astype(np.int64), samples.offsets_Q1[:-1])
    counts[np.diff(samples.offsets_Q1) == 0] = 0
    kept_T = np.concatenate(truths) if truths else np.empty(0, bool)
    return (
        replace(
            samples,
            offsets_Q1=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            items_R=samples.items_R[rows_R],
            labels_R=samples.labels_R[rows_R],
            sources_R=samples.sources_R[rows_R],
            features_RK=np.empty((int(rows_R.sum()), 0), np.float32),
            truth_offsets_Q1=np.concatenate([[0], np.cumsum([int(t.sum()) for t in truths])]).astype(np.int64),
            truth_T=samples.truth_T[kept_T],
        ),
        rows_R,
    )
