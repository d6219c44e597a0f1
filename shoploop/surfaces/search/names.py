"""What items are called, and how well a query fits: by words (BM25) and by pieces of letters.

Legend: I items, W words, G hashed pieces, P pieces of a query.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import numpy as np
import numpy.typing as npt
from scipy import sparse

from shoploop.features.log import Float32
from shoploop.surfaces.search.words import (
    MOST_LETTERS,
    blankless,
    gram_matrix,
    grams,
    indicator,
    plain,
    rarity,
    runs,
    spelling,
    stem,
    without_spelt_out,
)

SATURATION, LENGTH_SHARE = 1.2, 0.5
"""k1 and b of BM25 (Robertson and Zaragoza 2009, "The probabilistic relevance framework", section 3.3); names are short, so
that a long one costs less than in documents."""

LIKE = 0.75
"""Share of letters in common, in their order, from which a word that no name has is taken for one that some have."""

SHORTEST_BEGINNING, SHORTEST_MISSPELT = 2, 3
"""Letters of a word that may stand for longer ones, and of one that may be another's misspelling."""

MOST_ENDINGS, LAST_SIGN = 200, "\U0010ffff"
"""Words that a beginning stands for, at most; and a sign behind all others."""

MOST_WORDS = 16
"""Of a query that are held against names: one that no name has costs a look at all words."""

LOOKED_AT = 30
"""Words with the most pieces in common, of which the most like is taken."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How well each item fits a query, (I,) each."""

    bm25_I: Float32
    words_I: Float32
    """Share of the query's words that the name has, each by its rarity."""

    typed_I: Float32
    """The same of the words as they were typed, with their endings."""

    letters_I: Float32
    """Share of the query's pieces of letters that the name has, each by its rarity."""

    named_I: Float32
    """Share of the name's pieces that the query has."""

    understood: str | None
    """The query's words as they were understood, where that is not how they were spelt; None where it is."""

    weights: Mapping[str, float] = field(default_factory=dict)
    """How much each word of the query counts, by its rarity among these names."""

    shoppers: frozenset[str] = frozenset()
    """Stems of words that no name has and that are no misspelling of one either: shoppers call something else so."""


