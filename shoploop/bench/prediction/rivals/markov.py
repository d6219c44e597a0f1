"""A Markov chain of order 3: what comes within three steps after each of the last three items.

Skipping and mixture as in Shani, Heckerman, Brafman (2005, "An MDP-based recommender system", section 3.2): a step over other
items counts, too, though less.

Legend: Q requests, I items, L lags.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from shoploop.bench.prediction.problem import Problem, Say
from shoploop.bench.prediction.rivals.interface import Array, Sequences, judged, practice
from shoploop.samples.sample_set import Request

ORDER = 3


@dataclass(frozen=True, kw_only=True)
class MarkovConfig:
    """What is chosen on practice visits."""

    lag_decay: float = 0.7
    """What a last item counts less for each one since."""

    skip_decay: float = 0.5
    """What a pair counts less for each item between."""

    shrinkage: float = 1.0
    """Steps to nowhere that each item starts with: a rare item's few steps say little."""

    both_ways: bool = True
    """Whether a step back counts, too: items of one day have no order."""


GRID = tuple(
    MarkovConfig(lag_decay=lag, skip_decay=skip, shrinkage=shrinkage, both_ways=both)
    for lag, skip, shrinkage, both in product((0.4, 0.8), (0.4, 0.8), (2.0, 10.0), (False, True))
)


class Markov:
    """Behind the interface of all rivals."""

    def __init__(self, config: MarkovConfig | None = None):
        """``config``: what is to be used; chosen where not given."""
        self._given = config
        self.config = config or MarkovConfig()

    def fit(self, problem: Problem, *, seed: int, say: Say) -> None:
        self._histories = Sequences(problem.log, seed=seed)
        self._count(problem, seed)
        if self._given is None:
            rehearsal = practice(problem, seed=seed)
            trial = Markov(self.config)
            trial.fit(rehearsal, seed=seed, say=say)
            values = {config: trial._worth(config, rehearsal) for config in GRID}
            self.config = max(values, key=lambda config: values[config])
            say(f"markov: {self.config} of {len(GRID)}")

    def _worth(self, config: MarkovConfig, problem: Problem) -> float:
        self.config = config
        return float(judged(self, problem, problem.targets)["ndcg@10"].mean())

    def _count(self, problem: Problem, seed: int) -> None:
        import scipy.sparse

        size = len(problem.past.vocabulary)
        past, items_R = problem.past, Sequences(problem.past, seed=seed).items_R
        self._steps: list[Any] = []
        for lag in range(1, ORDER + 1):
            same = past.user_R[lag:] == past.user_R[:-lag]
            pairs = (items_R[:-lag][same], items_R[lag:][same])
            self._steps.append(scipy.sparse.csr_matrix((np.ones(len(pairs[0])), pairs), shape=(size, size)))
        self._popularity_I = np.bincount(past.item_R, minlength=size) + 1.0

    def scores(self, requests: Sequence[Request]) -> Iterator[Array]:
        import scipy.sparse

        config, size = self.config, len(self._popularity_I)
        steps = sum(config.skip_decay**lag * counted for lag, counted in enumerate(self._steps))
        steps = steps + steps.T if config.both_ways else steps
        total_I = np.asarray(steps.sum(axis=1)).ravel() + config.shrinkage
        chances = scipy.sparse.diags(1 / np.maximum(total_I, 1e-9)) @ steps
        rows: list[int] = []
        items: list[int] = []
        weights: list[float] = []
        for q, request in enumerate(requests):
            for lag, item in enumerate(self._histories.before(request)[: -ORDER - 1 : -1]):
                rows.append(q)
                items.append(int(item))
                weights.append(config.lag_decay**lag)
        last = scipy.sparse.csr_matrix((weights, (rows, items)), shape=(len(requests), size))
        found = last @ chances
        # what is popular follows what was ever seen after one of the last items
        popular_I = 1e-9 * self._popularity_I / self._popularity_I.max()
        for row in found.tocsr():
            yield row.toarray().ravel() + popular_I
