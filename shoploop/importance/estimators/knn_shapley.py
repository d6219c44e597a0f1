"""KNN-Shapley: a sample's share in the quality of a nearest-neighbour classifier, exactly, by a recursion over the ranks.

Legend: N samples, T samples that are predicted, D embedding.
"""

from dataclasses import dataclass, field

import numpy as np

from shoploop.importance.estimators.proxy import ProxyConfig, train_proxy
from shoploop.importance.estimators.table import Float32, Float64, Int64, Table
from shoploop.importance.estimators.weights import Scores

CELLS = 4_000_000
"""Distances held at once."""


def shapley_values(x_ND: Float32, y_N: Int64, targets_T: Int64, *, neighbours: int) -> Float64:
    """Mean Shapley value of each sample over the targets, which are samples themselves and have no part in their own.

    Theorem 1 of Jia et al. 2019: with samples sorted by distance, s(last) = 1[same label] / N and
    s(i) = s(i + 1) + (1[same label of i] - 1[same label of i + 1]) / K · min(K, i) / i.

    Args:
        x_ND: Embeddings.
        y_N: Labels.
        targets_T: Rows that are predicted from the others.
        neighbours: K of the classifier.

    Returns:
        (N,); negative where a sample misleads more than it helps. The work is targets · N · log N, the memory a chunk's.
    """
    count = len(y_N)
    total_N, times_N = np.zeros(count), np.zeros(count)
    square_N = np.square(x_ND).sum(1)
    rank = np.arange(1, count, dtype=np.float64)
    factor = np.minimum(neighbours, rank) / rank / neighbours
    for part_T in np.array_split(targets_T, max(1, -(-len(targets_T) * count // CELLS))):
        distance_TN = square_N + square_N[part_T, None] - 2 * (x_ND[part_T] @ x_ND.T)
        distance_TN[np.arange(len(part_T)), part_T] = np.inf
        order_TN = _nearest_first(distance_TN)[:, : count - 1]
        same_TN = (y_N[order_TN] == y_N[part_T][:, None]).astype(np.float64)
        steps_TN = same_TN.copy()
        steps_TN[:, -1] /= count - 1
        steps_TN[:, :-1] = (same_TN[:, :-1] - same_TN[:, 1:]) * factor[:-1]
        values_TN = np.cumsum(steps_TN[:, ::-1], axis=1)[:, ::-1]
        np.add.at(total_N, order_TN.ravel(), values_TN.ravel())
        times_N += len(part_T)
        np.subtract.at(times_N, part_T, 1)
    return total_N / np.maximum(times_N, 1)


def _nearest_first(distance_TN: Float32) -> Int64:
    """Columns of each row by distance, of equals the first first: a stable argsort, in a twentieth of its time."""
    # numbers that are not negative sort as their bits do, and integers are sorted by vector instructions
    keys_TN = np.maximum(distance_TN, np.float32(0)).view(np.uint32).astype(np.uint64)
    keys_TN <<= np.uint64(32)
    keys_TN |= np.arange(keys_TN.shape[1], dtype=np.uint64)
    keys_TN.sort(axis=1)
    order_TN: Int64 = (keys_TN & np.uint64(0xFFFFFFFF)).view(np.int64)
    return order_TN


@dataclass(frozen=True, kw_only=True)
class KnnShapley:
    """On the hidden units of the proxy."""

    neighbours: int = 10
    targets: int = 1000
    """Samples that are predicted, at most; drawn evenly over labels, so that a rare one has its say."""

    proxy: ProxyConfig = field(default_factory=lambda: ProxyConfig(initialisations=1, epochs=2))
    name = "knn_shapley"
    paper = "Jia et al. 2019, theorem 1"

    def score(self, table: Table, *, seed: int) -> Scores:
        """The rank of the value, 0 to 1: values are signed and tiny."""
        from scipy.stats import rankdata

        *_, checkpoint = train_proxy(table, self.proxy, seed=seed)
        rng = np.random.default_rng(seed)
        targets_T = np.arange(len(table))
        if len(targets_T) > self.targets:
            chance_N = 1 / np.bincount(table.y_N)[table.y_N]
            targets_T = np.sort(rng.choice(len(table), self.targets, replace=False, p=chance_N / chance_N.sum()))
        values_N = shapley_values(
            checkpoint.hidden_ENH[0], table.y_N, targets_T, neighbours=min(self.neighbours, len(table) - 1)
        )
        return Scores(
            importance_N=rankdata(values_N) / len(values_N),
            diagnostics={
                "targets": len(targets_T),
                "neighbours": self.neighbours,
                "negative_share": float((values_N < 0).mean()),
            },
        )
