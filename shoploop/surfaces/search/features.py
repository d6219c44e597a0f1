"""What the model knows of a query and an item, beside what it knows of a user and an item; and which items are scored.

Legend: I items, N candidates, S features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from shoploop.features.item import ItemMatrix
from shoploop.features.log import Float32, Int32
from shoploop.surfaces.search.memory import Recall, Remembered
from shoploop.surfaces.search.names import Fit, Names
from shoploop.surfaces.search.words import MOST_LETTERS

SEARCH_FEATURES = (
    ("bm25", "BM25 of the query and the item's words"),
    ("bm25_share", "the same as a share of the best item's"),
    ("words", "share of the query's words that the item has, each by its rarity"),
    ("all_words", "1 where it has them all"),
    ("letters", "share of the query's pieces of three letters that its words have"),
    ("letters_share", "the same as a share of the best item's"),
    ("named", "share of its words' pieces that the query has"),
    ("sold_share_7", "its share of what was sold in 7 days among the items that have as many of the words"),
    ("sold_share_28", "the same of 28 days"),
    ("sold_rank_7", "log of its place by sales of 7 days among these"),
    ("fitting", "log of how many items these are"),
    ("same", "share of what was taken after the same spelling"),
    ("lately", "the same of the last days"),
    ("near", "share of what was taken after near spellings"),
    ("by_words", "how much more it is taken after the query's words than without them, in nats"),
    ("by_words_share", "the same below the best item's"),
    ("times", "log of how often the same spelling was searched for"),
    ("near_times", "log of how often near ones were"),
    ("nearest", "nearness of the nearest other spelling"),
    ("length", "letters of the query, log"),
    ("new", "1 where nobody has taken it yet, so that neither memory nor sales can speak for it"),
    ("words_ahead", "share of the query's words that it has, less that of the best item that somebody has taken"),
    ("letters_ahead", "the same of pieces of letters"),
    (
        "named_ahead",
        "share of its words' pieces that the query has, less that of the best taken one with as many words",
    ),
    ("typed", "share of the query's words that it has as they were typed, with their endings, each by its rarity"),
    ("typed_ahead", "the same less that of the best item"),
)
"""Name and what it says, in the order of the columns. What is added goes behind: a version reads as many as it learned of."""

NEW = [name for name, _ in SEARCH_FEATURES].index("new")
"""Column that says that an item has had no chance yet."""

ALL_WORDS = 0.999
LIKE_ENOUGH = 0.15
"""Share of a query's pieces of letters from which a name is one that may be meant."""

