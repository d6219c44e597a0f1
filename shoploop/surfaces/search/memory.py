"""What was taken after a query: the same spelling, near ones, and each of its words.

Legend: E searches, Q spellings, I items, P pairs of spelling and item, W words, G hashed pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

from shoploop.features.log import Float32, Int32
from shoploop.surfaces.search.words import MOST_LETTERS, gram_matrix, grams, indicator, rarity, spelling, words

HALF_LIFE_DAYS, LATELY_DAYS = 60.0, 5.0
NEAR, NEAREST, SHARPNESS = 0.35, 30, 4.0
"""Cosine from which a spelling is near, how many count at most, and the power to which its cosine weighs."""

SMOOTHING = 3.0
"""Searches that what sells counts for, where a word's own are few."""

MISREAD = 0.5
"""Share of what was taken after a word that must be called what the word is read as, else it means something else."""


@dataclass(frozen=True, kw_only=True)
class Searches:
    """What was typed and taken, E rows sorted by day."""

    queries: tuple[str, ...]
    """Different queries as typed; a query's position is its code."""

    query_E: Int32
    item_E: Int32
    day_E: Int32
    user_E: Int32
    """-1 where unknown."""

    def joined(self, other: "Searches") -> "Searches":
        """These and others of the same vocabulary and users, sorted by day."""
        queries = sorted({*self.queries, *other.queries})
        place = {query: at for at, query in enumerate(queries)}
        code_E = [np.array([place[query] for query in each.queries], np.int32)[each.query_E] for each in (self, other)]
        day_E = np.concatenate([self.day_E, other.day_E])
        order = np.argsort(day_E, kind="stable")
        return Searches(
            queries=tuple(queries),
            query_E=np.concatenate(code_E)[order],
            item_E=np.concatenate([self.item_E, other.item_E])[order],
            day_E=day_E[order],
            user_E=np.concatenate([self.user_E, other.user_E])[order],
        )

    def before(self, day: int) -> "Searches":
        end = int(np.searchsorted(self.day_E, day))
        return Searches(
            queries=self.queries,
            query_E=self.query_E[:end],
            item_E=self.item_E[:end],
            day_E=self.day_E[:end],
            user_E=self.user_E[:end],
        )


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What memory says of each item for one query, (I,) each, and of the query as a whole."""

    same_I: Float32
    """Share of what was taken after the same spelling."""

    lately_I: Float32
    """The same of the last days."""

    near_I: Float32
    """Share of what was taken after near spellings, each by its nearness; the same is one of them."""

    words_I: Float32
    """log P(item | words) over log P(item), summed over the words."""

    times: float
    """How often the same spelling was searched for, decayed."""

    near_times: float
    nearest: float
    """Cosine of the nearest other spelling."""

    taken_I: npt.NDArray[np.bool_]
    """Whether anybody has taken the item after any query."""

    def as_if_new(self, codes: Int32) -> "Remembered":
        """What memory would say if nobody had taken these items yet: what was taken of the others makes up the shares."""
        taken_I = self.taken_I.copy()
        taken_I[codes] = False
        same_I, same = _without(self.same_I, codes)
        near_I, near = _without(self.near_I, codes)
        words_I = self.words_I.copy()
        # what was never taken after these words has the least that an item can have
        words_I[codes] = words_I.min(initial=0.0)
        return replace(
            self,
            taken_I=taken_I,
            same_I=same_I,
            lately_I=_without(self.lately_I, codes)[0],
            near_I=near_I,
            words_I=words_I,
            times=self.times * same,
            near_times=self.near_times * near,
        )


class QueryMemory:
    """Searches up to a day. What it remembers of one day costs a pass over the pairs, not over what they are made of."""

    def __init__(self, searches: Searches, items: int):
        """Args: searches: All; :meth:`as_of` cuts. items: I."""
        self._searches, self._items = searches, items
        spelt = [spelling(query) for query in searches.queries]
        self.spellings = sorted(set(spelt))
        self._place = {text: place for place, text in enumerate(self.spellings)}
        of_query = np.array([self._place[text] for text in spelt], np.int64)
        pair_E = of_query[searches.query_E] * items + searches.item_E
        self._pairs_P, self._pair_E = np.unique(pair_E, return_inverse=True)
        self._spelling_P, self._item_P = self._pairs_P // max(items, 1), self._pairs_P % max(items, 1)
        lists = [units(each) for each in self._words_as_first_typed(spelt)]
        self.units = sorted({unit for each in lists for unit in each})
        self._unit = {unit: place for place, unit in enumerate(self.units)}
        self._units_QW = indicator([sorted({self._unit[unit] for unit in each}) for each in lists], len(self.units))
        self.grams_QG = gram_matrix(self.spellings)
        self.grams_GQ = self.grams_QG.T.tocsr()

    def _words_as_first_typed(self, spelt: Sequence[str]) -> list[list[str]]:
        """Of each spelling; not as typed later, of which a day before knows nothing."""
        first: dict[str, str] = {}
        for query in [*dict.fromkeys(self._searches.query_E.tolist()), *range(len(spelt))]:
            first.setdefault(spelt[query], self._searches.queries[query])
        return [words(first[text][:MOST_LETTERS]) for text in self.spellings]

    def as_of(self, day: int) -> "Recall":
        """What is remembered when ``day`` begins."""
        end = int(np.searchsorted(self._searches.day_E, day))
        age_E = (day - self._searches.day_E[:end]).astype(np.float64)
        return Recall(self, self._counts(end, age_E, HALF_LIFE_DAYS), self._counts(end, age_E, LATELY_DAYS))

    def _counts(self, end: int, age_E: npt.NDArray[np.float64], half_life: float) -> sparse.csr_matrix:
        weight_P = np.bincount(self._pair_E[:end], weights=0.5 ** (age_E / half_life), minlength=len(self._pairs_P))
        shape = (len(self.spellings), self._items)
        counts = sparse.csr_matrix((weight_P.astype(np.float32), (self._spelling_P, self._item_P)), shape=shape)
        counts.eliminate_zeros()
        return counts

    def place(self, text: str) -> int | None:
        """The place of a spelling; what has neither letters nor digits has none."""
        return self._place.get(text) if text else None

    def unit_places(self, query: str) -> list[int]:
        """The places of the query's words and pairs of words that somebody has used."""
        return sorted({self._unit[unit] for unit in units(words(query[:MOST_LETTERS])) if unit in self._unit})

    def unit_place(self, word: str) -> int | None:
        """The place of one word, by its stem; None where nobody has used it."""
        return self._unit.get(word)

    @property
    def units_QW(self) -> sparse.csr_matrix:
        return self._units_QW


