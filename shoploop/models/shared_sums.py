"""The first layer of the DNN for one request, with what its candidates share computed once.

The layer is a sum with a term of each feature (:meth:`~shoploop.models.behaviour.Behaviour.sums`), and much of a request's
time. Some features are the same for all candidates of a request, some say the same of an item to everybody, and those of
one's own purchases are the same for all that one has never bought, which most candidates are. The sums differ from those of
all features at once by rounding alone.

Legend: N candidates, I items, K features, C features of a part, P pieces of them, H width of the layer, R rows.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from shoploop.features.log import Float32, Int32
from shoploop.features.pairs import BOUGHT, OF_ITEM, OF_OWN_PURCHASES, OF_REQUEST
from shoploop.models.behaviour import Behaviour

MOST_ITEMS = 100_000
"""Items of which the terms are kept, 4 H bytes each: 51 MB of a layer of 128."""


class SharedSums:
    """Of one trained DNN, whose weights must not change meanwhile."""

    def __init__(self, behaviour: Behaviour, names: Sequence[str], of_items: Iterable[Float32] | None):
        """
        Args:
            behaviour: The DNN; it has a hidden layer.
            names: Of its K features.
            of_items: Features of all items, (R, K) of some at a time in the order of their codes, of which those count that
                are everybody's; None computes these with each request.

        Raises:
            ValueError: the DNN is a line, which has no layer to share.
        """
        if not behaviour.config.hidden:
            raise ValueError("a DNN without a hidden layer has no sums to share")
        kept = of_items is not None
        of_item = [k for k, name in enumerate(names) if kept and name in OF_ITEM]
        of_request = [k for k, name in enumerate(names) if name in OF_REQUEST]
        own = [k for k, name in enumerate(names) if name in OF_OWN_PURCHASES] if BOUGHT in names else []
        shared = {*of_item, *of_request, *own}
        self._bought = list(names).index(BOUGHT) if own else None
        first = behaviour.layers[0]
        assert isinstance(first, nn.Linear)
        self._bias_H = first.bias.detach()
        self._pair = _Part(behaviour, [k for k in range(len(names)) if k not in shared])
        self._request, self._own = _Part(behaviour, of_request), _Part(behaviour, own)
        self._items_IH = None
        if of_items is not None:
            part = _Part(behaviour, of_item)
            with torch.inference_mode():
                terms = [part(torch.from_numpy(np.ascontiguousarray(some_RK.T))) for some_RK in of_items]
                self._items_IH = torch.cat([torch.empty(0, behaviour.config.hidden[0]), *terms])

    def __call__(self, features_NK: Float32, items_N: Int32) -> Float32:
        """What the first layer makes of a request's candidates, (N, H).

        Args:
            features_NK: Of :func:`~shoploop.features.pairs.pair_features`.
            items_N: Codes of the candidates.
        """
        with torch.inference_mode():
            values_KN = torch.from_numpy(features_NK.T)
            first_NH = self._pair(values_KN)
            shared_H = self._bias_H + self._request(values_KN[:, :1])[0]
            if self._bought is not None:
                bought_N: npt.NDArray[np.bool_] = features_NK[:, self._bought] > 0
                rows, others = np.flatnonzero(bought_N), np.flatnonzero(~bought_N)
                if len(others):
                    never_H = self._own(values_KN[:, others[:1]])[0]
                    shared_H = shared_H + never_H
                else:
                    never_H = torch.zeros_like(shared_H)
                if len(rows):
                    at = torch.from_numpy(rows)
                    first_NH.index_add_(0, at, self._own(values_KN.index_select(1, at)) - never_H)
            if self._items_IH is not None:
                first_NH += self._items_IH.index_select(0, torch.from_numpy(items_N.astype(np.int64)))
            sums_NH: Float32 = first_NH.add_(shared_H).numpy()
            return sums_NH


class _Part:
    """The terms of some features."""

    def __init__(self, behaviour: Behaviour, columns: Sequence[int]):
        first, pieces = behaviour.layers[0], behaviour.pieces
        assert isinstance(first, nn.Linear)
        self._columns = torch.tensor(columns, dtype=torch.int64)
        self._mean_C1 = behaviour.mean_K[self._columns, None]
        self._scale_C1 = behaviour.scale_K[self._columns, None]
        weights = [first.weight.detach()[:, self._columns]]
        if pieces is not None:
            own_P = torch.isin(pieces.column_P, self._columns)
            self._column_P = pieces.column_P[own_P]
            self._low_P1, self._width_P1 = pieces.low_P[own_P, None], pieces.width_P[own_P, None]
            weights.append(pieces.layer.weight.detach()[:, own_P])
        self._pieces = pieces is not None
        self._weight_CH = torch.cat(weights, dim=1).T.contiguous()

    def __call__(self, values_KR: Tensor) -> Tensor:
        """All features' values, of which the part's are read; (R, H)."""
        standard_CR = (
            values_KR.index_select(0, self._columns).sub_(self._mean_C1).mul_(self._scale_C1).clamp_(-5.0, 5.0)
        )
        terms = [standard_CR]
        if self._pieces:
            way_PR = values_KR.index_select(0, self._column_P).sub_(self._low_P1).div_(self._width_P1)
            terms.append(way_PR.clamp_(0.0, 1.0))
        return torch.cat(terms).T @ self._weight_CH
