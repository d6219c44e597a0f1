"""Records as vectors and back: the part of a record that a generator makes, and what it leaves to the decoder.

Per basket: the mean of its items' embeddings, and numbers: size, days since the last visit, share of items that this
shopper had bought before, minute of the day, how much of it is of one category, whether it is a weekend's, share of each
further kind. The mean of few items spreads wider than that of many, so it is divided by the spread at its size; every
column is then quantile-normalised. A GAN learns Gaussian-like columns best, and the way back through the same quantiles
keeps every marginal.

Shapes: N records, T baskets of a record, D embedding, F = D + numbers of a basket.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from shoploop.augmentation.generator.extremes import reached
from shoploop.augmentation.generator.records import RECORD_BASKETS, Behaviour, Floats, Ints, Vocabulary
from shoploop.features.distinct import distinct

NUMBERS = ("size", "gap", "repeat", "minute", "focus", "weekend")
SHARES = ("repeat", "focus")
_EXACT = ("size", "gap", "minute")
"""What a virtual basket says as it was measured."""

KNOTS = 1001
_SIZES = np.array([2, 3, 5, 9, 17])
SIZE_CLASSES = len(_SIZES) + 1
_FEWEST_SHOPPERS = 20
"""With baskets of a size: what fewer do is told as baskets of all sizes have it. And who go as far out: the baskets of fewer
are told to hold as much, to come as late after the last and at the hour that so many reach."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Fitted on the records a generator learns from; `state` and `Encoding(**state)` are its way through a file."""

    embeddings: Floats
    """(V, D) of :func:`~shoploop.augmentation.generator.embeddings.embed_items`."""

    category: Ints
    """(V,) code of each item's category."""

    mean: Floats
    """(D,) of baskets' mean embeddings."""

    spread: Floats
    """(2, D) variance of the same that stays in a large basket, and that of a single item."""

    quantiles: Floats
    """(F, 1001) of each column, from least to greatest: D of scaled means, then the numbers."""

    by_size: Floats
    """(D + 2, classes of size, 1001) of the scaled means and of the two ``SHARES`` in baskets of about a size: two of three
    rows alike are common, twenty of thirty are not, and what a single item is like is farther out than any mean, however
    scaled. Their columns tell which quantile of its like a basket is."""

    @property
    def dims(self) -> int:
        return int(self.embeddings.shape[1])

    @property
    def width(self) -> int:
        """F."""
        return len(self.quantiles)

    def encode(self, behaviour: Behaviour, random: np.random.Generator | Floats) -> tuple[Floats, Floats]:
        """Vectors (N, T, F) and mask (N, T); ties of a number are spread evenly over the quantiles they hold: at random, or
        as (B, F) numbers from 0 to 1 say."""
        vectors = np.zeros((behaviour.records, RECORD_BASKETS, self.width), np.float32)
        mask = np.zeros((behaviour.records, RECORD_BASKETS), np.float32)
        further = self.width - self.dims - len(NUMBERS)
        columns = _columns(behaviour, self.embeddings, self.category, self.mean, self.spread, further)
        place = (behaviour.record, behaviour.position)
        vectors[place] = np.stack(
            [
                _to_normal(knots, column, random if isinstance(random, np.random.Generator) else random[:, at])
                for at, (knots, column) in enumerate(zip(self.quantiles, columns.T, strict=True))
            ],
            1,
        )
        of_size = size_class(behaviour.sizes)
        for at, by_size in zip(self._sized, self.by_size, strict=True):
            for size, knots in enumerate(by_size):
                of = np.flatnonzero(of_size == size)
                drawn = random if isinstance(random, np.random.Generator) else random[of, at]
                vectors[place[0][of], place[1][of], at] = _to_normal(knots, columns[of, at], drawn)
        vectors[:, 0, self._of("gap")] = 0  # the first basket has neither
        vectors[:, 0, self._of("repeat")] = 0
        mask[place] = 1
        return vectors, mask

    def centres(self, vectors: Floats) -> Floats:
        """(N, T, D) means of embeddings that the vectors ask for."""
        sizes = self.number(vectors, "size")
        of_size = size_class(sizes)
        scaled = np.stack([self._of_size(i, vectors[..., i], of_size) for i in range(self.dims)], -1)
        return np.asarray(scaled * _scale(self.spread, sizes) + self.mean, np.float32)

    def number(self, vectors: Floats, name: str) -> Floats:
        """(N, T) values of one number in its own unit: items, days, share, minutes."""
        if name in SHARES:
            of_size = size_class(self.number(vectors, "size"))
            return self._of_size(self.dims + SHARES.index(name), vectors[..., self._of(name)], of_size)
        return self._from_normal(self._of(name), vectors[..., self._of(name)])

    def kind_shares(self, vectors: Floats) -> Floats:
        """(N, T, further kinds) shares of a basket's rows."""
        further = range(self.dims + len(NUMBERS), self.width)
        shares = [self._from_normal(i, vectors[..., i]) for i in further]
        return np.stack(shares, -1) if shares else np.zeros((*vectors.shape[:2], 0), np.float32)

    @property
    def _sized(self) -> list[int]:
        """The columns of ``by_size``."""
        return [*range(self.dims), *(self._of(name) for name in SHARES)]

    def _of_size(self, which: int, values: Floats, of_size: Ints) -> Floats:
        level = np.clip((ndtr(values) * KNOTS).astype(int), 0, KNOTS - 1)
        return np.asarray(self.by_size[which][of_size, level], np.float32)

    def _of(self, number: str) -> int:
        return self.dims + NUMBERS.index(number)

    def _from_normal(self, column: int, values: Floats) -> Floats:
        knots = self.quantiles[column]
        return np.asarray(knots[np.clip((ndtr(values) * KNOTS).astype(int), 0, KNOTS - 1)], np.float32)


