"""What stands beside the metrics: calibration, coverage, recall of candidates, importance of features.

Legend: Q requests, R rows, K features, I items.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from shoploop.candidates.fetching import BY_PICTURES, SOURCES
from shoploop.evaluation.intervals import mean
from shoploop.evaluation.metrics import top
from shoploop.evaluation.scoring import request_ndcg
from shoploop.features.contract import Contract
from shoploop.models.fusion import FusedModel
from shoploop.samples.sample_set import SampleSet

Array = npt.NDArray[np.float64]

CALIBRATION_EDGES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
IMPORTANCE_REQUESTS = 100
"""Visits that the importance of features is measured on."""


def calibration(samples: SampleSet, scores_R: Array, basket_sizes_Q: Array) -> list[dict[str, float]]:
    """Predicted against observed share bought, in bins of the prediction.

    The model shares one purchase out among a request's candidates; times the user's usual basket size, at most 1, that
    is the chance that an item is bought.
    """
    chance_R = np.empty(len(scores_R))
    for q in range(len(samples)):
        rows = samples.rows(q)
        shares = np.exp(scores_R[rows] - scores_R[rows].max(initial=-np.inf))
        chance_R[rows] = np.minimum(shares / max(float(shares.sum()), 1e-12) * max(basket_sizes_Q[q], 1.0), 1.0)
    bins = np.clip(np.searchsorted(CALIBRATION_EDGES, chance_R, side="right") - 1, 0, len(CALIBRATION_EDGES) - 2)
    found = []
    for bin_ in range(len(CALIBRATION_EDGES) - 1):
        inside = bins == bin_
        if inside.any():
            found.append(
                {
                    "predicted": float(chance_R[inside].mean()),
                    "observed": float(samples.labels_R[inside].mean()),
                    "count": int(inside.sum()),
                }
            )
    return found


def coverage(samples: SampleSet, scores_R: Array, items: int) -> float:
    """Share of the vocabulary that stands in anybody's first ten."""
    shown: set[int] = set()
    for q in range(len(samples)):
        rows = samples.rows(q)
        shown.update(top(samples.items_R[rows], scores_R[rows]).tolist())
    return len(shown) / max(items, 1)


def candidate_recall(samples: SampleSet) -> dict[str, Any]:
    """Share of what each user bought that was fetched, mean over users; overall and by source, which may overlap."""

    def share(labels_R: npt.NDArray[np.bool_]) -> float:
        found = np.array([labels_R[samples.rows(q)].sum() for q in range(len(samples))], np.float64)
        bought = np.diff(samples.truth_offsets_Q1).astype(np.float64)
        return mean(found[bought > 0] / bought[bought > 0])

    return {
        "recall": share(samples.labels_R),
        "by_source": {
            source: share(samples.labels_R & (samples.sources_R >> bit & 1 == 1))
            for bit, source in enumerate(SOURCES)
            if source != BY_PICTURES or (samples.sources_R >> bit & 1 == 1).any()
        },
        "mean_count": float(np.diff(samples.offsets_Q1).mean()) if len(samples) else 0.0,
    }


def feature_importance(
    model: FusedModel,
    contract: Contract,
    samples: SampleSet,
    transformer_R: Array,
    *,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict[str, Any]]:
    """How much NDCG@10 drops on a sample of visits when one dense feature is shuffled among all candidates.

    Args:
        model: Ready to score.
        contract: Names the features.
        samples: At most the first ``IMPORTANCE_REQUESTS`` of a random order are used.
        transformer_R: The Transformer's logits of ``samples``, which no dense feature changes.
        seed: Of the sample and the shuffles.
        progress: Told the features that were shuffled, and all.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(samples))[:IMPORTANCE_REQUESTS])
    part = samples.select(chosen)
    kept_R = np.concatenate([np.arange(samples.rows(q).start, samples.rows(q).stop) for q in chosen])
    sequence_R = transformer_R[kept_R]
    alpha = model.alpha["items"]
    features_RK = torch.from_numpy(part.features_RK)

    def ndcg(sums_RH: torch.Tensor) -> float:
        dnn_R = model.behaviour.of_sums(sums_RH).numpy().astype(np.float64)
        return mean(request_ndcg(part, alpha * dnn_R + (1 - alpha) * sequence_R))

    found = []
    with torch.inference_mode():
        # the first layer, most of the work, is a sum over features: only the shuffled one's term is made anew
        sums_RH = model.behaviour.sums(features_RK)
        whole = ndcg(sums_RH)
        for k, name in enumerate(contract.pair_features):
            term_RH = model.behaviour.term(k, features_RK[:, k])
            moved_R = torch.from_numpy(rng.permutation(len(features_RK)))
            shuffled_RH = term_RH.index_select(0, moved_R).sub_(term_RH).add_(sums_RH)
            found.append({"feature": name, "ndcg@10_drop": whole - ndcg(shuffled_RH)})
            progress(len(found), len(contract.pair_features))
    return sorted(found, key=lambda row: -row["ndcg@10_drop"])
