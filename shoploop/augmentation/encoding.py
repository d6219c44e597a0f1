"""Records as vectors and back: the part of a record that a generator makes, and what it leaves to the decoder.

Per basket: the mean of its items' embeddings, and numbers: size, days since the last visit, share of items that this
shopper had bought before, minute of the day, share of each further kind. The mean of few items spreads wider than that
of many, so it is divided by the spread at its size; every column is then quantile-normalised. A GAN learns
Gaussian-like
columns best, and the way back through the same quantiles keeps every marginal.

Shapes: N records, T baskets of a record, D embedding, F = D + numbers of a basket.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from shoploop.augmentation.behaviour import RECORD_BASKETS, Behaviour, Floats, Vocabulary

NUMBERS = ("size", "gap", "repeat", "minute")
_KNOTS = 1001


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Fitted on the records a generator learns from; `state` and `Encoding(**state)` are its way through a file."""

    embeddings: Floats
    """(V, D) unit vectors."""

    mean: Floats
    """(D,) of baskets' mean embeddings."""

    spread: Floats
    """(2, D) variance of the same that stays in a large basket, and that of a single item."""

    quantiles: Floats
    """(F, 1001) of each column, from least to greatest: D of scaled means, then the numbers."""

    @property
    def dims(self) -> int:
        return int(self.embeddings.shape[1])

    @property
    def width(self) -> int:
        """F."""
        return len(self.quantiles)

    def encode(self, behaviour: Behaviour, random: np.random.Generator) -> tuple[Floats, Floats]:
        """Vectors (N, T, F) and mask (N, T); ties of a number are spread evenly over the quantiles they hold."""
        vectors = np.zeros((behaviour.records, RECORD_BASKETS, self.width), np.float32)
        mask = np.zeros((behaviour.records, RECORD_BASKETS), np.float32)
        columns = _columns(behaviour, self.embeddings, self.mean, self.spread, self.width - self.dims - len(NUMBERS))
        place = (behaviour.record, behaviour.position)
        vectors[place] = np.stack([self._to_normal(i, column, random) for i, column in enumerate(columns.T)], 1)
        vectors[:, 0, self._of("gap")] = 0  # the first basket has neither
        vectors[:, 0, self._of("repeat")] = 0
        mask[place] = 1
        return vectors, mask

    def centres(self, vectors: Floats) -> Floats:
        """(N, T, D) means of embeddings that the vectors ask for."""
        scaled = np.stack([self._from_normal(i, vectors[..., i]) for i in range(self.dims)], -1)
        return np.asarray(scaled * _scale(self.spread, self.number(vectors, "size")) + self.mean, np.float32)

    def number(self, vectors: Floats, name: str) -> Floats:
        """(N, T) values of one number in its own unit: items, days, share, minutes."""
        return self._from_normal(self._of(name), vectors[..., self._of(name)])

    def kind_shares(self, vectors: Floats) -> Floats:
        """(N, T, further kinds) shares of a basket's rows."""
        further = range(self.dims + len(NUMBERS), self.width)
        shares = [self._from_normal(i, vectors[..., i]) for i in further]
        return np.stack(shares, -1) if shares else np.zeros((*vectors.shape[:2], 0), np.float32)

    def _of(self, number: str) -> int:
        return self.dims + NUMBERS.index(number)

    def _to_normal(self, column: int, values: npt.NDArray[np.float64], random: np.random.Generator) -> Floats:
        knots = self.quantiles[column]
        low = np.searchsorted(knots, values.astype(np.float32), side="left") / _KNOTS
        high = np.searchsorted(knots, values.astype(np.float32), side="right") / _KNOTS
        level = low + (high - low) * random.random(len(values))
        return np.asarray(ndtri(np.clip(level, 1e-3, 1 - 1e-3)), np.float32)

    def _from_normal(self, column: int, values: Floats) -> Floats:
        knots = self.quantiles[column]
        return np.asarray(knots[np.clip((ndtr(values) * _KNOTS).astype(int), 0, _KNOTS - 1)], np.float32)


def fit_encoding(behaviour: Behaviour, vocabulary: Vocabulary, embeddings: Floats) -> Encoding:
    """Learns means, spreads and quantiles; the gaps and repeats of first baskets do not count."""
    centres = basket_means(behaviour, embeddings)
    mean = centres.mean(0)
    # Variance of a mean of n: between baskets, plus within a basket over n. One least-squares line per dimension.
    design = np.stack([np.ones(len(centres)), 1 / behaviour.sizes], 1)
    spread = np.maximum(np.linalg.lstsq(design, (centres - mean) ** 2, rcond=None)[0], 1e-6)
    further = len(vocabulary.kinds) - 1
    columns = _columns(behaviour, embeddings, mean, spread, further)
    later = behaviour.position > 0
    levels = (np.arange(_KNOTS) + 0.5) / _KNOTS
    names = (*[""] * embeddings.shape[1], *NUMBERS, *vocabulary.kinds[1:])
    quantiles = [
        np.quantile(column[later] if name in ("gap", "repeat") else column, levels, method="inverted_cdf")
        for name, column in zip(names, columns.T, strict=True)
    ]
    return Encoding(
        embeddings=embeddings,
        mean=mean,
        spread=spread.astype(np.float32),
        quantiles=np.asarray(quantiles, np.float32),
    )


def _scale(spread: npt.NDArray[Any], sizes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., D) standard deviation of a basket's mean embedding at its size."""
    out: npt.NDArray[Any] = np.sqrt(spread[0] + spread[1] / np.maximum(sizes, 1)[..., None])
    return out


def _columns(
    behaviour: Behaviour, embeddings: Floats, mean: Floats, spread: npt.NDArray[Any], further_kinds: int
) -> npt.NDArray[np.float64]:
    """(B, F) before normalising."""
    centres = (basket_means(behaviour, embeddings) - mean) / _scale(spread, behaviour.sizes)
    return np.concatenate([centres, _numbers(behaviour, further_kinds)], 1)


def basket_means(behaviour: Behaviour, embeddings: Floats) -> Floats:
    """(B, D) mean of the embeddings of each basket's items."""
    starts = np.searchsorted(behaviour.basket, np.arange(len(behaviour.record)))
    sums = np.add.reduceat(embeddings[behaviour.item], starts, axis=0)
    return np.asarray(sums / behaviour.sizes[:, None], np.float32)


def _numbers(behaviour: Behaviour, further_kinds: int) -> npt.NDArray[np.float64]:
    sizes = behaviour.sizes
    repeats = np.bincount(behaviour.basket, weights=behaviour.repeated, minlength=len(sizes)) / sizes
    kinds = [
        np.bincount(behaviour.basket, weights=behaviour.kind == kind, minlength=len(sizes)) / sizes
        for kind in range(1, further_kinds + 1)
    ]
    return np.stack([sizes, behaviour.gaps, repeats, behaviour.minute, *kinds], 1).astype(np.float64)