def _to_normal(
    knots: Floats, values: npt.NDArray[np.float64], random: np.random.Generator | npt.NDArray[Any]
) -> Floats:
    known = np.clip(values.astype(np.float32), knots[0], knots[-1])  # what lies beyond was told as what lies at the end
    low, high = (np.searchsorted(knots, known, side=side) / KNOTS for side in ("left", "right"))
    level = low + (high - low) * (random.random(len(values)) if isinstance(random, np.random.Generator) else random)
    return np.asarray(ndtri(np.clip(level, 1e-3, 1 - 1e-3)), np.float32)


def fit_encoding(behaviour: Behaviour, vocabulary: Vocabulary, embeddings: Floats) -> Encoding:
    """Learns means, spreads and quantiles; the gaps and repeats of first baskets do not count.

    Sizes, gaps and minutes end where ``_FEWEST_SHOPPERS`` go: one who always takes 173 things would be told by that number.
    """
    centres = basket_means(behaviour, embeddings)
    mean = centres.mean(0)
    # Variance of a mean of n: between baskets, plus within a basket over n. One least-squares line per dimension.
    design = np.stack([np.ones(len(centres)), 1 / behaviour.sizes], 1)
    spread = np.maximum(np.linalg.lstsq(design, (centres - mean) ** 2, rcond=None)[0], 1e-6)
    further = len(vocabulary.kinds) - 1
    columns = _columns(behaviour, embeddings, vocabulary.category, mean, spread, further)
    later = behaviour.position > 0
    levels = (np.arange(KNOTS) + 0.5) / KNOTS
    of_size, user = size_class(behaviour.sizes), behaviour.user[behaviour.record]
    names = (*[""] * embeddings.shape[1], *NUMBERS, *vocabulary.kinds[1:])
    quantiles = []
    for name, column in zip(names, columns.T, strict=True):
        counts = later if name in ("gap", "repeat") else np.ones(len(later), bool)
        known = column[counts]
        if name in _EXACT:
            known = np.clip(known, *reached(known, user[counts], min_users=_FEWEST_SHOPPERS))
        quantiles.append(_inverted_cdf(known, levels))
    dims = embeddings.shape[1]
    by_size = np.zeros((dims + len(SHARES), SIZE_CLASSES, KNOTS))
    for which, table in enumerate(by_size):
        name = SHARES[which - dims] if which >= dims else ""
        counts = later if name == "repeat" else np.ones(len(later), bool)
        values = columns[:, dims + NUMBERS.index(name) if name else which]
        for size in range(SIZE_CLASSES):
            of = counts & (of_size == size)
            if len(distinct(user[of])) < _FEWEST_SHOPPERS:
                of = counts
            table[size] = _inverted_cdf(values[of], levels)
    return Encoding(
        embeddings=embeddings,
        category=vocabulary.category,
        mean=mean,
        spread=spread.astype(np.float32),
        quantiles=np.asarray(quantiles, np.float32),
        by_size=np.asarray(by_size, np.float32),
    )


