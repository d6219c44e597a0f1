"""How often each item is bought, told no more exactly than the many who buy it allow.

Shares of items counted exactly tell who was counted (:mod:`~shoploop.augmentation.proofs.count_attack`), rare items above
all: of twenty buyers each is a twentieth of the count. So every shopper tells of a few rows only, drawn at random, however
many there are: who is among the buyers of an item is mostly not among those who told of it. Sharing out exact counts among
the rare items of a category hides as much, and makes rare items as common as others, which anyone sees (record 0083).

Shapes: V items, C categories, U shoppers.
"""

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, Vocabulary
from shoploop.features.distinct import distinct

SHOPPERS_A_ROW = 1600
"""Of so many shoppers each tells of one row, of twice as many of two: what the rows told of an item say of one of its buyers
is then the same in a small shop and in a large one."""

ENOUGH = 200
"""Buyers at whom what is told of a category is half its own and half that of all."""

_UNTOLD = 0.1
"""Rows of an average item that are there without having been told: what nobody told of is rare, and not unheard of."""

Numbers = npt.NDArray[np.float64]


def bounded_shares(behaviour: Behaviour, vocabulary: Vocabulary, *, seed: int) -> Floats:
    """(V,) shares of rows, above 0, sum 1, in which every shopper counts alike; see the module."""
    category = vocabulary.category
    told = _told(behaviour, len(vocabulary), np.random.default_rng((seed, 11)))
    common = (np.bincount(category, told) + 0.5) / np.maximum(np.bincount(category), 1)
    rows = told + _UNTOLD * common[category] / common[category].mean()
    return np.asarray(rows / rows.sum(), np.float32)


def trust(buyers: npt.NDArray[np.floating] | Ints) -> Numbers:
    """How far what so many buyers did is told as it is, from 0 to 1."""
    known = np.maximum(buyers, 0)
    out: Numbers = known / (known + ENOUGH)
    return out


def category_buyers(behaviour: Behaviour, vocabulary: Vocabulary) -> Ints:
    """(C,) distinct shoppers of each category."""
    users = int(behaviour.user.max(initial=0)) + 1
    code = vocabulary.category[behaviour.item]
    pairs = distinct(code * users + behaviour.user[behaviour.row_record])
    return np.bincount(pairs // users, minlength=len(vocabulary.categories)).astype(np.int64)


def _told(behaviour: Behaviour, items: int, random: np.random.Generator) -> Numbers:
    """(V,) rows that are told of: of each shopper a few items, drawn by their rows and without replacement."""
    users, user = np.unique(behaviour.user, return_inverse=True)
    few = max(1, len(users) // SHOPPERS_A_ROW)
    key, count = np.unique(user[behaviour.row_record] * items + behaviour.item, return_counts=True)
    who, what = np.divmod(key, items)
    # The best by Gumbel noise are a draw without replacement in proportion to the rows (Vieira 2014).
    order = np.lexsort((-(np.log(count) + random.gumbel(size=len(count))), who))
    rank = np.arange(len(order)) - np.searchsorted(who[order], who[order])
    return np.bincount(what[order[rank < few]], minlength=items).astype(np.float64)
