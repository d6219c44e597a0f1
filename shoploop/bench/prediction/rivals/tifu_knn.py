"""TIFU-KNN (Hu et al. 2020, "Modeling personalized item frequency information for next-basket recommendation").

A user is the frequency of their items, decayed within groups of baskets and over groups; the score is a mix of the user's own
frequencies and the mean of their nearest neighbours'.

Legend: Q requests, U users, I items, V visits, R rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shoploop.bench.prediction.problem import Problem, Say
from shoploop.bench.prediction.rivals.interface import Array, judged, practice
from shoploop.features.log import PurchaseLog
from shoploop.samples.sample_set import Request

BLOCK = 500
"""Users whose distances to all others are held at a time."""


@dataclass(frozen=True, kw_only=True)
class TifuConfig:
    """As the paper names them."""

    group: int = 7
    """m: baskets of a group."""

    basket_decay: float = 0.9
    """r_b, within a group."""

    group_decay: float = 0.7
    """r_g, over groups."""

    neighbours: int = 300
    """k."""

    own: float = 0.7
    """α: the share of the user's own frequencies."""


PUBLISHED = (
    TifuConfig(),
    TifuConfig(basket_decay=1.0, group_decay=0.6),
    TifuConfig(group=3, neighbours=900, own=0.9),
    TifuConfig(group=3, group_decay=0.6, neighbours=900, own=0.2),
)
"""Of the paper's four datasets; the best begins the search."""

OWN, NEIGHBOURS = (0.3, 0.5, 0.7, 0.9), (100, 300, 900)


class TifuKnn:
    """Behind the interface of all rivals."""

    def __init__(self, config: TifuConfig | None = None):
        """``config``: what is to be used; chosen where not given."""
        self._given = config
        self.config = config or TifuConfig()

    def fit(self, problem: Problem, *, seed: int, say: Say) -> None:
        if self._given is None:
            rehearsal = practice(problem, seed=seed)
            self.config = _best(PUBLISHED, rehearsal)
            self.config = _best([replace(self.config, own=share) for share in OWN], rehearsal)
            self.config = _best([replace(self.config, neighbours=count) for count in NEIGHBOURS], rehearsal)
            say(f"tifu_knn: {self.config}")
        self._vectors: Any = vectors(problem.past, self.config)

    def scores(self, requests: Sequence[Request]) -> Iterator[Array]:
        """A user's history is what they bought before the targets, whatever the request's day."""
        vectors_UI, users = self._vectors, np.array([request.user for request in requests], np.intp)
        length_U = np.asarray(vectors_UI.multiply(vectors_UI).sum(axis=1)).ravel()
        count = min(self.config.neighbours, vectors_UI.shape[0] - 1)
        for start in range(0, len(users), BLOCK):
            block = users[start : start + BLOCK]
            own = vectors_UI[block]
            distances = length_U[None, :] - 2 * (own @ vectors_UI.T).toarray()
            distances[np.arange(len(block)), block] = np.inf
            nearest = np.argpartition(distances, max(count - 1, 0), axis=1)[:, :count]
            for row, near in enumerate(nearest):
                others = np.asarray(vectors_UI[near].mean(axis=0)).ravel() if count else 0.0
                yield self.config.own * own[row].toarray().ravel() + (1 - self.config.own) * others


def vectors(log: PurchaseLog, config: TifuConfig) -> Any:
    """Each user's decayed frequencies, a sparse matrix (U, I)."""
    import scipy.sparse

    visit_R, first_V = log.baskets()
    user_V = log.user_R[first_V]
    visits_U = np.bincount(user_V, minlength=len(log.users))
    ends_U = np.cumsum(visits_U)
    back_V = ends_U[user_V] - 1 - np.arange(len(user_V))
    group_V, place_V = np.divmod(back_V, config.group)
    groups_V = -(-visits_U[user_V] // config.group)
    # the earliest group holds what is left over
    size_V = np.where(group_V == groups_V - 1, visits_U[user_V] - config.group * (groups_V - 1), config.group)
    weight_V = config.basket_decay**place_V * config.group_decay**group_V / (size_V * groups_V)
    shape = (len(log.users), len(log.vocabulary))
    return scipy.sparse.csr_matrix((weight_V[visit_R], (log.user_R, log.item_R)), shape=shape)


def _best(configs: Sequence[TifuConfig], problem: Problem) -> TifuConfig:
    def worth(config: TifuConfig) -> float:
        trial = TifuKnn(config)
        trial.fit(problem, seed=0, say=lambda what: None)
        return float(judged(trial, problem, problem.targets)["recall@10"].mean())

    return max(configs, key=worth)
