"""Accuracy, precision, recall and F1 of each tower, of both fused, and of what is simple, with intervals over titles.

Legend: N test items, C classes, S draws.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.bench.classification.problem import Items
from shoploop.bench.classification.towers import PARTS, train_and_tell
from shoploop.bench.prediction.contest import cost

Ints = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

METRICS = ("accuracy", "precision", "recall", "f1")
DRAWS = 1000


def classification(
    items: Items, dataset: str, *, seeds: Sequence[int] = (0,), say: Callable[[str], None] = lambda what: None
) -> dict[str, Any]:
    """Runs every method.

    Returns:
        ``methods``: per method the mean over seeds of each metric with its 95 % interval; precision, recall and F1 are means
        over categories, each counting alike. ``comparisons`` of the fused score with every other, paired; ``alpha`` by seed,
        counts, seconds and peak memory.
    """
    started = time.perf_counter()
    truth_N = items.class_N[items.test_N]
    told: dict[str, list[Ints]] = {"most_common": [_most_common(items)]}
    say("fitting a linear classifier")
    told["linear"] = [_linear(items)]
    alphas = []
    for seed in seeds:
        say(f"training both towers, seed {seed}")
        found = train_and_tell(items, seed=seed)
        for part in PARTS:
            told.setdefault(part, []).append(found.by_part[part])
        alphas.append(found.alpha)
    weights_SN = _draws(items.title_N[items.test_N], seeds[0])
    classes = len(items.classes)
    plain = {name: _mean([_measured(truth_N, each, classes, np.ones((1, len(truth_N)))) for each in each_seed])
             for name, each_seed in told.items()}  # fmt: skip
    drawn = {name: _mean([_measured(truth_N, each, classes, weights_SN) for each in each_seed])
             for name, each_seed in told.items()}  # fmt: skip
    return {
        "dataset": dataset,
        "seeds": list(seeds),
        "counts": {
            "items": len(items),
            "classes": classes,
            "titles": int(items.title_N.max()) + 1,
            "test": int(items.test_N.sum()),
        },
        "methods": {
            name: {metric: float(plain[name][metric][0]) for metric in METRICS}
            | {"interval": {metric: _interval(drawn[name][metric]) for metric in METRICS}}
            for name in told
        },
        "slices": {},
        "comparisons": [
            {
                "better": "fused",
                "than": than,
                "metric": metric,
                "difference": float(plain["fused"][metric][0] - plain[than][metric][0]),
                "interval": _interval(drawn["fused"][metric] - drawn[than][metric]),
            }
            for than in told
            if than != "fused"
            for metric in METRICS
        ],
        "alpha": alphas,
    } | cost(started)


def _most_common(items: Items) -> Ints:
    """The greatest category, for all."""
    return np.full(int(items.test_N.sum()), np.bincount(items.class_N[~items.test_N]).argmax(), np.int64)


def _linear(items: Items) -> Ints:
    """Multinomial logistic regression on what both towers read, the pieces as a bag."""
    import scipy.sparse
    from sklearn.linear_model import LogisticRegression

    rows, places = np.nonzero(items.pieces_NP)
    bag = scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, items.pieces_NP[rows, places])))
    features = scipy.sparse.hstack([bag, scipy.sparse.csr_matrix(items.behaviour_NS)]).tocsr()
    fitted = LogisticRegression(C=1.0, max_iter=300).fit(features[~items.test_N], items.class_N[~items.test_N])
    told: Ints = fitted.predict(features[items.test_N]).astype(np.int64)
    return told


def _measured(truth_N: Ints, told_N: Ints, classes: int, weights_SN: Array) -> dict[str, Array]:
    """Each metric under each draw, (S,); a category that a draw has no item of has no part in its means."""
    right_N = truth_N == told_N

    def counted(class_N: Ints, chosen_N: npt.NDArray[np.bool_] | None = None) -> Array:
        one_hot_NC = np.zeros((len(class_N), classes))
        one_hot_NC[np.arange(len(class_N)), class_N] = 1.0 if chosen_N is None else chosen_N
        counts_SC: Array = weights_SN @ one_hot_NC
        return counts_SC

    hits_SC, said_SC, true_SC = counted(truth_N, right_N), counted(told_N), counted(truth_N)
    there_SC = true_SC > 0
    precision_SC = hits_SC / np.maximum(said_SC, 1e-9)
    recall_SC = hits_SC / np.maximum(true_SC, 1e-9)
    f1_SC = 2 * precision_SC * recall_SC / np.maximum(precision_SC + recall_SC, 1e-9)
    each = {"precision": precision_SC, "recall": recall_SC, "f1": f1_SC}
    found = {name: np.where(there_SC, values, 0).sum(axis=1) / there_SC.sum(axis=1) for name, values in each.items()}
    return {"accuracy": (weights_SN @ right_N) / weights_SN.sum(axis=1), **found}


def _draws(title_N: Ints, seed: int) -> Array:
    """How often each item is in each draw of titles, (S, N): items of one title stand or fall together."""
    titles, of_title_N = np.unique(title_N, return_inverse=True)
    drawn = np.random.default_rng(seed).integers(0, len(titles), (DRAWS, len(titles)))
    times_ST = np.stack([np.bincount(each, minlength=len(titles)) for each in drawn]).astype(np.float64)
    weights_SN: Array = times_ST[:, of_title_N]
    return weights_SN


def _mean(found: Sequence[dict[str, Array]]) -> dict[str, Array]:
    return {metric: np.mean([each[metric] for each in found], axis=0) for metric in METRICS}


def _interval(values_S: Array) -> list[float]:
    low, high = np.quantile(values_S, [0.025, 0.975])
    return [float(low), float(high)]
