"""A layer that is piecewise linear in each feature, with knots where the feature tells what is bought.

A network that reads a feature once, standardised, bends slowly where the feature's meaning changes fast; trees cut it where
they like. Gorishniy, Rubachev, Babenko (2022, "On embeddings for numerical features in tabular deep learning", section
3.1) give a linear layer a column for each piece of a feature: how far the number has come through it, from 0 to 1.

Legend: R rows (any leading dimensions), K features, P pieces of all of them together, H width.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from shoploop.features.log import Float32

PIECES, ALL_PIECES = 16, 480
"""Of a feature, and of all, at most. Of 48 the logs that were tried gained no more, of 8 less; all cost a predictor time."""

NARROWEST = 1e-4
"""A piece's width in standard deviations of the feature, at least."""


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """The pieces of all features, those of a feature ascending."""

    column_P: npt.NDArray[np.int64]
    """Which feature."""

    low_P: Float32
    """Where the piece begins."""

    width_P: Float32
    """Above 0."""

    def __len__(self) -> int:
        return len(self.column_P)


def quantile_pieces(
    features_RK: Float32, labels_R: npt.NDArray[np.bool_], *, most: int = PIECES, seed: int = 0
) -> Pieces:
    """Pieces between the quantiles of each feature over what was bought and as much that was not.

    Of all rows most are alike, nobody's purchases and nobody's neighbours; the knots are to lie where the few are that are
    bought. Equal quantiles are one: a feature of few values has few pieces.

    Args:
        features_RK: Training samples.
        labels_R: Which of them were bought.
        most: Pieces of a feature; fewer where those of all features were more than :data:`ALL_PIECES`.
        seed: Of the draw of those that were not.
    """
    bought = np.flatnonzero(labels_R)
    rest = np.random.default_rng(seed).permutation(np.flatnonzero(~labels_R))[: max(len(bought), most)]
    chosen_RK = features_RK[np.sort(np.concatenate([bought, rest]))]
    pieces = _pieces(chosen_RK, most)
    while len(pieces) > ALL_PIECES and most > 1:
        most -= 1
        pieces = _pieces(chosen_RK, most)
    return pieces


def _pieces(features_RK: Float32, most: int) -> Pieces:
    column, low, width = [np.empty(0, np.int64)], [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    columns = range(features_RK.shape[1] if len(features_RK) else 0)
    levels = np.linspace(0, 1, most + 1)
    found_LK = np.quantile(features_RK, levels, method="nearest", axis=0) if columns else np.empty((0, 0), np.float32)
    for k in columns:
        edges = np.unique(found_LK[:, k])
        least = np.maximum(NARROWEST * float(features_RK[:, k].std()), np.finfo(np.float32).tiny)
        edges = edges[np.concatenate([[True], np.diff(edges) > least])]
        column.append(np.full(len(edges) - 1, k))
        low.append(edges[:-1])
        width.append(np.diff(edges))
    return Pieces(column_P=np.concatenate(column), low_P=np.concatenate(low), width_P=np.concatenate(width))


class PiecewiseLinear(nn.Module):
    """Of each feature a function that is 0 below its first knot, linear between knots and constant behind the last."""

    column_P: Tensor
    low_P: Tensor
    width_P: Tensor

    def __init__(self, pieces: int, width: int):
        super().__init__()
        self.register_buffer("column_P", torch.zeros(pieces, dtype=torch.int64))
        self.register_buffer("low_P", torch.zeros(pieces))
        self.register_buffer("width_P", torch.ones(pieces))
        self.layer = nn.Linear(pieces, width, bias=False)

    def set(self, pieces: Pieces) -> None:
        """Sets the pieces, as many as it was made for."""
        self.column_P.copy_(torch.from_numpy(pieces.column_P))
        self.low_P.copy_(torch.from_numpy(pieces.low_P))
        self.width_P.copy_(torch.from_numpy(pieces.width_P))

    def forward(self, features_RK: Tensor) -> Tensor:
        """(..., K) to (..., H)."""
        value_KR = features_RK.reshape(-1, features_RK.shape[-1]).T.contiguous()
        # whole rows are copied: a column at a time takes ten times as long
        way_PR = value_KR.index_select(0, self.column_P).sub_(self.low_P[:, None]).div_(self.width_P[:, None])
        out_HR = self.layer.weight @ way_PR.clamp_(0.0, 1.0)
        return out_HR.T.reshape(*features_RK.shape[:-1], len(out_HR))  # not -1: a batch may have no candidate at all

    def term(self, feature: int, values_R: Tensor) -> Tensor:
        """What one feature adds, (R, H)."""
        own = torch.nonzero(self.column_P == feature)[:, 0]
        way_RP = ((values_R[:, None] - self.low_P[own]) / self.width_P[own]).clamp_(0.0, 1.0)
        return way_RP @ self.layer.weight[:, own].T
