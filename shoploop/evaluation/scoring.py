"""Scores of whole sample sets, and their metrics per request.

Legend: Q requests, R rows, N candidates.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from shoploop.evaluation.intervals import Bootstrap, mean
from shoploop.evaluation.metrics import NAMES, auc, list_metrics, ndcg, top
from shoploop.models.fusion import PARTS, FusedModel, Surface
from shoploop.models.inputs import collate
from shoploop.samples.sample_set import SampleSet
from shoploop.training.loop import model_input

Array = npt.NDArray[np.float64]

BATCH_REQUESTS = 32


def model_scores(
    model: FusedModel,
    samples: SampleSet,
    *,
    surface: Surface = "items",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Array]:
    """Every part's logits, (R,) each, by the names of ``models.fusion.PARTS``; computed where the model lies. ``progress`` is
    told the requests that are scored, and all."""
    model.prepare()
    out: dict[str, Array] = {part: np.empty(len(samples.items_R)) for part in PARTS}
    # requests of like length share a batch, or padding would double the work
    order = np.argsort(np.diff(samples.offsets_Q1), kind="stable")
    with torch.inference_mode():
        for start in range(0, len(order), BATCH_REQUESTS):
            chosen = [int(q) for q in order[start : start + BATCH_REQUESTS]]
            scores = model(collate([model_input(samples, q) for q in chosen]).to(model.device), surface)
            for part in PARTS:
                values_BN = scores.part(part).cpu().numpy()
                for b, q in enumerate(chosen):
                    rows = samples.rows(q)
                    out[part][rows] = values_BN[b, : rows.stop - rows.start]
            progress(start + len(chosen), len(order))
    return out


def request_metrics(samples: SampleSet, scores_R: Array) -> dict[str, Array]:
    """Each request's metrics at 10 and AUC over its candidates, (Q,) each; NaN where there is none."""
    return request_list_metrics(samples, scores_R) | {"auc": request_auc(samples, scores_R)}


def request_list_metrics(samples: SampleSet, scores_R: Array) -> dict[str, Array]:
    """Each request's metrics at 10, (Q,) each; NaN where nothing was bought."""
    out = {name: np.full(len(samples), np.nan) for name in NAMES}
    for q in range(len(samples)):
        truth, rows = samples.truth(q), samples.rows(q)
        if len(truth) == 0:
            continue
        ranked = top(samples.items_R[rows], scores_R[rows])
        for name, value in list_metrics(ranked, truth).items():
            out[name][q] = value
    return out


def request_ndcg(samples: SampleSet, scores_R: Array) -> Array:
    """Each request's NDCG@10 alone, (Q,); NaN where nothing was bought."""
    found_Q = np.full(len(samples), np.nan)
    for q in range(len(samples)):
        truth, rows = samples.truth(q), samples.rows(q)
        if len(truth):
            found_Q[q] = ndcg(top(samples.items_R[rows], scores_R[rows]), truth)
    return found_Q


def request_auc(samples: SampleSet, scores_R: npt.NDArray[np.floating]) -> Array:
    """AUC of each request over its candidates, (Q,); NaN where they are all bought or none is."""
    rows = [samples.rows(q) for q in range(len(samples))]
    found = [auc(scores_R[each], samples.labels_R[each]) for each in rows]
    return np.array([np.nan if value is None else value for value in found], np.float64)


def summary(
    metrics: Mapping[str, Array], bootstrap: Bootstrap, names: tuple[str, ...] = (*NAMES, "auc")
) -> dict[str, Any]:
    """Means with their 95% intervals, as the reports hold them."""
    row: dict[str, Any] = {name: mean(metrics[name]) for name in names}
    intervals = {name: bootstrap.interval(metrics[name]) for name in names}
    row["interval"] = {name: list(interval) for name, interval in intervals.items() if interval is not None}
    return row


def measured_beside(
    ours: Mapping[str, Array],
    theirs: Mapping[str, Array],
    bootstrap: Bootstrap,
    names: tuple[str, ...] = (*NAMES, "auc"),
) -> dict[str, Any]:
    """Where theirs were measured on fewer requests, on how many ``visits``, and ``fused``: the summary of ours on these.

    Their means are not to be held against those of all requests: other days may be harder. Empty where all were measured.
    """
    some = names[0]
    both_Q = np.isfinite(ours[some] - theirs[some])
    if both_Q.sum() == np.isfinite(ours[some]).sum():
        return {}
    there = {name: np.where(both_Q, values_Q, np.nan) for name, values_Q in ours.items()}
    return {"visits": int(both_Q.sum()), "fused": summary(there, bootstrap, names)}


def incumbent_bound(
    metric: str, confidence: float, metrics: Mapping[str, Mapping[str, Array]], bootstrap: Bootstrap
) -> dict[str, Any]:
    """What the gate decides on beside the version that serves: :func:`bound`, and ``visits``, on how many of how many, where
    that is not all."""
    shared, all_ = (
        int(np.isfinite(each).sum())
        for each in (metrics["fused"][metric] - metrics["incumbent"][metric], metrics["fused"][metric])
    )
    found = bound("incumbent", metric, confidence, metrics, bootstrap)
    return found | ({"visits": [shared, all_]} if shared < all_ else {})


LEARNED = ("lambdamart", "dnn", "transformer")
"""What the same run learns beside the fused score: a first version must not be shown to be worse than any of them."""


def bound(
    than: str, metric: str, confidence: float, metrics: Mapping[str, Mapping[str, Array]], bootstrap: Bootstrap
) -> dict[str, Any]:
    """How much the fused score is above ``than``: the lower end of the interval is the one-sided bound at ``confidence``."""
    difference_Q = metrics["fused"][metric] - metrics[than][metric]
    # the lower end of a two-sided interval at 2c - 1 is the one-sided bound at c
    interval = bootstrap.interval(difference_Q, 2 * confidence - 1)
    return {"than": than, "difference": mean(difference_Q), "interval": list(interval) if interval else None}


def first_bounds(
    simple: Iterable[str],
    metric: str,
    confidence: float,
    metrics: Mapping[str, Mapping[str, Array]],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """What the gate decides on of a surface's first version: against the best of the ``simple`` methods, and against what the
    run has learned beside it."""
    best = max(simple, key=lambda name: (mean(metrics[name][metric]), name))
    return {
        "metric": metric,
        "baseline": bound(best, metric, confidence, metrics, bootstrap),
        "rivals": [bound(rival, metric, confidence, metrics, bootstrap) for rival in LEARNED],
    }


def comparison(
    better: str, than: str, metric: str, metrics: Mapping[str, Mapping[str, Array]], bootstrap: Bootstrap
) -> dict[str, Any]:
    """How much ``better`` is above ``than``, with the paired 95% interval."""
    difference_Q = metrics[better][metric] - metrics[than][metric]
    interval = bootstrap.interval(difference_Q)
    return {
        "better": better,
        "than": than,
        "metric": metric,
        "difference": mean(difference_Q),
        "interval": list(interval) if interval else None,
    }
