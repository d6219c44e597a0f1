"""What a rival is: fitted on a problem's past, it ranks all items of a request, not only the candidates of the model.

Legend: Q requests, I items, R rows of a log.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from shoploop.bench.prediction.problem import Problem, Say
from shoploop.evaluation.metrics import NAMES, list_metrics, top
from shoploop.features.history import bought_on, history_of
from shoploop.features.log import Int32, PurchaseLog
from shoploop.samples.sample_set import Request

Array = npt.NDArray[np.float64]

PRACTICE = 2_000
"""Users whose last visit before the targets settings are chosen on, where a rival asks for no other number."""


class Rival(Protocol):
    """One method. Whatever it has to choose, it chooses by :func:`practice`."""

    def fit(self, problem: Problem, *, seed: int, say: Say) -> None:
        """Learns from ``problem.past`` alone."""

    def scores(self, requests: Sequence[Request]) -> Iterator[npt.NDArray[np.floating]]:
        """Of each request all items' scores, (I,); the user's history is that of ``problem.log`` before the day."""


def practice(problem: Problem, *, seed: int, users: int = PRACTICE) -> Problem:
    """The same task one visit earlier: its targets are the problem's visits for validation, and its past is the same.

    Where the problem has none, the last visits in the past are its targets, and what lies before them its past.

    Args:
        problem: Whose targets stay unseen.
        seed: Of the draw of users.
        users: How many, at most.
    """
    chance, past = np.random.default_rng(seed), problem.past
    if problem.validation:
        drawn = np.sort(chance.permutation(len(problem.validation))[:users])
        return replace(
            problem, targets=[problem.validation[place] for place in drawn], validation=[], everyone=[], slices={}
        )
    _, first_V = past.baskets()
    user_V, day_V = past.user_R[first_V], past.day_R[first_V]
    last_V = np.append(user_V[1:] != user_V[:-1], True)
    several_V = np.concatenate([[False], user_V[1:] == user_V[:-1]])
    chosen = chance.permutation(np.flatnonzero(last_V & several_V))[:users]
    requests = [Request(user=int(user_V[v]), day=int(day_V[v])) for v in np.sort(chosen)]
    asked_U = np.full(len(past.users), np.iinfo(np.int32).max, np.int32)
    asked_U[[request.user for request in requests]] = [request.day for request in requests]
    return replace(
        problem,
        log=past,
        past=past.where(past.day_R < asked_U[past.user_R]),
        targets=requests,
        everyone=[],
        slices={},
    )


def judged(rival: Rival, problem: Problem, requests: Sequence[Request], *, seed: int = 0) -> dict[str, Array]:
    """Metrics of each request, (Q,) each; what the user has bought is left out where it is no answer.

    Equal scores stand in any order: the items' own would tell which came first.
    """
    out = {name: np.zeros(len(requests)) for name in NAMES}
    items_I = np.arange(len(problem.log.vocabulary))
    chance = np.random.default_rng(seed)
    for q, (request, scores_I) in enumerate(zip(requests, rival.scores(requests), strict=True)):
        shuffled_I = chance.permutation(items_I)
        scores = scores_I[shuffled_I].astype(np.float64)
        if problem.new_only:
            own = history_of(problem.log, request.user, before=request.day).items_H
            scores[np.isin(shuffled_I, own)] = -np.inf
        # the best are taken by place in the shuffled order, so that equals are drawn
        ranked = shuffled_I[top(items_I, scores)]
        for name, value in list_metrics(ranked, bought_on(problem.log, request.user, day=request.day)).items():
            out[name][q] = value
    return out


class Sequences:
    """Each user's items in the order of their days; those of a day in any order."""

    def __init__(self, log: PurchaseLog, *, seed: int):
        order_R = np.lexsort((np.random.default_rng(seed).random(len(log)), log.day_R, log.user_R))
        self._log = log
        self.items_R: Int32 = log.item_R[order_R]

    def whole(self, user: int) -> Int32:
        """All of a user's items."""
        return self.items_R[self._log.offsets_U1[user] : self._log.offsets_U1[user + 1]]

    def before(self, request: Request) -> Int32:
        """The user's items before the request's day."""
        low, high = self._log.offsets_U1[request.user], self._log.offsets_U1[request.user + 1]
        return self.items_R[low : low + int(np.searchsorted(self._log.day_R[low:high], request.day))]

    def __iter__(self) -> Iterator[Int32]:
        return (self.whole(user) for user in range(len(self._log.users)))
