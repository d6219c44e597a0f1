"""Metrics of one ranked list: the first ten places against what was bought. Means over requests are taken by callers.

Legend: N ranked items.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

K = 10
NAMES = ("recall@10", "precision@10", "f1@10", "ndcg@10", "hit@10")


def top(items_N: npt.NDArray[np.integer], scores_N: npt.NDArray[np.floating], k: int = K) -> npt.NDArray[np.integer]:
    """The k best items, best first; equal scores in the order of their codes."""
    if len(items_N) > 2 * k:  # only those that may be among them are put in order
        likely = np.flatnonzero(scores_N >= -np.partition(-scores_N, k - 1)[k - 1])
        if len(likely) >= k:
            items_N, scores_N = items_N[likely], scores_N[likely]
    return items_N[np.lexsort((items_N, -scores_N))[:k]]


def list_metrics(ranked: npt.NDArray[np.integer], truth: npt.NDArray[np.integer], k: int = K) -> dict[str, float]:
    """Metrics at k of one list.

    Args:
        ranked: Items, best first; at least k where there were enough.
        truth: What was bought; at least one item.
        k: Places that count.

    Returns:
        Recall over all of truth; precision over k places; their harmonic mean; NDCG with gain 1 and min(k, |truth|)
        items in the ideal list; hit 1 where any place is right.
    """
    right = _right(ranked[:k], truth)
    found = float(right.sum())
    recall, precision = found / len(truth), found / k
    return {
        "recall@10": recall,
        "precision@10": precision,
        "f1@10": 2 * recall * precision / (recall + precision) if found else 0.0,
        "ndcg@10": _ndcg(right, len(truth), k),
        "hit@10": float(found > 0),
    }


def ndcg(ranked: npt.NDArray[np.integer], truth: npt.NDArray[np.integer], k: int = K) -> float:
    """NDCG at k of one list, as :func:`list_metrics` has it."""
    return _ndcg(_right(ranked[:k], truth), len(truth), k)


def _right(shown: npt.NDArray[np.integer], truth: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    # for a list of ten, numpy's isin takes ten times as long
    right: npt.NDArray[np.bool_] = (shown[:, None] == truth).any(axis=1)
    return right


@cache
def _discount(k: int) -> npt.NDArray[np.float64]:
    discount: npt.NDArray[np.float64] = 1 / np.log2(np.arange(2, k + 2))
    return discount


def _ndcg(right: npt.NDArray[np.bool_], wanted: int, k: int) -> float:
    discount = _discount(k)
    return float(discount[: len(right)][right].sum() / discount[: min(k, wanted)].sum())


def auc(scores_N: npt.NDArray[np.floating], labels_N: npt.NDArray[np.bool_]) -> float | None:
    """Chance that a bought candidate scores above another, ties counting half; None where one kind is missing."""
    positives = int(labels_N.sum())
    negatives = len(labels_N) - positives
    if positives == 0 or negatives == 0:
        return None
    ascending, bought = np.sort(scores_N), scores_N[labels_N]
    below, to = (np.searchsorted(ascending, bought, side=side) for side in ("left", "right"))
    middle_ranks = float((below + to + 1).sum()) / 2
    return (middle_ranks - positives * (positives + 1) / 2) / (positives * negatives)
