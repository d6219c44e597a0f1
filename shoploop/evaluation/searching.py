"""How well queries are answered: every part of the model against what needs none, on the queries of the evaluation's days.

Legend: R rows, Q requests.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.api.v1alpha1 import GateSpec
from shoploop.evaluation.incumbent import Metrics, measured_by
from shoploop.evaluation.intervals import Bootstrap, mean
from shoploop.evaluation.metrics import NAMES
from shoploop.evaluation.scoring import (
    comparison,
    first_bounds,
    incumbent_bound,
    measured_beside,
    model_scores,
    request_metrics,
    request_ndcg,
    summary,
)
from shoploop.models.fusion import FusedModel
from shoploop.samples.files import read_samples
from shoploop.samples.sample_set import SampleSet
from shoploop.samples.searching import search_columns
from shoploop.surfaces.search.asked import NOBODY
from shoploop.training.trees import LambdaMart

Array = npt.NDArray[np.float64]


def evaluate_search(
    folder: Path,
    pair_columns: tuple[str, ...],
    model: FusedModel,
    *,
    seed: int,
    gate_spec: GateSpec | None = None,
    incumbent: Callable[[SampleSet], Metrics] | None = None,
) -> dict[str, Any]:
    """Metrics of every method on the queries of evaluation.

    Args:
        folder: Search's part of the samples.
        pair_columns: The pair features' names.
        model: Trained, with what is known of items when the days of evaluation begin.
        seed: Of trees and intervals.
        gate_spec: Metric and confidence of the bounds that the gate will look at; the defaults where not given.
        incumbent: Measures the version that serves, where its model answers queries.

    Returns:
        ``methods`` and ``comparisons`` as for recommendations, ``queries`` judged, ``alpha``, ``slices``, among them
        ``bought`` where searches say what was bought and what was only clicked, and the bounds for the ``gate``.
    """
    columns = search_columns(pair_columns)
    held_out = read_samples(folder, columns, "evaluation")
    scores = simple_scores(held_out, columns)
    simple, asked = tuple(scores), gate_spec or GateSpec()
    scores["lambdamart"] = LambdaMart(seed=seed).fit(read_samples(folder, columns, "train")).scores(held_out)
    scores |= {str(part): values for part, values in model_scores(model, held_out, surface="search").items()}
    metrics = {name: request_metrics(held_out, values) for name, values in scores.items()}
    bootstrap = _by_user(held_out, seed)
    bounds = first_bounds(simple, asked.metric, asked.confidence, metrics, bootstrap) | {"falls_back": "text"}
    theirs, bounds["incumbent"] = measured_by(incumbent, held_out)
    if theirs is not None:
        metrics["incumbent"] = theirs
        bounds["incumbent"] |= incumbent_bound(asked.metric, asked.confidence, metrics, bootstrap)
    found = compared(held_out, columns, metrics, seed=seed)
    if (bought := what_was_bought(held_out)) is not None:
        judged = {name: request_ndcg(bought, values) for name, values in scores.items()}
        queries = int(np.isfinite(judged["fused"]).sum())
        found["slices"]["bought"] = {"queries": queries} | {name: mean(values) for name, values in judged.items()}
    if theirs is not None:
        found["methods"]["incumbent"] |= measured_beside(metrics["fused"], theirs, bootstrap)
    return {"queries": len(held_out), "alpha": model.alpha["search"], "gate": bounds} | found


def what_was_bought(samples: SampleSet) -> SampleSet | None:
    """The same queries, where that alone is right which was bought and not only clicked; None where nobody says it. Of what
    no candidate is nobody says it either."""
    if samples.weights_R is None or not samples.labels_R.any():
        return None
    # what was bought teaches more than what was clicked
    taught = samples.weights_R[samples.labels_R]
    if taught.min() > 0.999 * taught.max():
        return None
    bought_R = samples.labels_R & (samples.weights_R > 0.999 * taught.max())
    of_R = np.repeat(np.arange(len(samples)), np.diff(samples.offsets_Q1))
    counts_Q = np.bincount(of_R[bought_R], minlength=len(samples))
    return replace(
        samples,
        labels_R=bought_R,
        truth_T=samples.items_R[bought_R],
        truth_offsets_Q1=np.concatenate([[0], np.cumsum(counts_Q)]).astype(np.int64),
    )


def simple_scores(samples: SampleSet, columns: tuple[str, ...]) -> dict[str, Array]:
    """What needs no training, each one fixed setting, (R,) each.

    ``bm25_popular`` adds half the logarithm of sales; ``words_popular`` takes the share of words, then that of words as they
    were typed, then sales of 28 days; ``words_own`` has what the user bought before ahead of sales; ``memory`` takes what was
    taken after the same and near spellings, then BM25 and sales.
    """

    def of(name: str) -> Array:
        return samples.features_RK[:, columns.index(name)].astype(np.float64)

    sold = of("item_rate_28")
    words = np.round(of("search_words"), 3) + 0.1 * np.round(of("search_typed"), 3)
    return {
        "popular": sold,
        "bm25": of("search_bm25"),
        "bm25_popular": of("search_bm25") + 0.5 * sold,
        "words_popular": 1000 * words + sold,
        "words_own": 1000 * words + 20 * of("own_days") + sold,
        "memory": 100 * (of("search_same") + of("search_near")) + of("search_bm25") + 0.5 * sold,
    }


def _by_user(samples: SampleSet, seed: int) -> Bootstrap:
    """Queries of one user are alike; those of nobody are each of somebody else."""
    strangers = int(samples.users_Q.max(initial=NOBODY)) + 1 + np.arange(len(samples))
    of_user = np.where(samples.users_Q == NOBODY, strangers, samples.users_Q)
    return Bootstrap(len(samples), seed=seed, of_user=of_user)


def compared(
    samples: SampleSet, columns: tuple[str, ...], metrics: Mapping[str, Mapping[str, Array]], *, seed: int
) -> dict[str, Any]:
    """Means with intervals, users drawn whole, the fused score against every other, and the same of queries that nobody
    asked before."""
    bootstrap = _by_user(samples, seed)
    rivals = [name for name in metrics if name != "fused"]
    found: dict[str, Any] = {
        "methods": {name: summary(values, bootstrap, NAMES) for name, values in metrics.items()},
        "comparisons": [comparison("fused", than, "ndcg@10", metrics, bootstrap) for than in rivals],
    }
    times = samples.features_RK[:, columns.index("search_times")]
    first = np.minimum(samples.offsets_Q1[:-1], max(len(times) - 1, 0))
    slices = {
        "query_not_seen_before": times[first] == 0 if len(times) else np.zeros(len(samples), bool),
        "user_not_known": samples.features_RK[first, columns.index("user_days")] == 0
        if len(times)
        else np.zeros(len(samples), bool),
    }
    found["slices"] = {
        name: {"queries": int(part_Q.sum())}
        | {
            method: mean(values["ndcg@10"][part_Q])
            for method, values in metrics.items()
            if np.isfinite(values["ndcg@10"][part_Q]).any()
        }
        for name, part_Q in slices.items()
        if part_Q.any()
    }
    return found
