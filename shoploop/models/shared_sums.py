"""The first layer of the DNN for one request, with what its candidates share computed once.

The layer is a sum with a term of each feature (:meth:`~shoploop.models.behaviour.Behaviour.sums`), and much of a request's
time. Some features are the same for all candidates of a request, some say the same of an item to everybody, and those of
one's own purchases are the same for all that one has never bought, which most candidates are. The sums differ from those of
all features at once by rounding alone.

Legend: N candidates, M of them that the user has bought, I items, K features, C features of a part, P pieces of them,
H width of the layer, R rows.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from shoploop.features.log import Float32
from shoploop.features.pairs import OF_ITEM, OF_OWN_PURCHASES, OF_REQUEST, PairParts
from shoploop.models.behaviour import Behaviour

MOST_ITEMS = 100_000
"""Items of which the terms are kept, 4 H bytes each: 51 MB of a layer of 128."""


class SharedSums:
    """Of one trained DNN, whose weights must not change meanwhile."""

    def __init__(self, behaviour: Behaviour, names: Sequence[str], of_items: Iterable[PairParts] | None):
        """
        Args:
            behaviour: The DNN; it has a hidden layer.
            names: Of its K features.
            of_items: All items, some at a time in the order of their codes, of whose features those count that are
                everybody's; None computes these with each request.

        Raises:
            ValueError: the DNN is a line, which has no layer to share.
        """
        if not behaviour.config.hidden:
            raise ValueError("a DNN without a hidden layer has no sums to share")
        first = behaviour.layers[0]
        assert isinstance(first, nn.Linear)
        self._bias_H = first.bias.detach()
        self._request, self._own, self._item = (
            _Part(behaviour, names, of.__contains__) for of in (OF_REQUEST, OF_OWN_PURCHASES, OF_ITEM)
        )
        shared = OF_REQUEST | OF_OWN_PURCHASES | OF_ITEM
        self._pair = _Part(behaviour, names, lambda name: name not in shared)
        self._items_IH = None
        if of_items is not None:
            with torch.inference_mode():
                terms = [self._item(some.of_items(self._item.names)) for some in of_items]
                self._items_IH = torch.cat([torch.empty(0, behaviour.config.hidden[0]), *terms])

    def __call__(self, parts: PairParts) -> Float32:
        """What the first layer makes of a request's candidates, (N, H)."""
        with torch.inference_mode():
            first_NH = self._pair(parts.rows(self._pair.names))
            # of what was never bought, and behind it of each that was
            own_RH = self._own(parts.own(self._own.names))
            shared_H = self._bias_H + self._request(parts.of_request(self._request.names))[0] + own_RH[0]
            if len(parts.bought_M):
                first_NH.index_add_(0, torch.from_numpy(parts.bought_M), own_RH[1:].sub_(own_RH[0].clone()))
            if self._items_IH is not None:
                items_N = torch.from_numpy(parts.candidates_N.astype(np.int64))
                first_NH += self._items_IH.index_select(0, items_N)
            else:
                first_NH += self._item(parts.of_items(self._item.names))
            sums_NH: Float32 = first_NH.add_(shared_H).numpy()
            return sums_NH


class _Part:
    """The terms of some features."""

    def __init__(self, behaviour: Behaviour, names: Sequence[str], is_part: Callable[[str], bool]):
        first, pieces = behaviour.layers[0], behaviour.pieces
        assert isinstance(first, nn.Linear)
        self.names = tuple(name for name in names if is_part(name))
        """Of the part's features, C of them."""

        columns = torch.tensor([k for k, name in enumerate(names) if is_part(name)], dtype=torch.int64)
        self._mean_C1 = behaviour.mean_K[columns, None]
        self._scale_C1 = behaviour.scale_K[columns, None]
        weights = [first.weight.detach()[:, columns]]
        if pieces is not None:
            own_P = torch.isin(pieces.column_P, columns)
            self._feature_P = torch.searchsorted(columns, pieces.column_P[own_P])
            self._low_P1, self._width_P1 = pieces.low_P[own_P, None], pieces.width_P[own_P, None]
            weights.append(pieces.layer.weight.detach()[:, own_P])
        self._pieces = pieces is not None
        self._weight_CH = torch.cat(weights, dim=1).T.contiguous()

    def __call__(self, values_CR: Float32) -> Tensor:
        """The terms of the part's features, (R, H)."""
        values = torch.from_numpy(values_CR)
        terms = [values.sub(self._mean_C1).mul_(self._scale_C1).clamp_(-5.0, 5.0)]
        if self._pieces:
            way_PR = values.index_select(0, self._feature_P).sub_(self._low_P1).div_(self._width_P1)
            terms.append(way_PR.clamp_(0.0, 1.0))
        return torch.cat(terms).T @ self._weight_CH
