"""How a classifier trades what it finds against what it takes for it: its ROC curve, thinned, and its confusion.

Legend: N samples.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

POINTS = 25
"""Of a curve, at most, beside its ends: a page shows no more."""

DIGITS = 4


def roc(scores_N: npt.NDArray[np.floating], found_N: npt.NDArray[np.bool_]) -> dict[str, list[float]] | None:
    """The curve of calling everything that scores at least a threshold found; None where one kind is missing.

    Args:
        scores_N: The higher, the likelier; finite.
        found_N: What is to be found.

    Returns:
        ``false_positive_rate``, ``true_positive_rate`` and ``threshold`` of each point, from (0, 0) to (1, 1).
    """
    positives = int(found_N.sum())
    if positives in (0, len(found_N)):
        return None
    order = np.argsort(-scores_N, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores_N[order])), len(order) - 1)  # equal scores are called alike
    hits = np.cumsum(found_N[order])[ends]
    kept = np.unique(np.linspace(0, len(ends) - 1, POINTS).round().astype(int))
    hits, called, threshold = hits[kept], ends[kept] + 1, scores_N[order][ends[kept]]
    return {
        "false_positive_rate": [0.0, *_rounded((called - hits) / (len(found_N) - positives))],
        "true_positive_rate": [0.0, *_rounded(hits / positives)],
        "threshold": [*_rounded(threshold[:1]), *_rounded(threshold)],
    }


def confusion(scores_N: npt.NDArray[np.floating], found_N: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Counts where as many are called found as are to be found, the highest scores first: rows are the truth, not found and
    found, columns what they are called."""
    positives = int(found_N.sum())
    called_N = np.zeros(len(found_N), bool)
    called_N[np.argsort(-scores_N, kind="stable")[:positives]] = True
    return [[int((~found_N & ~called_N).sum()), int((~found_N & called_N).sum())],
            [int((found_N & ~called_N).sum()), int((found_N & called_N).sum())]]  # fmt: skip


def _rounded(values: npt.NDArray[Any]) -> list[float]:
    return [round(float(value), DIGITS) for value in values]
