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
from shoploop.features.own_history import OF_GROUP, OF_KIND, OF_OWN_PURCHASES
from shoploop.features.pairs import OF_ITEM, OF_REQUEST, PairParts
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
        self._bias_H: Float32 = first.bias.detach().numpy()
        parts = (OF_REQUEST, OF_OWN_PURCHASES, OF_ITEM, OF_KIND, OF_GROUP)
        self._request, self._own, self._item, self._kind, self._group = (
            _Part(behaviour, names, of.__contains__) for of in parts
        )
        shared = frozenset().union(*parts)
        self._pair = _Part(behaviour, names, lambda name: name not in shared)
        self._items_IH = None
        if of_items is not None:
            with torch.inference_mode():
                terms = [self._item(some.of_items(self._item.names)) for some in of_items]
                self._items_IH = torch.cat([torch.empty(0, behaviour.config.hidden[0]), *terms])

    def __call__(self, parts: PairParts) -> Float32:
        """What the first layer makes of a request's candidates, (N, H)."""
        with torch.inference_mode():
            own, kinds, groups = (
                parts.own.table(self._own.names),
                parts.kinds.table(self._kind.names),
                parts.groups.table(self._group.names),
            )
            kind, group = own.shape[1], own.shape[1] + kinds.shape[1]
            # of what was never bought, and behind it of each that was; then of each kind, and of each group with what is the
            # same for all: of these there are the fewest
            rows_RH = np.empty((group + groups.shape[1], len(self._bias_H)), np.float32)
            self._own.small(own, rows_RH[:kind])
            self._kind.small(kinds, rows_RH[kind:group])
            self._group.small(groups, rows_RH[group:])
            rows_RH[group:] += self._request.small(parts.of_request(self._request.names)) + self._bias_H
            rows_N3 = np.zeros((len(parts.candidates_N), 3), np.int32)
            rows_N3[parts.own.places_M, 0] = np.arange(1, own.shape[1], dtype=np.int32)
            np.add(parts.kinds.place_N, kind, out=rows_N3[:, 1], casting="same_kind")
            np.add(parts.groups.place_N, group, out=rows_N3[:, 2], casting="same_kind")
            # a sum of three rows for each candidate
            first_NH = nn.functional.embedding_bag(torch.from_numpy(rows_N3), torch.from_numpy(rows_RH), mode="sum")
            if self._items_IH is not None:
                first_NH += self._items_IH.index_select(0, torch.from_numpy(parts.candidates_N))
            else:
                first_NH += self._item(parts.of_items(self._item.names))
            sums_NH: Float32 = self._pair(parts.rows(self._pair.names), onto=first_NH).numpy()
            return sums_NH


class _Part:
    """The terms of some features."""

    def __init__(self, behaviour: Behaviour, names: Sequence[str], is_part: Callable[[str], bool]):
        first, pieces = behaviour.layers[0], behaviour.pieces
        assert isinstance(first, nn.Linear)
        self.names = tuple(name for name in names if is_part(name))
        """Of the part's features, C of them."""

        columns = [k for k, name in enumerate(names) if is_part(name)]
        at = torch.tensor(columns, dtype=torch.int64)
        # a row of each feature, standardised, behind them one of each of their pieces: (value - low) / width, in bounds
        weights = [first.weight.detach()[:, at]]
        feature, low, width = torch.arange(len(columns)), behaviour.mean_K[at], 1 / behaviour.scale_K[at]
        if pieces is not None:
            own_P = torch.isin(pieces.column_P, at)
            feature = torch.cat([feature, torch.searchsorted(at, pieces.column_P[own_P])])
            low, width = torch.cat([low, pieces.low_P[own_P]]), torch.cat([width, pieces.width_P[own_P]])
            weights.append(pieces.layer.weight.detach()[:, own_P])
        self._feature_P = feature
        self._low_P1, self._width_P1 = low[:, None], width[:, None]
        self._weight_PH = torch.cat(weights, dim=1).T.contiguous()

    def small(self, values_CR: Float32, out_RH: Float32 | None = None) -> Float32:
        """The terms of few rows, (R, H), into ``out_RH`` where that is given: of so few torch spends more time on finding out
        what to do than on doing it."""
        way_PR = values_CR.take(self._feature_P.numpy(), 0)
        way_PR -= self._low_P1.numpy()
        way_PR /= self._width_P1.numpy()
        features = len(self.names)
        np.clip(way_PR[:features], -5.0, 5.0, out=way_PR[:features])
        np.clip(way_PR[features:], 0.0, 1.0, out=way_PR[features:])
        made_RH: Float32 = np.matmul(way_PR.T, self._weight_PH.numpy(), out=out_RH)
        return made_RH

    def __call__(self, values_CR: Float32, *, onto: Tensor | None = None) -> Tensor:
        """The terms of the part's features, (R, H); added to ``onto`` where that is given."""
        way_PR = torch.from_numpy(values_CR).index_select(0, self._feature_P).sub_(self._low_P1).div_(self._width_P1)
        features = len(self.names)
        way_PR[:features].clamp_(-5.0, 5.0)
        way_PR[features:].clamp_(0.0, 1.0)
        return way_PR.T @ self._weight_PH if onto is None else onto.addmm_(way_PR.T, self._weight_PH)