class Names:
    """The names of all items, and of what kind they are."""

    def __init__(self, texts: Sequence[str]):
        """Args: texts: What is known of each item in words, (I,)."""
        typed = [plain(text) for text in texts]
        stems = {word: stem(word) for each in typed for word in each}
        written = Counter((stems[word], word) for each in typed for word in each)
        self._shown = {word: spelt for (word, spelt), _ in sorted(written.items(), key=lambda each: (each[1], each[0]))}
        split = [[stems[word] for word in each] for each in typed]
        self.words = sorted(set(stems.values()))
        self._place = {word: place for place, word in enumerate(self.words)}
        self.counts_IW = _counts(split, self._place)
        length_I = np.asarray(self.counts_IW.sum(axis=1)).ravel()
        mean = max(float(length_I.mean()) if len(length_I) else 0.0, 1.0)
        self.rarity_W = rarity(self.counts_IW)
        entries = self.counts_IW.tocoo()
        damped = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * length_I[entries.row] / mean)
        weight = self.rarity_W[entries.col] * entries.data * (SATURATION + 1) / (entries.data + damped)
        shape = (len(texts), len(self.words))
        self._bm25_WI = sparse.csr_matrix(
            (weight.astype(np.float32), (entries.row, entries.col)), shape=shape
        ).T.tocsr()
        self._has_WI = indicator([sorted(self._place[word] for word in set(each)) for each in split], len(self.words)).T
        self._has_WI = self._has_WI.tocsr()
        self._spelt = sorted(stems)
        place = {word: at for at, word in enumerate(self._spelt)}
        self._typed_VI = indicator([sorted({place[word] for word in each}) for each in typed], len(place)).T.tocsr()
        self._all_spelt = " ".join(self._spelt)  # one text to look for parts of words in
        self._pairs = self._by_letter()
        grams_VG = gram_matrix(self._spelt)
        self._spelt_grams_GV = grams_VG.T.tocsr()
        self._norm_V = np.sqrt(np.diff(grams_VG.indptr).astype(np.float32))
        # of what is much longer than a title the beginning: in enough words all pieces of letters are somewhere
        short = [len(text) <= MOST_LETTERS and text.isascii() for text in texts]
        grams_IG = gram_matrix(
            ["".join(each) if whole else spelling(text) for text, each, whole in zip(texts, split, short, strict=True)]
        )
        self._gram_rarity_G = rarity(grams_IG)
        self._grams_GI = grams_IG.T.tocsr()
        self._letters_I = np.asarray(grams_IG @ self._gram_rarity_G).ravel()

    def __len__(self) -> int:
        return int(self.counts_IW.shape[0])

    def meant(self, word: str) -> list[int]:
        """The places of the words that a word as typed stands for: itself; those that begin with it, as while somebody types;
        or the one that it is spelt most like. Of a script without blanks one letter stands for all pairs with it, and a pair
        for no other: its letters are no misspelling of each other. Empty where it is like none."""
        letters = blankless(word)
        if len(letters) == 1:
            return self._pairs.get(word, [])
        if stem(word) in self._place:
            return [self._place[stem(word)]]
        if word.isdigit() or len(word) < SHORTEST_BEGINNING:  # another number is another thing
            return []
        first = bisect_left(self._spelt, word)
        end = bisect_left(self._spelt, word + LAST_SIGN, lo=first)
        if end > first:
            return sorted({self._place[stem(spelt)] for spelt in self._spelt[first : min(end, first + MOST_ENDINGS)]})
        alike = self._alike(word) if len(word) >= SHORTEST_MISSPELT and not letters else None
        return [] if alike is None else [self._place[stem(alike)]]

    def _by_letter(self) -> dict[str, list[int]]:
        """The words that have each letter of a script without blanks, those of the most names."""
        found: dict[str, set[int]] = {}
        for word in self._spelt:
            for letter in blankless(word):
                found.setdefault(letter, set()).add(self._place[stem(word)])
        names_W = np.bincount(self.counts_IW.indices, minlength=len(self.words))
        return {
            letter: sorted(sorted(places, key=lambda place: (-names_W[place], place))[:MOST_ENDINGS])
            for letter, places in found.items()
        }

    def _spelt_place(self, word: str) -> int | None:
        at = bisect_left(self._spelt, word)
        return at if at < len(self._spelt) and self._spelt[at] == word else None

    def _begins(self, word: str) -> bool:
        first = bisect_left(self._spelt, word)
        return first < len(self._spelt) and self._spelt[first].startswith(word)

    def _alike(self, word: str) -> str | None:
        pieces = sorted(set(grams(word)))
        shared_V = _sum(self._spelt_grams_GV, pieces, None, np.zeros(len(self._spelt), np.float32))
        like_V = shared_V / (self._norm_V * np.sqrt(len(pieces)))
        near = [self._spelt[place] for place in np.argsort(-like_V, kind="stable")[:LOOKED_AT] if like_V[place] > 0]
        ratios = [(SequenceMatcher(None, word, spelt, autojunk=False).ratio(), spelt) for spelt in near]
        best = max(ratios, key=lambda each: each[0], default=(0.0, ""))
        return best[1] if best[0] >= LIKE else None

    def _as_spelt(self, query: str) -> str:
        """The query, where words of it that are part of no name are part of one without accents that were spelt out."""
        typed = runs(query)[:MOST_WORDS]
        read = [self._accented(word) for word in typed]
        return query if read == typed else " ".join(read)

    def _accented(self, word: str) -> str:
        bare = without_spelt_out(word)
        if bare == word or len(bare) < SHORTEST_BEGINNING or word in self._all_spelt:
            return word
        return bare if bare in self._all_spelt else word

    def fit(
        self,
        query: str,
        weights: Mapping[str, float] | None = None,
        *,
        shoppers: Callable[[str, npt.NDArray[np.bool_]], bool] | Set[str] = frozenset(),
    ) -> Fit:
        """How well each item fits.

        Args:
            query: As typed.
            weights: How much a word counts: what another fit says of the same query, so that shares of words can be compared
                between two collections of names. Unset, and where it has not the word, its rarity among these names.
            shoppers: Stems that stand for themselves though no name has them; or what says so of a stem and of the items,
                (I,), whose names have what it would be read as.
        """
        query = self._as_spelt(query[:MOST_LETTERS])
        asked: dict[str, str] = {}
        for word in plain(query)[:MOST_WORDS]:
            asked.setdefault(stem(word), word)
        none_I = np.zeros(len(self), np.float32)
        # a word that no name has counts as much as the rarest
        rarest = float(self.rarity_W.max(initial=1.0))
        bm25_I, has_I, typed_I = none_I.copy(), none_I.copy(), none_I.copy()
        weighed: dict[str, float] = {}
        corrected: dict[str, str] = {}
        themselves: set[str] = set()
        for root, word in asked.items():
            places = self.meant(word)
            if places and root not in self._place and not blankless(word):
                own = shoppers(root, self._having(places)) if callable(shoppers) else root in shoppers
                if own:
                    themselves.add(root)
                    places = []
            weight = (weights or {}).get(root)
            if weight is None:
                weight = float(self.rarity_W[places].min()) if places else rarest
            weighed[root] = weight
            for rows, sum_I in ((self._bm25_WI, bm25_I), (self._has_WI, has_I)):
                found_I = _sum(rows, places, None, none_I)
                # of several endings of one word a name needs but one
                sum_I += np.minimum(found_I, 1.0) * weight if rows is self._has_WI else found_I
            if (at := self._spelt_place(word)) is not None and places:
                typed_I[self._typed_VI.indices[self._typed_VI.indptr[at] : self._typed_VI.indptr[at + 1]]] += weight
            if places and not blankless(word) and root not in self._place and not self._begins(word):
                corrected[root] = self._shown[self.words[places[0]]]
        pieces = sorted(set(grams(spelling(query))))
        rarity_P = self._gram_rarity_G[pieces]
        shared_I = _sum(self._grams_GI, pieces, rarity_P, none_I)
        missing = float(np.where(rarity_P > 0, rarity_P, self._gram_rarity_G.max(initial=1.0)).sum())
        return Fit(
            bm25_I=bm25_I,
            words_I=has_I / np.float32(max(sum(weighed.values()), 1e-6)),
            typed_I=typed_I / np.float32(max(sum(weighed.values()), 1e-6)),
            letters_I=shared_I / np.float32(max(missing, 1e-6)),
            named_I=(shared_I / np.maximum(self._letters_I, 1e-6)).astype(np.float32),
            understood=_understood(query, corrected) if corrected else None,
            weights=weighed,
            shoppers=frozenset(themselves),
        )

    def _having(self, places: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Which items have one of these words, (I,)."""
        return _sum(self._has_WI, places, None, np.zeros(len(self), np.float32)) > 0


def _understood(query: str, corrected: dict[str, str]) -> str:
    """The words of a query, each once, as they were understood; runs of a script without blanks stay whole."""
    read: dict[str, str] = {}
    for run in runs(query)[:MOST_WORDS]:
        read.setdefault(stem(run), corrected.get(stem(run), run))
    return " ".join(read.values())


def _counts(split: Sequence[Sequence[str]], place: dict[str, int]) -> sparse.csr_matrix:
    rows = [row for row, each in enumerate(split) for _ in each]
    columns = [place[word] for each in split for word in each]
    ones = np.ones(len(rows), np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), shape=(len(split), len(place)))


def _sum(
    matrix: sparse.csr_matrix, rows: Sequence[int], weights: npt.NDArray[np.float32] | None, none_I: Float32
) -> Float32:
    """The sum of these rows, each times its weight, dense."""
    total = none_I.copy()
    for at, row in enumerate(rows):
        start, end = matrix.indptr[row], matrix.indptr[row + 1]
        values = matrix.data[start:end]
        total[matrix.indices[start:end]] += values if weights is None else values * weights[at]
    return total
