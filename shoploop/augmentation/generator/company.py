"""Which items go together, by name: of the commonest ones, how much oftener two share a basket than chance would have it.

Embeddings of a few dimensions say that yogurts go together, and not which. Told of a pair is the ratio of shared baskets to
what chance would have, where at least k shoppers had both in one; all pairs of fewer are told one ratio together. A count is
believed as far as it goes beyond what so many baskets do by luck: a few baskets are added on either side.

Shapes: P items, the commonest ones, by code ascending.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, rows_of

MOST_ITEMS = 400
_LUCK = 10.0
"""Baskets that are added to those of a pair, shared and by chance."""

_MADE_LUCK = 4.0
"""The same of what was made for a correction, which is less."""

_AT_ONCE = 8192
"""Shoppers counted together: what bounds the memory."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Company:
    items: Ints
    """(P,)"""

    lift: Numbers
    """(P, P) shared baskets, over those by chance."""

    @classmethod
    def of(cls, behaviour: Behaviour, items: Ints, *, min_users: int) -> "Company":
        """Of these items in real records."""
        together, single, many = shared(behaviour, items)
        chance = np.outer(single, single) / max(many, 1)
        known = _shoppers(behaviour, items) >= min_users
        others = ~known & ~np.eye(len(items), dtype=bool)
        rest = (together[others].sum() + _LUCK) / (chance[others].sum() + _LUCK)
        lift = np.where(known, (together + _LUCK) / (chance + _LUCK), rest)
        np.fill_diagonal(lift, 1.0)
        return cls(items=items, lift=lift)

    def missing(self, made: Behaviour) -> Floats:
        """(P, P) logarithm of how many shared baskets there should be in what was made, over those that there are."""
        together, single, many = shared(made, self.items)
        wanted = self.lift * np.outer(single, single) / max(many, 1)
        out = np.log((wanted + _MADE_LUCK) / (together + _MADE_LUCK))
        np.fill_diagonal(out, 0.0)
        return np.asarray(out, np.float32)


def shared(behaviour: Behaviour, items: Ints) -> tuple[Numbers, Numbers, int]:
    """(P, P) baskets with both of two items, (P,) with one, and how many baskets there are."""
    from scipy import sparse

    basket, column = rows_of(behaviour, items)
    many = len(behaviour.record)
    table = sparse.csr_matrix((np.ones(len(basket)), (basket, column)), shape=(max(many, 1), len(items)))
    table.data[:] = 1
    together = np.asarray((table.T @ table).todense(), np.float64)
    return together, together.diagonal().copy(), many


def _shoppers(behaviour: Behaviour, items: Ints) -> Ints:
    """(P, P) shoppers who had both in one basket."""
    _, user = np.unique(behaviour.user, return_inverse=True)
    by_user = np.argsort(user[behaviour.record], kind="stable")
    of_basket = user[behaviour.record][by_user]
    basket, column = rows_of(behaviour, items)
    # A bit for each item: what a shopper had beside one is then a few words to be joined for each basket.
    held = np.zeros((len(of_basket), -(-len(items) // 64) * 8), np.uint8)
    np.bitwise_or.at(held, (np.argsort(by_user)[basket], column // 8), (1 << (column % 8)).astype(np.uint8))
    words = held.view(np.uint64)
    out = np.zeros((len(items), len(items)), np.int64)
    for at in range(len(items)):
        having = np.flatnonzero(held[:, at // 8] & (1 << (at % 8)))
        first = np.flatnonzero(np.diff(of_basket[having], prepend=-1))
        beside = np.bitwise_or.reduceat(words[having], first) if len(first) else words[:0]
        for start in range(0, len(beside), _AT_ONCE):
            part = np.ascontiguousarray(beside[start : start + _AT_ONCE]).view(np.uint8)
            out[at] += np.unpackbits(part, axis=1, count=len(items), bitorder="little").sum(0, dtype=np.int64)
    return out
