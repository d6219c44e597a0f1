"""The attack on counts: who knows a shopper's items and the shares of items among other people asks whether the virtual
shares lean towards that shopper (Homer et al. 2008, PLoS Genetics 4:e1000167).

It needs no virtual record that is like a real one: shares alone betray. The same is asked of pairs of common items in one
basket. It must not know how shares were made.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.records import Behaviour, Ints, rows_of
from shoploop.features.distinct import distinct

_SMOOTH = 0.5
"""Rows added to each item's: else an item that nobody of the public bought would decide alone."""

_PAIR_BASKET = 20
"""Rows of a basket that are paired."""

Scores = npt.NDArray[np.float64]


def leaning(made: Ints, members: Behaviour, others: Behaviour, random: np.random.Generator) -> tuple[Scores, Scores]:
    """Per shopper of either side: mean over the shopper's items of the log ratio of virtual to public share.

    Half of the others are the public and the other half are asked about beside half of the members; then the other way
    round. Scores of a turn are standardised, since two publics differ in scale.

    Args:
        made: (V,) virtual rows of each item.
        members: Records of those who may have been learned from.
        others: Records of those who surely were not; of at least four shoppers.
    """
    virtual = _log_shares(made)
    publics = _halves(others.user, random)
    found: list[tuple[Scores, Scores]] = []
    for public, asked, member in zip(publics, reversed(publics), _halves(members.user, random), strict=True):
        ratio = virtual - _log_shares(np.bincount(_of(others, public).item, minlength=len(made)))
        sides = item_means(_of(members, member), ratio), item_means(_of(others, asked), ratio)
        both = np.concatenate(sides)
        centre, spread = both.mean(), max(float(both.std()), 1e-12)
        found.append(((sides[0] - centre) / spread, (sides[1] - centre) / spread))
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


def pairs_of(behaviour: Behaviour, items: Ints, random: np.random.Generator) -> Behaviour:
    """The same shoppers, whose rows are pairs of these items in one basket: first place of the pair times ``len(items)`` plus
    the second. Of a basket with many of these items a few count, drawn at random: pairs grow as their square.

    Args:
        items: Codes, ascending.
    """
    basket, column = rows_of(behaviour, items)
    order = np.lexsort((random.random(len(basket)), basket))
    place = np.arange(len(order)) - np.searchsorted(basket[order], basket[order])
    few = order[place < _PAIR_BASKET]
    few = few[np.lexsort((column[few], basket[few]))]
    basket, column = basket[few], column[few]
    rows = np.arange(len(basket))
    behind = np.searchsorted(basket, basket, side="right") - 1 - rows  # rows of the same basket that come after each
    first = np.repeat(rows, behind)
    second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(behind) - behind, behind)
    different = column[first] != column[second]
    pair = (column[first] * len(items) + column[second])[different]
    return replace(behaviour, item=pair, kind=np.zeros_like(pair), basket=basket[first][different])


def item_means(behaviour: Behaviour, value: Scores) -> Scores:
    """(shoppers,) mean of ``value`` over each shopper's distinct items, in the order of their codes."""
    users, index = np.unique(behaviour.user, return_inverse=True)
    pairs = distinct(index[behaviour.row_record] * len(value) + behaviour.item)
    user, item = np.divmod(pairs, len(value))
    out: Scores = np.bincount(user, value[item], len(users)) / np.maximum(np.bincount(user, minlength=len(users)), 1)
    return out


def _log_shares(rows: Ints) -> Scores:
    count = rows + _SMOOTH
    out: Scores = np.log(count / count.sum())
    return out


def _halves(user: Ints, random: np.random.Generator) -> list[Ints]:
    users = random.permutation(np.unique(user))
    return [np.sort(users[: len(users) // 2]), np.sort(users[len(users) // 2 :])]


def _of(side: Behaviour, users: Ints) -> Behaviour:
    return side.take(np.flatnonzero(np.isin(side.user, users)))
