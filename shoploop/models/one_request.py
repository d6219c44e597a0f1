"""What the Transformer makes of one request, in numpy.

Of so small arrays torch spends more time on finding out what to do than on doing it: here are some hundred operations on
forty rows of 64 numbers. The function is the module's, on the module's own weights; what it makes differs by rounding.
Training, and evaluation of many requests at once, stay with the module.

Legend: N candidates, M of them that were bought, L baskets that there are, E purchases in them, I items, F factors, D width,
R repeat heads (or rows of a layer).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import erf
from torch import Tensor, nn

from shoploop.features.baskets import BasketSequence
from shoploop.features.distinct import firsts
from shoploop.features.log import Float32, Int32
from shoploop.models.inputs import places
from shoploop.models.sequence import SequenceModel

MOST_ITEMS = 100_000
"""Items of which what the Transformer reads is kept, 4 D bytes each: 26 MB of a width of 64."""


@dataclass(frozen=True)
class Line:
    """A linear layer."""

    weight: Float32
    """(in, out)."""

    bias: Float32 | None

    @classmethod
    def of(cls, layer: nn.Linear) -> "Line":
        return cls(_array(layer.weight).T, None if layer.bias is None else _array(layer.bias))

    def __call__(self, x: Float32) -> Float32:
        made: Float32 = x @ self.weight
        if self.bias is not None:
            made += self.bias
        return made


@dataclass(frozen=True)
class Norm:
    """A layer normalisation over the last axis."""

    weight: Float32
    bias: Float32
    eps: float

    @classmethod
    def of(cls, layer: nn.LayerNorm) -> "Norm":
        return cls(_array(layer.weight), _array(layer.bias), layer.eps)

    def __call__(self, x_RD: Float32) -> Float32:
        width = np.float32(x_RD.shape[1])
        made_RD: Float32 = np.subtract(x_RD, np.add.reduce(x_RD, 1, keepdims=True) / width)
        variance_R = np.asarray(np.einsum("rd,rd->r", made_RD, made_RD), np.float32) / width
        made_RD /= np.sqrt(variance_R + np.float32(self.eps))[:, None]
        made_RD *= self.weight
        made_RD += self.bias
        return made_RD


class OneSequence:
    """The Transformer, of one request."""

    def __init__(self, sequence: SequenceModel):
        """Of a Transformer whose weights must not change meanwhile."""
        self._width = sequence.config.width
        self._factors_IF = _array(sequence.factors_IF)
        self._own_ID = None if sequence.own_ID is None else _array(sequence.own_ID)
        self._item_in = Line.of(sequence.item_in)
        self._read_ID = self._read(slice(None)) if sequence.config.items <= MOST_ITEMS else None
        self._age = _array(sequence.age.weight)
        self._edges = sequence.age_edges_A.numpy()
        size = Line.of(sequence.size)
        self._size_D = size.weight[0]
        # of each place what is the same whatever was bought
        assert self._item_in.bias is not None and size.bias is not None
        self._place_LD = _array(sequence.place.weight) + self._item_in.bias + size.bias
        self._user_D = _array(sequence.user)[0, 0]
        self._layers = [_Layer(layer) for layer in sequence.encoder.layers]
        self._norm = Norm.of(sequence.norm)
        self._strength, self._mix = Line.of(sequence.repeat_strength), Line.of(sequence.repeat_mix)
        self._first = Line.of(sequence.repeat_first)

    def encode(self, sequence: BasketSequence) -> tuple[Float32, Float32]:
        """h_u, (D,), and the baskets' outputs, (L, D); as :meth:`SequenceModel.encode`."""
        baskets = int(np.count_nonzero(sequence.ages_L >= 0))
        x_LD = np.empty((1 + baskets, self._width), np.float32)
        x_LD[0] = self._user_D
        if baskets:
            x_LD[1:] = self._tokens(sequence, baskets)
        for layer in self._layers:
            x_LD = layer(x_LD)
        x_LD = self._norm(x_LD)
        return x_LD[0], x_LD[1:]

    def scores(self, items_N: Int32, sequence: BasketSequence, vectors_ID: Float32, bias_I: Float32) -> Float32:
        """r_transformer, (N,); as :meth:`SequenceModel.forward`.

        Args:
            items_N: Candidates, sorted by code.
            sequence: The last baskets.
            vectors_ID: w_i of all items.
            bias_I: b_i of all items.
        """
        user_D, baskets_LD = self.encode(sequence)
        scores_N: Float32 = vectors_ID.take(items_N, 0) @ user_D
        scores_N += bias_I.take(items_N)
        place_E = places(items_N, sequence.items_E, missing=len(items_N))
        found = np.flatnonzero(place_E < len(items_N))
        if len(found):
            place_E, strength_ER = place_E[found], self._strengths(baskets_LD)[sequence.baskets_E[found]]
            bought_N = np.zeros(len(items_N), bool)
            bought_N[place_E] = True
            bought_M = np.flatnonzero(bought_N)
            number_E = (np.cumsum(bought_N) - 1)[place_E]
            heads = strength_ER.shape[1]
            flat = (number_E[:, None] * heads + np.arange(heads)).ravel()
            sums_MR = np.bincount(flat, strength_ER.ravel(), len(bought_M) * heads).reshape(-1, heads)
            repeat_M = np.log1p(sums_MR, dtype=np.float32, casting="same_kind") @ self._mix(user_D)
            repeat_M += (sums_MR.sum(axis=1) > 0) * self._first(user_D)
            scores_N[bought_M] += repeat_M
        return scores_N

    def _strengths(self, baskets_LD: Float32) -> Float32:
        """Of each basket by head, (L, R): a softplus."""
        x_LR = self._strength(baskets_LD)
        softplus_LR: Float32 = np.logaddexp(x_LR, np.float32(0.0), dtype=np.float32)
        return softplus_LR

    def _tokens(self, sequence: BasketSequence, baskets: int) -> Float32:
        """What the encoder reads of each basket, (L, D), the latest first."""
        baskets_E = sequence.baskets_E
        # purchases of a basket lie side by side
        starts_L = np.flatnonzero(firsts(baskets_E))
        read_ED = self._read(sequence.items_E) if self._read_ID is None else self._read_ID.take(sequence.items_E, 0)
        sums_LD, sizes_L = np.zeros((baskets, self._width), np.float32), np.zeros(baskets, np.float32)
        place_L = baskets_E[starts_L]
        sums_LD[place_L] = np.add.reduceat(read_ED, starts_L, axis=0)
        sizes_L[place_L] = np.diff(starts_L, append=len(baskets_E))
        tokens_LD: Float32 = np.divide(sums_LD, np.sqrt(np.maximum(sizes_L, 1))[:, None])
        tokens_LD += self._place_LD[:baskets]
        tokens_LD += self._age[np.searchsorted(self._edges, sequence.ages_L[:baskets], side="right")]
        tokens_LD += np.log1p(sizes_L)[:, None] * self._size_D
        return tokens_LD

    def _read(self, items: "Int32 | slice") -> Float32:
        """What a purchase of each item adds to its basket, but for the bias, (..., D)."""
        read_ED: Float32 = self._factors_IF[items] @ self._item_in.weight
        return read_ED if self._own_ID is None else read_ED + self._own_ID[items]


