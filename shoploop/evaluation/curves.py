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
    from sklearn.metrics import roc_curve

    if found_N.all() or not found_N.any():
        return None
    false_positive, true_positive, threshold = roc_curve(found_N, scores_N, drop_intermediate=False)
    # the first point calls nothing found, at a threshold that is no number of JSON's
    kept = np.append(0, np.unique(np.linspace(1, len(threshold) - 1, POINTS).round().astype(int)))
    threshold[0] = threshold[1]
    return {
        "false_positive_rate": _rounded(false_positive[kept]),
        "true_positive_rate": _rounded(true_positive[kept]),
        "threshold": _rounded(threshold[kept]),
    }


def confusion(scores_N: npt.NDArray[np.floating], found_N: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Counts where as many are called found as are to be found, the highest scores first: rows are the truth, not found and
    found, columns what they are called."""
    from sklearn.metrics import confusion_matrix

    called_N = np.zeros(len(found_N), bool)
    called_N[np.argsort(-scores_N, kind="stable")[: int(found_N.sum())]] = True
    counts: list[list[int]] = confusion_matrix(found_N, called_N, labels=[False, True]).tolist()
    return counts


def _rounded(values: npt.NDArray[Any]) -> list[float]:
    return [round(float(value), DIGITS) for value in values]
