"""Which items are bought after which, and which with which: counted on the baskets before a day, cheap to count on.

A pair of purchases by one user says the more the fewer visits lie between them and the later it was. Of each item only the
strongest are kept.

Legend: I items, B baskets (a user and a day), P items kept for each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.features.log import Float32, Int32, PurchaseLog

Float64 = npt.NDArray[np.float64]

LARGEST_SHARE = 0.01
"""Of the pairs that are counted at a time: a basket of more is left out, so that a till or a wholesaler's account does not
take the place of what all others buy. With twenty million that is one of 140 items after ten such."""


@dataclass(frozen=True, kw_only=True)
class PairConfig:
    """How pairs are counted."""

    visits_apart: int = 10
    """Most visits between two purchases that still are a pair; 0 counts one basket alone."""

    visit_decay: float = 0.9
    """What a pair counts less for each visit between."""

    most_pairs: int = 20_000_000
    """Pairs that are counted at a time; where there are more, those of the latest baskets. So many take about two seconds."""


@dataclass(frozen=True, kw_only=True)
class Followers:
    """Of each item those that are bought after it, strongest first; padded with 0 at weight 0."""

    items_IP: Int32
    weights_IP: Float32


class PairsAfter:
    """Decayed counts of what is bought after what, up to a day that moves on: a day more costs its own pairs alone.

    The chance that a later pair of an item is with another one is a Markov chain over visits (Rendle et al. 2010,
    "Factorizing personalized Markov chains", section 3, without the factors), here over several visits and with decay.
    """

    def __init__(self, log: PurchaseLog, *, day_decays: Sequence[float], config: PairConfig | None = None):
        """
        Args:
            log: The purchases; :meth:`advance` says up to when they count.
            day_decays: Days after which a pair counts 1/e, each a count of its own: short follows what sells now, long what
                belongs together.
            config: Which pairs.
        """
        import scipy.sparse

        self._config = config or PairConfig()
        self._held, user_B, self._day_B = _baskets(log)
        self._before = _before(user_B, self._config)
        self._decays = tuple(day_decays)
        size = len(log.vocabulary)
        self._counts = [scipy.sparse.csr_matrix((size, size)) for _ in self._decays]
        self._day = int(self._day_B.min(initial=0))
        self._large = self._with_pairs = 0
        self.left_out = 0
        """Baskets that were left out so far since each would have brought too many pairs."""

    def advance(self, day: int) -> None:
        """Counts the baskets before ``day``; days never go back."""
        import scipy.sparse

        new = np.flatnonzero((self._day_B >= self._day) & (self._day_B < day))
        pairs_B = _pairs(self._held, self._before[new], new)
        self._with_pairs += int((pairs_B > 0).sum())
        large_B = pairs_B > LARGEST_SHARE * self._config.most_pairs
        self._large += int(large_B.sum())
        if _exceptions(self._large, self._with_pairs):
            self.left_out += int(large_B.sum())
            new, pairs_B = new[~large_B], pairs_B[~large_B]
        new = new[_latest(pairs_B, self._day_B[new], self._config.most_pairs)]
        earlier, held = (self._before[new] @ self._held).T.tocsr(), self._held[new]
        for place, decay in enumerate(self._decays):
            weight_B = np.exp((self._day_B[new] - day) / decay)
            aged = self._counts[place] * np.exp((self._day - day) / decay)
            self._counts[place] = aged + earlier @ (scipy.sparse.diags(weight_B) @ held)
        self._day = max(day, self._day)

    def followers(self, place: int, *, kept: int, shrinkage: float) -> Followers:
        """The chances under the decay at ``place``.

        Args:
            place: Position in ``day_decays``.
            kept: P, at most.
            shrinkage: Pairs with nobody that each item starts with: a rare item's few pairs say little.
        """
        counts = self._counts[place].tocsr()
        total_I = np.asarray(counts.sum(axis=1), np.float64).ravel() + shrinkage
        return _strongest(counts, total_I, kept)


def pairs_together(log: PurchaseLog, config: PairConfig | None = None) -> Any:
    """Counts, a symmetric sparse matrix (I, I): pairs of one basket, and of baskets of one user that are not too far apart.

    Where a log is too dense for ``visits_apart``, as few as its pairs allow: baskets alone say enough there.
    """
    import scipy.sparse

    config = config or PairConfig()
    held, user_B, _ = _baskets(log)
    apart, before = config.visits_apart, _before(user_B, config)
    sizes_B = np.diff(held.indptr).astype(np.float64)
    large_B = sizes_B * (sizes_B + _ones(before) @ sizes_B) > LARGEST_SHARE * config.most_pairs
    if large_B.any() and _exceptions(int(large_B.sum()), len(large_B)):
        held = (scipy.sparse.diags((~large_B).astype(np.float64)) @ held).tocsr()
        held.eliminate_zeros()
        sizes_B = np.diff(held.indptr).astype(np.float64)
    while apart and float(sizes_B @ (sizes_B + _ones(before) @ sizes_B)) > config.most_pairs:
        apart //= 2
        before = _before(user_B, PairConfig(visits_apart=apart, visit_decay=config.visit_decay))
    together = (held.T @ held).tocsr()
    if apart:
        across = ((before @ held).T @ held).tocsr()
        together = (together + across + across.T).tocsr()
    together.setdiag(0)
    together.eliminate_zeros()
    return together


def _strongest(counts: Any, total_I: Float64, kept: int) -> Followers:
    """Of each row its largest values over the row's total, ties by column."""
    size = counts.shape[0]
    counts.sort_indices()
    width = max(min(kept, int(np.diff(counts.indptr).max(initial=0))), 1)
    items_IP, weights_IP = np.zeros((size, width), np.int32), np.zeros((size, width), np.float32)
    for item in range(size):
        row = slice(counts.indptr[item], counts.indptr[item + 1])
        columns, values = counts.indices[row], counts.data[row]
        if len(values) > width:
            least = np.partition(values, len(values) - width)[len(values) - width]
            above, equal = np.flatnonzero(values > least), np.flatnonzero(values == least)
            some = np.concatenate([above, equal[: width - len(above)]])
            columns, values = columns[some], values[some]
        order = np.lexsort((columns, -values))
        items_IP[item, : len(order)] = columns[order]
        weights_IP[item, : len(order)] = values[order] / total_I[item]
    return Followers(items_IP=items_IP, weights_IP=weights_IP)


