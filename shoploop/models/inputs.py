"""What the models read: one request as arrays, and many of them padded to a batch.

Candidates are items, or where a shop is asked for, shops.

Legend: B requests, N candidates, K dense features, L last baskets, E purchases in them, I items.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from shoploop.features.baskets import BASKETS, BasketSequence
from shoploop.features.log import Float32, Int32


@dataclass(frozen=True, kw_only=True)
class ModelInput:
    """One request."""

    items_N: Int32
    """Candidates, sorted by code, each once."""

    features_NK: Float32
    """From ``features.pairs.PairParts.whole``; (N, 0) where ``first_NH`` stands for them."""

    sequence: BasketSequence
    first_NH: Float32 | None = None
    """What the DNN's first layer makes of the pair's features, where somebody has it (:mod:`shoploop.models.shared_sums`);
    whoever changes these features must take it away."""

    query: str | None = None
    """What was asked for in words; its features stand behind the pair's."""

    shops_L: Int32 | None = None
    """Where a shop is asked for: codes of the shops where the last baskets were bought, -1 where that is not known."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Requests padded to the longest."""

    items_BN: Tensor
    """int64 item codes; 0 pads."""

    mask_BN: Tensor
    """True where there is a candidate."""

    features_BNK: Tensor
    ages_BL: Tensor
    """int64 days; ``NO_AGE`` pads."""

    events_BE: Tensor
    """int64 item codes; 0 pads."""

    baskets_BE: Tensor
    """int64 place of the event's basket; L pads."""

    places_BE: Tensor
    """int64 place of the event's item among the candidates; N where it is none of them."""

    first_BNH: Tensor | None = None
    """What the DNN's first layer makes of the pair's features, where it is known."""

    queries: tuple[str, ...] | None = None
    """Of each request, where it has one."""

    visited_BL: Tensor | None = None
    """Where shops are asked for: int64 place among the candidates of the shop of each basket; N where it is none of them."""

    def to(self, device: torch.device) -> "Batch":
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {name: value.to(device) for name, value in values.items() if isinstance(value, Tensor)}
        return Batch(**values | moved)


def collate(inputs: Sequence[ModelInput]) -> Batch:
    """Pads requests to one batch."""
    if len(inputs) == 1:
        return _alone(inputs[0])
    size = len(inputs)
    longest = max((len(x.items_N) for x in inputs), default=0)
    events = max((len(x.sequence.items_E) for x in inputs), default=0)
    width = inputs[0].features_NK.shape[1]
    items_BN = np.zeros((size, longest), np.int64)
    mask_BN = np.zeros((size, longest), bool)
    features_BNK = np.zeros((size, longest, width), np.float32)
    ages_BL = np.empty((size, BASKETS), np.int64)
    events_BE = np.zeros((size, events), np.int64)
    baskets_BE = np.full((size, events), BASKETS, np.int64)
    places_BE = np.full((size, events), longest, np.int64)
    of_shops = inputs[0].shops_L is not None
    visited_BL = np.full((size, BASKETS), longest, np.int64)
    for b, x in enumerate(inputs):
        n, e = len(x.items_N), len(x.sequence.items_E)
        items_BN[b, :n] = x.items_N
        mask_BN[b, :n] = True
        features_BNK[b, :n] = x.features_NK
        ages_BL[b] = x.sequence.ages_L
        events_BE[b, :e] = x.sequence.items_E
        baskets_BE[b, :e] = x.sequence.baskets_E
        if x.shops_L is None:
            places_BE[b, :e] = places(x.items_N, x.sequence.items_E, missing=longest)
        else:  # codes of shops are none of items
            visited_BL[b] = places(x.items_N, x.shops_L, missing=longest)
    return Batch(
        items_BN=torch.from_numpy(items_BN),
        mask_BN=torch.from_numpy(mask_BN),
        features_BNK=torch.from_numpy(features_BNK),
        ages_BL=torch.from_numpy(ages_BL),
        events_BE=torch.from_numpy(events_BE),
        baskets_BE=torch.from_numpy(baskets_BE),
        places_BE=torch.from_numpy(places_BE),
        queries=None if inputs[0].query is None else tuple(x.query or "" for x in inputs),
        visited_BL=torch.from_numpy(visited_BL) if of_shops else None,
    )


def _alone(request: ModelInput) -> Batch:
    """One request, which needs no padding; its features are not copied where they may be written to."""
    items_N, sequence, candidates = request.items_N, request.sequence, len(request.items_N)
    places_E = np.full(len(sequence.items_E), candidates, np.int64)
    visited_L = None
    if request.shops_L is None:
        places_E = places(items_N, sequence.items_E, missing=candidates)
    else:  # codes of shops are none of items
        visited_L = torch.from_numpy(places(items_N, request.shops_L, missing=candidates))[None]
    return Batch(
        items_BN=torch.from_numpy(items_N.astype(np.int64))[None],
        mask_BN=torch.ones(1, candidates, dtype=torch.bool),
        features_BNK=torch.from_numpy(np.require(request.features_NK, np.float32, "W"))[None],
        ages_BL=torch.from_numpy(sequence.ages_L.astype(np.int64))[None],
        events_BE=torch.from_numpy(sequence.items_E.astype(np.int64))[None],
        baskets_BE=torch.from_numpy(sequence.baskets_E.astype(np.int64))[None],
        places_BE=torch.from_numpy(places_E)[None],
        first_BNH=None if request.first_NH is None else torch.from_numpy(request.first_NH)[None],
        queries=None if request.query is None else (request.query,),
        visited_BL=visited_L,
    )


def places(items_N: Int32, wanted_E: Int32, *, missing: int) -> npt.NDArray[np.int64]:
    """Where each wanted item stands in the sorted ``items_N``; ``missing`` where it does not."""
    if len(items_N) == 0:
        return np.full(len(wanted_E), missing, np.int64)
    at_E = np.minimum(np.searchsorted(items_N, wanted_E), len(items_N) - 1)
    return np.where(items_N[at_E] == wanted_E, at_E, missing)
