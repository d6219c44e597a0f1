"""Two towers over a slate: what an item is wanted, and what its place adds.

The first is the behaviour module of recommendations over columns that know no places. The second is a number for each place
that is added to its score while both learn which item was clicked, and left out where an item is to be judged by itself: the
additive model of Yan et al. 2022 ("Revisiting two-tower models for unbiased learning to rank", SIGIR), as the shallow tower
of Zhao et al. 2019 ("Recommending what video to watch next", RecSys), which is set aside at serving.

Legend: B slates, N items, R rows (a slate and an item), K features, P places.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from shoploop.bench.shops.network import fresh_network, taught
from shoploop.evaluation.position_bias import fit_position_bias
from shoploop.models.behaviour import Behaviour
from shoploop.samples.sample_set import SampleSet

STRIDE = 10.0
"""How much faster the places' numbers learn than other weights: they span several points, and the steps of a training that
suits the others would move them by a quarter of one."""


class TwoTowers(nn.Module):
    """Scores with the place; the place is the first feature."""

    def __init__(self, wanted: Behaviour, bias_P: npt.NDArray[np.float64]):
        super().__init__()
        self.wanted = wanted
        self.strides_P = nn.Parameter(torch.from_numpy(bias_P.astype(np.float32)) / STRIDE)

    def bias(self) -> Tensor:
        """What each place adds, (P,)."""
        return self.strides_P * STRIDE

    def forward(self, features_BNK: Tensor) -> Tensor:
        place_BN = features_BNK[..., 0].long().clamp(0, len(self.strides_P) - 1)
        wanted_BN: Tensor = self.wanted(features_BNK[..., 1:])
        return wanted_BN + self.bias()[place_BN]


def fit_two_towers(train: SampleSet, *, place: int, columns: Sequence[int], seed: int) -> TwoTowers:
    """Both towers, taught together which item of a slate was clicked; the places begin with what clicks alone say of them.

    Args:
        train: Slates to learn from.
        place: Column of the place.
        columns: Those that the first tower reads; they know no places.
        seed: Of initial weights and the order of batches.
    """
    wanted = fresh_network(seen(train, columns), seed=seed)
    places_R = train.features_RK[:, place].astype(np.int64)
    clicks = fit_position_bias(np.zeros(len(places_R)), places_R, train.labels_R, train.offsets_Q1)
    return taught(TwoTowers(wanted, clicks.bias_P), seen(train, (place, *columns)), seed=seed)


def seen(samples: SampleSet, columns: Sequence[int]) -> SampleSet:
    """The samples with these columns alone."""
    return replace(samples, features_RK=np.ascontiguousarray(samples.features_RK[:, list(columns)]))


def bias(towers: TwoTowers) -> npt.NDArray[np.float64]:
    """What each place adds, (P,), 0 at the top."""
    found_P: npt.NDArray[np.float64] = towers.bias().detach().numpy().astype(np.float64)
    found_P -= found_P[0]
    return found_P
