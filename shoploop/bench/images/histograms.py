"""What colours alone find: the baseline that a network of pictures is held against.

Legend: M pictures, A answers, K neighbours, I items, B bins.
"""

import numpy as np
import numpy.typing as npt

from shoploop.data.pictures import Pixels

Array = npt.NDArray[np.float64]

BINS = 8
"""Of each colour."""


def histograms(pictures: Pixels) -> Array:
    """How often each of 8 × 8 × 8 colours is in a picture, (M, B), rows of sum 1."""
    level = pictures.astype(np.int64) * BINS // 256
    code = (level[..., 0] * BINS + level[..., 1]) * BINS + level[..., 2]
    counts = np.stack([np.bincount(each.ravel(), minlength=BINS**3) for each in code])
    shares: Array = counts / counts.sum(axis=1, keepdims=True)
    return shares


def overlap(asked_MB: Array, answers_AB: Array) -> Array:
    """What two histograms share (Swain, Ballard 1991, "Color indexing"), (M, A), 1 of the same."""
    return np.stack([np.minimum(row, answers_AB).sum(axis=1) for row in asked_MB])


def nearest_vote(
    closeness_MA: npt.NDArray[np.floating], items_A: npt.NDArray[np.integer], *, items: int, nearest: int = 10
) -> Array:
    """Of the K nearest photos each speaks for its item by its closeness, (M, I)."""
    best_MK = np.argsort(-closeness_MA, axis=1, kind="stable")[:, :nearest]
    scores_MI = np.zeros((len(closeness_MA), items))
    for m, best_K in enumerate(best_MK):
        np.add.at(scores_MI[m], items_A[best_K], closeness_MA[m, best_K])
    return scores_MI