def _baskets(log: PurchaseLog) -> tuple[Any, Int32, Int32]:
    """A sparse matrix (B, I) with 1 for each item of a visit, a basket or a moment, and each one's user and day."""
    import scipy.sparse

    order_R, visit_R, first_B = log.visits()
    shape = (len(first_B), len(log.vocabulary))
    held = scipy.sparse.csr_matrix((np.ones(len(log)), (visit_R, log.item_R[order_R])), shape=shape)
    return held, log.user_R[order_R][first_B], log.day_R[order_R][first_B]


def _before(user_B: Int32, config: PairConfig) -> Any:
    """Row b: what each earlier basket of the same user counts for basket b, (B, B)."""
    import scipy.sparse

    count = len(user_B)
    rows, columns, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    for apart in range(1, config.visits_apart + 1):
        later = np.arange(apart, count)
        later = later[user_B[later] == user_B[later - apart]]
        rows.append(later)
        columns.append(later - apart)
        values.append(np.full(len(later), config.visit_decay ** (apart - 1)))
    where = (np.concatenate(rows), np.concatenate(columns))
    return scipy.sparse.csr_matrix((np.concatenate(values), where), shape=(count, count))


def _ones(matrix: Any) -> Any:
    return matrix.astype(bool).astype(np.float64)


def _pairs(held: Any, before: Any, new: npt.NDArray[np.intp]) -> Float64:
    """Of each of the ``new`` baskets, how many pairs it makes with those before it."""
    sizes_B = np.diff(held.indptr).astype(np.float64)
    pairs_B: Float64 = sizes_B[new] * (_ones(before) @ sizes_B)
    return pairs_B


def _exceptions(large: int, baskets: int) -> bool:
    """Whether so many large baskets are exceptions: where most are large, they are what the shop sells."""
    return 2 * large <= baskets


def _latest(pairs_B: Float64, day_B: Int32, most: int) -> npt.NDArray[np.intp]:
    """Places of the latest baskets, as many as bring at most so many pairs."""
    order = np.argsort(-day_B, kind="stable")
    return np.sort(order[np.cumsum(pairs_B[order]) <= most])