def _inverted_cdf(values: npt.NDArray[np.float64], levels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What ``np.quantile(values, levels, method="inverted_cdf")`` says, which looks for each of a thousand places on its
    own and takes a hundred times as long."""
    place = np.maximum(np.ceil(len(values) * levels - 1), 0).astype(np.intp)
    out: npt.NDArray[np.float64] = np.sort(values)[place]
    return out


def _scale(spread: npt.NDArray[Any], sizes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., D) standard deviation of a basket's mean embedding at its size."""
    out: npt.NDArray[Any] = np.sqrt(spread[0] + spread[1] / np.maximum(sizes, 1)[..., None])
    return out


def _columns(
    behaviour: Behaviour, embeddings: Floats, category: Ints, mean: Floats, spread: npt.NDArray[Any], further_kinds: int
) -> npt.NDArray[np.float64]:
    """(B, F) before normalising."""
    centres = (basket_means(behaviour, embeddings) - mean) / _scale(spread, behaviour.sizes)
    return np.concatenate([centres, measured_numbers(behaviour, category, further_kinds)], 1)


def basket_means(behaviour: Behaviour, embeddings: Floats) -> Floats:
    """(B, D) mean of the embeddings of each basket's items."""
    starts = np.searchsorted(behaviour.basket, np.arange(len(behaviour.record)))
    sums = np.add.reduceat(embeddings[behaviour.item], starts, axis=0)
    return np.asarray(sums / behaviour.sizes[:, None], np.float32)


def size_class(sizes: npt.NDArray[Any]) -> Ints:
    """Baskets of 1, 2, 3 to 4, 5 to 8, 9 to 16 rows, and of more."""
    return np.searchsorted(_SIZES, sizes, side="right")


def focus(behaviour: Behaviour, category: Ints) -> npt.NDArray[np.float64]:
    """(B,) share of a basket's pairs of rows that are of one category; 0 of a single row."""
    wide = int(category.max()) + 1
    key, count = np.unique(behaviour.basket * wide + category[behaviour.item], return_counts=True)
    sizes = behaviour.sizes
    pairs = np.bincount(key // wide, count * (count - 1.0), len(sizes))
    out: npt.NDArray[np.float64] = pairs / np.maximum(sizes * (sizes - 1), 1)
    return out


def weekend(day: Ints) -> npt.NDArray[np.bool_]:
    """Whether days since 1970-01-01, a Thursday, are a Saturday or a Sunday."""
    out: npt.NDArray[np.bool_] = (day + 3) % 7 >= 5
    return out


def measured_numbers(behaviour: Behaviour, category: Ints, further_kinds: int) -> npt.NDArray[np.float64]:
    """(B, numbers) of :data:`NUMBERS`, then shares of further kinds."""
    sizes = behaviour.sizes
    repeats = np.bincount(behaviour.basket, weights=behaviour.repeated, minlength=len(sizes)) / sizes
    kinds = [
        np.bincount(behaviour.basket, weights=behaviour.kind == kind, minlength=len(sizes)) / sizes
        for kind in range(1, further_kinds + 1)
    ]
    habits = [focus(behaviour, category), weekend(behaviour.day)]
    return np.stack([sizes, behaviour.gaps, repeats, behaviour.minute, *habits, *kinds], 1).astype(np.float64)