FITTING, TAKEN, SOLD = 150, 80, 20
"""Candidates by how their name fits, by what was taken after the query, and by sales."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """One query as it was read on a day, (I,) arrays of all items."""

    fit: Fit
    remembered: Remembered
    letters: int

    def as_if_new(self, codes: Int32) -> "Read":
        """The same, had nobody taken these items yet."""
        return replace(self, remembered=self.remembered.as_if_new(codes))


def read(query: str, names: Names, recall: Recall) -> Read:
    """Reads a query."""
    fit = names.fit(query, shoppers=recall.is_for_others)
    return Read(fit=fit, remembered=recall.of(query), letters=len(query[:MOST_LETTERS].strip()))


def search_candidates(
    asked: Read,
    items: ItemMatrix,
    own: Int32,
    *,
    fill: bool = True,
    may_I: npt.NDArray[np.bool_] | None = None,
    least: int = 0,
) -> Int32:
    """Codes of the items to score, sorted.

    Args:
        asked: The query as read.
        items: Statistics as of the day.
        own: What the user bought before; empty where nobody is known.
        fill: Whether what sells comes too, which is right now and then where nothing else fits: a model learns what it is
            worth, and an answer does not show it.
        may_I: Which items may be shown; unset, all. The best are chosen among them, and none else is found.
        least: So many of what is called so, where there are so many, though fewer are looked at otherwise.
    """
    fit, remembered = asked.fit, asked.remembered
    sold_I = items["rate_28"]
    every_I = (fit.words_I >= ALL_WORDS) & (fit.words_I > 0)
    own_I = np.zeros(len(sold_I), np.float32)
    own_I[own] = 1.0
    named_own = np.unique(own[fit.letters_I[own] > 0]) if len(own) else own
    chosen: list[npt.NDArray[np.integer]] = [
        _best(np.where(every_I, 1 + sold_I + own_I, 0.0), max(FITTING, least), may_I),
        _best(np.where(fit.bm25_I > 0, fit.bm25_I + 1e-3 * sold_I, 0.0), max(FITTING // 2, least), may_I),
        _best(
            np.where(fit.letters_I >= LIKE_ENOUGH, fit.letters_I + 1e-3 * sold_I, 0.0), max(FITTING // 2, least), may_I
        ),
        _best(remembered.near_I, TAKEN, may_I),
        _best(remembered.same_I, TAKEN, may_I),
        _best(np.maximum(remembered.words_I, 0.0), TAKEN, may_I),
        _best(sold_I, SOLD if fill else 0, may_I),
        named_own if may_I is None else named_own[may_I[named_own]],
    ]
    return np.unique(np.concatenate(chosen)).astype(np.int32)


def _best(score_I: npt.NDArray[np.floating], most: int, may_I: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
    """Codes of the highest that are above 0, of those that may be shown."""
    if not most:
        return np.empty(0, np.int64)
    if may_I is not None:
        score_I = score_I * may_I
    if len(score_I) > most:
        found = np.argpartition(-score_I, most)[:most]
    else:
        found = np.arange(len(score_I))
    return found[score_I[found] > 0]


def search_features(asked: Read, candidates_N: Int32, items: ItemMatrix) -> Float32:
    """(N, S), finite, in the order of :data:`SEARCH_FEATURES`."""
    fit, remembered = asked.fit, asked.remembered
    bm25_N, letters_N = fit.bm25_I[candidates_N], fit.letters_I[candidates_N]
    words_N, typed_N = fit.words_I[candidates_N], fit.typed_I[candidates_N]
    # those that have as many of the query's words: what a shopper means by a word is most often what sells
    level_I = np.round(fit.words_I * 8).astype(np.int64)
    level_N = level_I[candidates_N]
    shares, ranks = [], []
    for window in ("rate_7", "rate_28"):
        sold_I = items[window].astype(np.float64) + 1e-6
        total_L = np.bincount(level_I, weights=sold_I)
        shares.append(np.log(sold_I[candidates_N] / total_L[level_N]))
        if window == "rate_7":
            # among all items: a model learns beside candidates that fill, and answers without them
            ranks.append(np.log1p(_rank(level_I, sold_I, candidates_N)))
    by_words_N = remembered.words_I[candidates_N]
    taken_I = (items["purchases_total"] > 0) | remembered.taken_I
    best_words = float(fit.words_I[taken_I].max(initial=0.0))
    best_letters = float(fit.letters_I[taken_I].max(initial=0.0))
    best_level = int(level_I[taken_I].max(initial=0))
    best_named = float(fit.named_I[taken_I & (level_I == best_level)].max(initial=0.0))
    columns: Sequence[npt.NDArray[np.floating] | float] = (
        bm25_N,
        bm25_N / max(float(fit.bm25_I.max(initial=0.0)), 1e-6),
        words_N,
        (words_N >= ALL_WORDS).astype(np.float32),
        letters_N,
        letters_N / max(float(fit.letters_I.max(initial=0.0)), 1e-6),
        fit.named_I[candidates_N],
        shares[0],
        shares[1],
        ranks[0],
        np.log1p(np.bincount(level_I)[level_N]),
        remembered.same_I[candidates_N],
        remembered.lately_I[candidates_N],
        remembered.near_I[candidates_N],
        by_words_N,
        by_words_N - float(remembered.words_I.max(initial=0.0)),
        float(np.log1p(remembered.times)),
        float(np.log1p(remembered.near_times)),
        remembered.nearest,
        float(np.log1p(asked.letters)),
        (~taken_I[candidates_N]).astype(np.float32),
        words_N - best_words,
        letters_N - best_letters,
        fit.named_I[candidates_N] - best_named,
        typed_N,
        typed_N - float(fit.typed_I.max(initial=0.0)),
    )
    features_NS = np.empty((len(candidates_N), len(SEARCH_FEATURES)), np.float32)
    for place, column in enumerate(columns):
        features_NS[:, place] = column
    return features_NS


def _rank(
    level_I: npt.NDArray[np.int64], sold_I: npt.NDArray[np.float64], candidates_N: Int32
) -> npt.NDArray[np.int64]:
    """How many items of its own level sell more than each candidate, (N,)."""
    level_N, sold_N = level_I[candidates_N], sold_I[candidates_N]
    rank_N = np.empty(len(candidates_N), np.int64)
    for level in np.unique(level_N):
        here_N = level_N == level
        rank_N[here_N] = np.searchsorted(np.sort(-sold_I[level_I == level]), -sold_N[here_N])
    return rank_N
