"""What everybody did with items before the first judged day, without the part of the user who is asked about.

Legend: N items, R impressions, P places, E events.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from shoploop.bench.slates.problems import NO_ITEM, SlateProblem

Array = npt.NDArray[np.float64]

COUNTS = ("clicks", "shown", "expected", "touched")
RECALLED = 20
"""Touched items of a session, the latest, that are taken to go with each other."""


class Others:
    """Counts, and each user's part in them."""

    def __init__(self, problem: SlateProblem):
        self._total: defaultdict[int, Array] = defaultdict(lambda: np.zeros(len(COUNTS)))
        self._own: defaultdict[tuple[int, int], Array] = defaultdict(lambda: np.zeros(len(COUNTS)))
        self._pairs: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._next: defaultdict[int, Counter[int]] = defaultdict(Counter)
        self._sessions: defaultdict[int, dict[int, list[int]]] = defaultdict(dict)
        self._count_slates(problem)
        self._count_sessions(problem)

    def counts(self, user: int, items: Sequence[int]) -> Array:
        """By all but the user, (N, 4): clicks, times shown, clicks that the places let expect, sessions that touched it."""
        none = np.zeros(len(COUNTS))
        return np.array([self._total.get(item, none) - self._own.get((user, item), none) for item in items])

    def going_with(self, user: int, items: Sequence[int], latest: Sequence[int]) -> tuple[list[int], list[int]]:
        """Of all but the user: how often sessions touched an item and one of those touched here, and how often it came right
        after the last of them.

        Args:
            user: Who is asked about.
            items: Which items.
            latest: What was touched here, the last first.
        """
        wanted = latest[:RECALLED]
        own_pairs: Counter[int] = Counter()
        own_next: Counter[int] = Counter()
        for touched in self._sessions.get(user, {}).values():
            kept = _distinct(touched)
            for one in wanted:
                if one in kept:
                    own_pairs.update(other for other in kept if other != one)
            own_next.update(after for before, after in pairwise(touched) if before in wanted[:1])
        pairs = [sum(self._pairs[one][i] for one in wanted if one in self._pairs) - own_pairs[i] for i in items]
        after = [sum(self._next[one][i] for one in wanted[:1] if one in self._next) - own_next[i] for i in items]
        return pairs, after

    def _count_slates(self, problem: SlateProblem) -> None:
        slates = problem.slates
        slate_R = np.repeat(np.arange(len(slates)), np.diff(slates.offsets_Q1))
        before_R = slates.day_Q[slate_R] < problem.test
        shown_P = np.bincount(slates.place_R[before_R])
        rate_P = np.bincount(slates.place_R[before_R & slates.clicked_R], minlength=len(shown_P)) / np.maximum(
            shown_P, 1
        )
        for r in np.flatnonzero(before_R).tolist():
            user, item = int(slates.user_Q[slate_R[r]]), int(slates.item_R[r])
            self._add(user, item, (float(slates.clicked_R[r]), 1.0, float(rate_P[slates.place_R[r]]), 0.0))

    def _count_sessions(self, problem: SlateProblem) -> None:
        deeds = problem.deeds
        for e in np.flatnonzero((deeds.day_E < problem.test) & (deeds.item_E != NO_ITEM)).tolist():
            touched = self._sessions[int(deeds.user_E[e])].setdefault(int(deeds.session_E[e]), [])
            if not touched or touched[-1] != deeds.item_E[e]:
                touched.append(int(deeds.item_E[e]))
        for user, sessions in self._sessions.items():
            for touched in sessions.values():
                for item in dict.fromkeys(touched):
                    self._add(user, item, (0.0, 0.0, 0.0, 1.0))
                kept = _distinct(touched)
                for item in kept:
                    self._pairs[item].update(other for other in kept if other != item)
                for before, after in pairwise(touched):
                    self._next[before][after] += 1

    def _add(self, user: int, item: int, counts: tuple[float, ...]) -> None:
        self._total[item] += counts
        self._own[user, item] += counts


def _distinct(touched: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(touched))[-RECALLED:]
