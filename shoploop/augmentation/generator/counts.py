"""How often each item is bought, told no more exactly than the many who buy it allow.

Shares of items counted exactly tell who was counted (:mod:`~shoploop.augmentation.proofs.count_attack`): each of twenty
buyers is a twentieth of the count. So items of few buyers are as common as each other within a category, a shopper adds to
no count much more than others do, and shares are drawn from a gamma distribution about each count, as wide as one buyer in
a hundred, whatever the number of buyers: what a buyer adds to a count of eighty or of eight hundred drowns alike, and what
hundreds bought is told the more exactly.

Noise keeps means: the rows of a category are as many, and what is bought is about as common, as they were. It has to, since
whoever sees that everything is rarer than it should be tells the virtual from the real, and a selection that sees it drops
the large baskets, which show it best (record 0083). For the same reason what is learned by, and never drawn by, are
:func:`counted_shares`: how popular what a basket holds is, and which records look real.

Some draws of the noise hide who was counted better than others. Where there is somebody to ask, the one of DRAWS that tells
the least is taken; it is as wide as any.

Shapes: V items, C categories, U shoppers.
"""

from collections.abc import Callable
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, Vocabulary
from shoploop.features.distinct import distinct

ENOUGH = 200
"""Buyers at whom what is told of a category is half its own and half that of all."""

_FEW = 120
"""Buyers below which items are as common as the others of so few in their category."""

_MOST_ROWS = 5
"""Rows of a shopper that are counted, in rows that the item's buyers have on average."""

_TEMPER = 100
"""Buyers whose number is as wide as its noise."""

_FEWEST = 80
"""Buyers that an item has at least, as to how wide its noise is: wider, and few items would be most of a category."""

_LEAST = 0.02
"""Of its level, what an item is told at least: what is there can be drawn."""

DRAWS = 16
"""Of the noise, of which one is taken."""

Numbers = npt.NDArray[np.float64]


def bounded_shares(
    behaviour: Behaviour, vocabulary: Vocabulary, *, seed: int, tells: Callable[[Floats], float] | None = None
) -> Floats:
    """(V,) shares of rows to draw by, above 0, sum 1; see the module.

    The noise is drawn by the counts themselves beside the seed: who knows the seed alone can't draw it again and divide
    by it, and the same data give the same shares.

    Args:
        tells: How much such shares tell of who was counted; without it the first draw is taken.
    """
    category = vocabulary.category
    buyers, rows = _counts(behaviour, len(vocabulary), np.ones(len(behaviour.item)))
    seen = np.maximum(buyers, 1)
    few = seen < _FEW
    alike = _sums(category, rows * few) / np.maximum(_sums(category, few.astype(np.float64)), 1)
    level = np.maximum(np.where(few, alike[category], rows), 0.5)
    # One buyer is one part in so many: the square keeps what the noise hides of each alike, and spares what all buy.
    shape = (np.maximum(seen, _FEWEST) / _TEMPER) ** 2
    drawn = int.from_bytes(sha256(buyers.tobytes() + rows.tobytes()).digest())
    random = np.random.default_rng((seed, drawn))
    # A category has the rows that it has where shoppers count alike; its items share them as all rows say.
    of_category = np.maximum(_sums(category, _counts(behaviour, len(vocabulary), _alike(behaviour))[1]), 0.5)

    def draw() -> Floats:
        told = level * np.maximum(random.gamma(shape) / shape, _LEAST)
        told *= (of_category / _sums(category, told))[category]
        return np.asarray(told / told.sum(), np.float32)

    return draw() if tells is None else min((draw() for _ in range(DRAWS)), key=tells)


def counted_shares(behaviour: Behaviour, items: int) -> Floats:
    """(V,) shares of rows as they are, every shopper counting alike, half a row added to each."""
    rows = np.bincount(behaviour.item, _alike(behaviour), items) + 0.5
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


def _counts(behaviour: Behaviour, items: int, weight: Numbers) -> tuple[Ints, Numbers]:
    """(V,) distinct shoppers of each item, and its rows, which count as (R,) ``weight`` says, of a shopper no more than a few
    times what its buyers have."""
    _, user = np.unique(behaviour.user, return_inverse=True)
    key, pair = np.unique(user[behaviour.row_record] * items + behaviour.item, return_inverse=True)
    count = np.bincount(pair, weight)
    what = key % items
    buyers = np.bincount(what, minlength=items).astype(np.int64)
    most = _MOST_ROWS * np.bincount(what, count, items) / np.maximum(buyers, 1)
    return buyers, np.bincount(what, np.minimum(count, most[what]), items).astype(np.float64)


def _alike(behaviour: Behaviour) -> Numbers:
    """(R,) what each row counts, 1 on average, so that a shopper of ten records counts as much as one of a single: a virtual
    shopper has one."""
    _, user = np.unique(behaviour.user, return_inverse=True)
    each = (1 / np.bincount(user))[user][behaviour.row_record]
    out: Numbers = each * (len(each) / max(float(each.sum()), 1e-12))
    return out


def _sums(group: Ints, values: Numbers) -> Numbers:
    return np.bincount(group, values).astype(np.float64)