class _Layer:
    """A layer of the encoder that normalises first."""

    def __init__(self, layer: nn.Module):
        assert isinstance(layer, nn.TransformerEncoderLayer)
        attention = layer.self_attn
        self._heads = attention.num_heads
        assert attention.in_proj_weight is not None
        self._in = Line(_array(attention.in_proj_weight).T, _array(attention.in_proj_bias))
        self._out = Line.of(attention.out_proj)
        self._norm1, self._norm2 = Norm.of(layer.norm1), Norm.of(layer.norm2)
        self._linear1, self._linear2 = Line.of(layer.linear1), Line.of(layer.linear2)

    def __call__(self, x_LD: Float32) -> Float32:
        length, width = x_LD.shape
        each = width // self._heads
        parts = np.ascontiguousarray(
            self._in(self._norm1(x_LD)).reshape(length, 3 * self._heads, each).transpose(1, 0, 2)
        )
        query, key, value = parts[: self._heads], parts[self._heads : 2 * self._heads], parts[2 * self._heads :]
        weights = query @ key.transpose(0, 2, 1)
        weights *= np.float32(each**-0.5)
        weights -= weights.max(axis=2, keepdims=True)
        np.exp(weights, out=weights)
        weights /= weights.sum(axis=2, keepdims=True)
        heard = np.matmul(weights, value)
        heard_LD: Float32 = heard.transpose(1, 0, 2).reshape(length, width)
        x_LD = np.add(x_LD, self._out(heard_LD))
        hidden = self._linear1(self._norm2(x_LD))
        # GELU
        hidden *= np.float32(0.5) * (np.float32(1.0) + erf(hidden * np.float32(0.5**0.5)))
        made_LD: Float32 = np.add(x_LD, self._linear2(hidden))
        return made_LD


def _array(tensor: Tensor) -> Float32:
    """The same numbers; not a copy."""
    array: Float32 = tensor.detach().numpy()
    return array
