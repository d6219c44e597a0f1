"""How many items each source may bring: found on visits of the past, for no two shops are alike.

Where people buy what they bought, history and best sellers reach nearly all; where taste moves, what follows lately does;
where every item is new to its buyer, what is alike. So the places are given out by what they would have found: always to
the source whose next few items reach the most that no other has reached.

Legend: T bought items of all requests, S sources.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from shoploop.candidates.fetching import SOURCES, CandidateConfig, by_source
from shoploop.features.catalog import Catalog
from shoploop.features.history import History
from shoploop.features.item import ItemMatrix
from shoploop.features.log import Int32

PLACES = 600
"""Items that the sources may bring together, beside the user's own: each costs a predictor time."""

STEP, DEEPEST = 20, 500
"""Places that are given out at a time, and the most of one source."""

POPULAR_AT_LEAST = 100
"""A new visitor has no history to go by."""

TELLING = 100
"""Items bought for the first time from which on a budget says more than a guess."""

GIVEN = tuple(source for source in SOURCES if source not in ("history", "unsold"))
"""What was never sold cannot have been found on visits of the past."""

DEEP = CandidateConfig(**dict.fromkeys(GIVEN, DEEPEST))


class Allocation:
    """Where each source names what was bought, and the budget that follows from it."""

    def __init__(self) -> None:
        self._ranks = [np.empty((0, len(GIVEN)), np.int64)]
        self._weights = [np.empty(0)]

    def add(self, history: History, *, day: int, items: ItemMatrix, catalog: Catalog, bought: Int32) -> None:
        """One visit of the past.

        Args:
            history: The user's purchases; rows from ``day`` on are ignored.
            day: Of the visit.
            items: Statistics as of ``day``.
            catalog: As of ``day``.
            bought: What was bought on it; what the user had bought before needs no place.
        """
        named, _ = by_source(history, day=day, items=items, catalog=catalog, config=DEEP)
        weight = 1.0 / max(len(bought), 1)  # a visit counts as one, however much was bought
        bought = np.setdiff1d(bought, named["history"])
        ranks_TS = np.full((len(bought), len(GIVEN)), DEEPEST, np.int64)
        for place, source in enumerate(GIVEN):
            _, at, rank = np.intersect1d(bought, named[source], assume_unique=True, return_indices=True)
            ranks_TS[at, place] = rank
        self._ranks.append(ranks_TS)
        self._weights.append(np.full(len(bought), weight))

    def config(self, places: int = PLACES) -> CandidateConfig:
        """The budget: greedy, which for a coverage is within 1 - 1/e of the best (Nemhauser, Wolsey, Fisher 1978).

        Args:
            places: Of all sources together; fewer are given where more reach nothing.

        Returns:
            The defaults where fewer than :data:`TELLING` items were bought for the first time.
        """
        ranks_TS, weights_T = np.concatenate(self._ranks), np.concatenate(self._weights)
        if len(ranks_TS) < TELLING:
            return CandidateConfig()
        given_S = np.array([POPULAR_AT_LEAST if source == "popular" else 0 for source in GIVEN])
        left_T = (ranks_TS >= given_S).all(axis=1)
        while (left := places - int(given_S.sum())) >= STEP:
            ranks_TS, weights_T = ranks_TS[left_T], weights_T[left_T]
            gain, source, more = max(_gains(ranks_TS, weights_T, given_S, left), default=(0.0, 0, 0))
            if gain <= 0:
                break
            given_S[source] += more
            left_T = ranks_TS[:, source] >= given_S[source]
        return CandidateConfig(**dict(zip(GIVEN, given_S.tolist(), strict=True)))


def _gains(
    ranks_TS: npt.NDArray[np.int64], weights_T: npt.NDArray[np.float64], given_S: npt.NDArray[np.int64], left: int
) -> Iterator[tuple[float, int, int]]:
    """Of each source, and of each number of further places, what a place would reach; the source and the number with it."""
    for source, given in enumerate(given_S.tolist()):
        further = np.arange(STEP, min(DEEPEST - given, left) + 1, STEP)
        if len(further):
            reached = np.bincount(ranks_TS[:, source], weights=weights_T, minlength=DEEPEST + 1).cumsum()[
                given + further - 1
            ]
            best = int(np.argmax(reached / further))
            yield float(reached[best] / further[best]), source, int(further[best])
