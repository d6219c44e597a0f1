"""How much virtual behaviour is like real behaviour, statistic by statistic, each beside its noise floor.

A distance means nothing alone: the floor is the same distance between real shoppers and other real shoppers, of as many
records. Every shopper gives one record, so that the floor is of independent ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.records import Behaviour, Vocabulary
from shoploop.augmentation.generator.weekdays import WEEK, weekday
from shoploop.features.distinct import distinct, is_among

WITHIN_FLOORS = 3.0
"""A statistic passes below this many floors."""

_DRAWS = 5
_PAIR_CATEGORIES = 80  # the widest; the rest count as one
_PAIR_BASKET = 20  # items of a basket that make pairs: a basket of 160 would outvote a hundred others

Distance = Callable[[Behaviour, Behaviour], float]


@dataclass(frozen=True, kw_only=True)
class Marginal:
    distance: float
    """Virtual against the real hold-out, mean over draws; 0 is alike, 1 has nothing in common."""

    floor: float
    """Real against the real hold-out."""

    @property
    def passed(self) -> bool:
        return self.distance <= WITHIN_FLOORS * self.floor


def measure(
    made: Behaviour, real: Behaviour, held: Behaviour, vocabulary: Vocabulary, *, seed: int
) -> dict[str, Marginal]:
    """Every named statistic of ``made`` against the hold-out, and its floor by ``real`` against the hold-out."""
    random = np.random.default_rng(seed)
    distances = statistics(vocabulary)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in distances}
    for _ in range(_DRAWS):
        other = held.one_per_user(random)
        count = min(other.records, len(np.unique(made.user)), len(np.unique(real.user)))
        sides = [side.one_per_user(random, count) for side in (made, real)]
        for name, distance in distances.items():
            found[name].append((distance(sides[0], other), distance(sides[1], other)))
    return {
        name: Marginal(distance=float(np.mean([d for d, _ in pairs])), floor=float(np.mean([f for _, f in pairs])))
        for name, pairs in found.items()
    }


def statistics(vocabulary: Vocabulary) -> dict[str, Distance]:
    """Name and distance of each: total variation of shares, or Kolmogorov–Smirnov of numbers."""
    categories = np.bincount(vocabulary.category, minlength=len(vocabulary.categories))
    column = np.full(len(categories), _PAIR_CATEGORIES)
    top = np.argsort(-categories, kind="stable")[:_PAIR_CATEGORIES]
    column[top] = np.arange(len(top))
    group = column[vocabulary.category]
    wide = _PAIR_CATEGORIES + 1

    def shares(count: Callable[[Behaviour], npt.NDArray[np.float64]]) -> Distance:
        return lambda a, b: float(np.abs(_normal(count(a)) - _normal(count(b))).sum() / 2)

    def numbers(values: Callable[[Behaviour], npt.NDArray[np.float64]]) -> Distance:
        return lambda a, b: _ks(values(a), values(b))

    return {
        "popularity": shares(lambda b: np.bincount(b.item, minlength=len(vocabulary)).astype(float)),
        "basket_size": numbers(lambda b: b.sizes.astype(float)),
        "inter_purchase_time": numbers(lambda b: b.gaps[b.position > 0].astype(float)),
        "weekdays": shares(lambda b: np.bincount(weekday(b.day), minlength=WEEK).astype(float)),
        "hour": numbers(lambda b: b.minute / 60),
        "co_occurrence": shares(lambda b: _pairs_within(b, group, wide)),
        "repeat_rate": numbers(lambda b: np.bincount(b.row_record, b.repeated) / np.bincount(b.row_record)),
        "category_transitions": shares(lambda b: _pairs_between(b, group, wide)),
        "kinds": shares(lambda b: np.bincount(b.kind, minlength=len(vocabulary.kinds)).astype(float)),
    }


def coverage_and_novelty(made: Behaviour, real: Behaviour, held: Behaviour, vocabulary: Vocabulary) -> dict[str, float]:
    """What copying would show in.

    Returns:
        ``coverage``: distinct items of ``made`` over those of as many real rows. ``novelty``: share of its pairs of items
        in a basket that no basket of one record per real shopper holds; ``novelty_real``: the same of the hold-out's. Where
        every basket holds one item there are no pairs, and none of them is new.
    """
    random = np.random.default_rng(0)
    known = pair_keys(real.one_per_user(random), len(vocabulary))
    held = held.one_per_user(random)
    rows = min(len(made.item), len(held.item))
    pairs = [pair_keys(side, len(vocabulary)) for side in (made, held)]
    new = [float(1 - is_among(keys, known).mean()) if len(keys) else 0.0 for keys in pairs]
    return {
        "coverage": len(np.unique(made.item[:rows])) / len(np.unique(held.item[:rows])),
        "novelty": new[0],
        "novelty_real": new[1],
    }


def pair_keys(behaviour: Behaviour, items: int) -> npt.NDArray[np.int64]:
    """Every distinct unordered pair of items that share a basket, as one number."""
    first, second = pair_rows(behaviour)
    low = np.minimum(behaviour.item[first], behaviour.item[second])
    high = np.maximum(behaviour.item[first], behaviour.item[second])
    return distinct(low * items + high)


def pair_rows(behaviour: Behaviour) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of all pairs within a basket, of its first 20 rows."""
    size = behaviour.sizes
    start = np.cumsum(size) - size
    first, second = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for apart in range(1, min(_PAIR_BASKET, int(size.max(initial=0)))):
        place = np.arange(len(behaviour.item)) - start[behaviour.basket]
        here = np.flatnonzero((place + apart < size[behaviour.basket]) & (place + apart < _PAIR_BASKET))
        first.append(here)
        second.append(here + apart)
    return np.concatenate(first), np.concatenate(second)


def _pairs_within(behaviour: Behaviour, group: npt.NDArray[np.int64], wide: int) -> npt.NDArray[np.float64]:
    first, second = pair_rows(behaviour)
    a, b = group[behaviour.item[first]], group[behaviour.item[second]]
    # A basket counts as its size, however many pairs it has.
    weight = 1 / np.maximum(behaviour.sizes[behaviour.basket[first]] - 1, 1)
    return np.bincount(np.minimum(a, b) * wide + np.maximum(a, b), weight, wide * wide).astype(np.float64)


def _pairs_between(behaviour: Behaviour, group: npt.NDArray[np.int64], wide: int) -> npt.NDArray[np.float64]:
    """Category of a basket to category of the next, weighted so that each pair of baskets counts once."""
    mix = np.zeros((len(behaviour.record), wide))
    np.add.at(mix, (behaviour.basket, group[behaviour.item]), 1)
    mix /= mix.sum(1, keepdims=True)
    follows = np.flatnonzero(behaviour.position > 0)
    return np.asarray(mix[follows - 1].T @ mix[follows]).ravel()


def _normal(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(counts / max(counts.sum(), 1e-12), np.float64)


def _ks(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    grid = np.union1d(a, b)
    below = [np.searchsorted(np.sort(side), grid, side="right") / max(len(side), 1) for side in (a, b)]
    return float(np.abs(below[0] - below[1]).max(initial=0))
