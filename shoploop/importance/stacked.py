"""Several small networks of one shape trained side by side, and which samples each of them may see.

Legend: E networks, R repeats, N samples, B rows of a batch, I inputs, O outputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from shoploop.importance.table import Int64


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

    Where a network's rows fit into one batch it gets all of them, weighted by label; else a balanced draw.
    """

    def __init__(self, folds: Folds, y_N: Int64, *, size: int, seed: int):
        self._rng = np.random.default_rng(seed)
        self._classes = int(y_N.max()) + 1
        self._size = size
        seen = [folds.seen(net) for net in range(folds.nets)]
        fewest = min(len(rows) for rows in seen)
        self._whole = fewest <= size
        self._seen = [self._rng.permutation(rows)[:fewest] for rows in seen] if self._whole else []
        self._by_label = (
            [] if self._whole else [[rows[y_N[rows] == c] for c in range(self._classes)] for rows in seen]
        )
        self._y_N = y_N

    def draw(self, steps: int) -> Iterator[tuple[Int64, Tensor]]:
        """Yields ``steps`` times rows (E, B) and their weights (E, B), which sum to 1 a network."""
        if self._whole:
            rows_EB = np.stack(self._seen)
            y_EB = self._y_N[rows_EB]
            weights_EB = np.zeros(rows_EB.shape, np.float32)
            for e, y_B in enumerate(y_EB):
                counts = np.bincount(y_B, minlength=self._classes)
                weights_EB[e] = 1 / (np.maximum(counts, 1)[y_B] * (counts > 0).sum())
            for _ in range(steps):
                yield rows_EB, torch.from_numpy(weights_EB)
            return
        for _ in range(steps):
            drawn = []
            for by_label in self._by_label:
                present = [rows for rows in by_label if len(rows)]
                counts = np.full(len(present), self._size // len(present))
                counts[: self._size - counts.sum()] += 1
                drawn.append(
                    np.concatenate(
                        [rows[self._rng.integers(len(rows), size=n)] for rows, n in zip(present, counts, strict=True)]
                    )
                )
            rows_EB = np.stack(drawn)
            yield rows_EB, torch.full(rows_EB.shape, 1 / rows_EB.shape[1])