def units(asked: Sequence[str]) -> list[str]:
    """Words and pairs of neighbouring words, without regard to which of the two comes first."""
    pairs = [" ".join(sorted(pair)) for pair in pairwise(asked)]
    return [*asked, *pairs]


class Recall:
    """What is remembered on one day."""

    def __init__(self, memory: QueryMemory, counts_QI: sparse.csr_matrix, lately_QI: sparse.csr_matrix):
        self._memory, self._counts_QI, self._lately_QI = memory, counts_QI, lately_QI
        self._total_Q = np.asarray(counts_QI.sum(axis=1)).ravel()
        self._units_WI = (memory.units_QW.T @ counts_QI).tocsr()
        taken_I = np.asarray(counts_QI.sum(axis=0)).ravel()
        self._taken_I = taken_I > 0
        self._share_I = ((taken_I + 1e-3) / (taken_I.sum() + 1e-3 * max(len(taken_I), 1))).astype(np.float32)
        # which pieces are rare is part of what the day knows
        self._rarity_G = rarity(memory.grams_QG[np.flatnonzero(self._total_Q > 0)])
        self._norm_Q = np.sqrt(np.asarray(memory.grams_QG @ self._rarity_G**2).ravel())

    def of(self, query: str) -> Remembered:
        """What it says to a query."""
        memory = self._memory
        items = len(self._share_I)
        text = spelling(query)
        place = memory.place(text)
        same_I, times = _share(self._counts_QI, place, items)
        lately_I, _ = _share(self._lately_QI, place, items)
        found, like_Q = self._near(text)
        found = found[:NEAREST]
        near_I = np.zeros(items, np.float32)
        for row, weight in zip(found, like_Q[found] ** SHARPNESS, strict=True):
            start, end = self._counts_QI.indptr[row], self._counts_QI.indptr[row + 1]
            near_I[self._counts_QI.indices[start:end]] += weight * self._counts_QI.data[start:end]
        near_times = float(near_I.sum())
        others = found[found != place] if place is not None else found
        return Remembered(
            same_I=same_I,
            lately_I=lately_I,
            near_I=near_I / np.float32(max(near_times, 1e-6)),
            words_I=self._words(memory.unit_places(query)),
            times=times,
            near_times=near_times,
            nearest=float(like_Q[others[0]]) if len(others) else 0.0,
            taken_I=self._taken_I,
        )

    def is_for_others(self, word: str, read_I: npt.NDArray[np.bool_]) -> bool:
        """Whether shoppers mean other items by a word than those that it would be read as: what was taken after it says so.

        Args:
            word: Its stem; of one that few have searched by nothing is known.
            read_I: Which items are called what it is spelt like or begins.
        """
        place = self._memory.unit_place(word)
        if place is None:
            return False
        start, end = self._units_WI.indptr[place], self._units_WI.indptr[place + 1]
        times_N = self._units_WI.data[start:end]
        total = float(times_N.sum())
        return total >= SMOOTHING and float(times_N[read_I[self._units_WI.indices[start:end]]].sum()) < MISREAD * total

    def _near(self, text: str) -> tuple[npt.NDArray[np.int64], Float32]:
        """The nearest spellings of the day and their cosines, best first."""
        pieces = sorted(set(grams(text)))
        weights = self._rarity_G[pieces]
        like_Q = np.zeros(len(self._norm_Q), np.float32)
        if not weights.any():
            return np.empty(0, np.int64), like_Q
        grams_GQ = self._memory.grams_GQ
        for piece, weight in zip(pieces, weights, strict=True):
            like_Q[grams_GQ.indices[grams_GQ.indptr[piece] : grams_GQ.indptr[piece + 1]]] += weight**2
        unknown = (weights == 0).sum() * float(self._rarity_G.max()) ** 2
        norm = float(np.sqrt((weights**2).sum() + unknown))
        like_Q /= norm * np.maximum(self._norm_Q, 1e-6)
        found = np.flatnonzero((like_Q >= NEAR) & (self._total_Q > 0))
        return found[np.argsort(-like_Q[found], kind="stable")], like_Q

    def _words(self, places: Sequence[int]) -> Float32:
        """Smoothed by what is taken at all (a Dirichlet prior; Zhai and Lafferty 2004, section 3)."""
        total_I = np.zeros(len(self._share_I), np.float32)
        for place in places:
            start, end = self._units_WI.indptr[place], self._units_WI.indptr[place + 1]
            columns, values = self._units_WI.indices[start:end], self._units_WI.data[start:end]
            rest = np.log(SMOOTHING / (values.sum() + SMOOTHING))
            total_I += rest
            more = np.log1p(values / (SMOOTHING * self._share_I[columns]))
            total_I[columns] += more
        return total_I


def _without(share_I: Float32, codes: Int32) -> tuple[Float32, float]:
    """Shares without these items, and how much of the whole the others were."""
    others_I = share_I.copy()
    others_I[codes] = 0.0
    left = float(others_I.sum())
    if left <= 0 or not share_I[codes].any():
        return others_I, 1.0 if not share_I[codes].any() else 0.0
    whole = float(share_I.sum())
    return others_I * np.float32(whole / left), left / whole


def _share(counts_QI: sparse.csr_matrix, place: int | None, items: int) -> tuple[Float32, float]:
    shares_I = np.zeros(items, np.float32)
    if place is None:
        return shares_I, 0.0
    start, end = counts_QI.indptr[place], counts_QI.indptr[place + 1]
    total = float(counts_QI.data[start:end].sum())
    if total > 0:
        shares_I[counts_QI.indices[start:end]] = counts_QI.data[start:end] / total
    return shares_I, total
