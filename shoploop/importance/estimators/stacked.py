"""Several small networks of one shape trained side by side, and which samples each of them may see.

Legend: E networks, R repeats, N samples, B rows of a batch, I inputs, O outputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from shoploop.importance.estimators.table import Float64, Int64


class StackedLinear(nn.Module):
    """E linear maps at once: (E, B, I) to (E, B, O)."""

    def __init__(self, nets: int, inputs: int, outputs: int, generator: torch.Generator, *, gain: float = 1.0):
        super().__init__()
        scale = gain / inputs**0.5
        self.weight = nn.Parameter(torch.randn(nets, inputs, outputs, generator=generator) * scale)
        self.bias = nn.Parameter(torch.zeros(nets, 1, outputs))

    def forward(self, x_EBI: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x_EBI, self.weight)

    def one(self, net: int, x_BI: Tensor) -> Tensor:
        return torch.addmm(self.bias[net], x_BI, self.weight[net])


@dataclass(frozen=True, kw_only=True, eq=False)
class Folds:
    """Every sample is held out from one network of each repeat; that one judges it."""

    fold_RN: Int64
    folds: int

    @classmethod
    def draw(cls, y_N: Int64, *, folds: int, repeats: int, seed: int) -> "Folds":
        """Folds with labels spread evenly."""
        rng = np.random.default_rng(seed)
        fold_RN = np.empty((repeats, len(y_N)), np.int64)
        for r in range(repeats):
            shuffled = rng.permutation(len(y_N))
            order = shuffled[np.argsort(y_N[shuffled], kind="stable")]
            fold_RN[r, order] = (np.arange(len(y_N)) + rng.integers(folds)) % folds
        return cls(fold_RN=fold_RN, folds=folds)

    @property
    def nets(self) -> int:
        return len(self.fold_RN) * self.folds

    def seen(self, net: int) -> Int64:
        """Rows that the network learns from."""
        return np.flatnonzero(self.fold_RN[net // self.folds] != net % self.folds)

    def held_out(self, net: int) -> Int64:
        """Rows that it judges."""
        return np.flatnonzero(self.fold_RN[net // self.folds] == net % self.folds)


class Batches:
    """Rows for each network to learn from, labels evenly present.

    Where a network's rows fit into one batch it gets all of them, weighted; else a balanced draw.
    """

    def __init__(self, folds: Folds, y_N: Int64, *, size: int, seed: int):
        """Makes ready to draw.

        Args:
            folds: Who sees what.
            y_N: Labels.
            size: Rows of a batch.
            seed: Of the draws.
        """
        self._rng = np.random.default_rng(seed)
        seen = [folds.seen(net) for net in range(folds.nets)]
        fewest = min(len(rows) for rows in seen)
        self._whole: tuple[Int64, Tensor] | None = None
        self._labels: list[list[Int64]] = []
        self._size = size
        if fewest <= size:
            rows_EB = np.stack([self._rng.permutation(rows)[:fewest] for rows in seen])
            weights_EB = np.stack([_balanced(y_N[rows]) for rows in rows_EB])
            self._whole = rows_EB, torch.from_numpy(weights_EB.astype(np.float32))
            return
        for rows in seen:
            self._labels.append([rows[y_N[rows] == label] for label in np.unique(y_N[rows])])

    def draw(self, steps: int) -> Iterator[tuple[Int64, Tensor]]:
        """Yields ``steps`` times rows (E, B) and their weights (E, B), which sum to 1 a network."""
        for _ in range(steps):
            if self._whole is not None:
                yield self._whole
                continue
            rows_EB = np.stack([self._draw(labels) for labels in self._labels])
            yield rows_EB, torch.full(rows_EB.shape, 1 / rows_EB.shape[1])

    def _draw(self, labels: list[Int64]) -> Int64:
        shares = np.diff(np.linspace(0, self._size, len(labels) + 1).round().astype(int))
        return np.concatenate(
            [rows[self._rng.integers(len(rows), size=share)] for rows, share in zip(labels, shares, strict=True)]
        )


def _balanced(y_B: Int64) -> Float64:
    counts_C = np.bincount(y_B)
    weights_B: Float64 = 1 / (counts_C[y_B] * (counts_C > 0).sum())
    return weights_B
