"""What another version would have earned with answers that were given already: estimated from what chance did to them.

Assumed is the position-based model: a shopper takes an item with probability θ_p · q, of which θ_p belongs to the position
(how often it is looked at) and q to the shopper and the item. What stands beside it has no part. Then the value of a list is
the sum of θ_p q over its places, and an item may be judged at a place where it was never shown, from wherever it was:

- its *exposure* ρ = Σ_p P(item at p) θ_p is known but for θ, since the probabilities of the version that answered are exact;
- log θ is a polynomial of the second degree in log p, fitted to where what was taken of each rank stood: given that an item
  of rank r was taken, it stood at p with probability P(r at p) θ_p / ρ_r, whoever was asked;
- *SNIPS* weighs what was taken by θ_new / ρ and divides by the mean of the same weights over all that was shown
  (Swaminathan, Joachims 2015);
- *doubly robust* (Dudik, Langford, Li 2011) adds what a model of q by rank says of all, and weighs only what the
  model did not foresee. The model is fitted on the other half of the users.

They are the estimators by position of Li et al. 2018 with the exposures of Oosterhuis, de Rijke 2020; Saito et al. 2020 (Open
Bandit) name the same quantities. What chance could not show counts as never taken: an item from beyond the pool, and at
the places that never move any item but the one that was there. :attr:`Estimate.support` tells how much of a list that leaves.

The interval is normal, of sums by user (a user's answers depend on each other), by the delta method; that θ is fitted to
the same answers is in it.

Legend: N answers, K positions, R ranks of the pool, G designs, F folds of users, A = K + 1 positions or none, U users,
J coefficients of log θ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from shoploop.ranking.exploration import Design, propensities

Array = npt.NDArray[np.float64]
Int = npt.NDArray[np.integer]
Method = Literal["snips", "doubly_robust"]

FOLDS = 2
NOWHERE = -1
STEPS = 25
STEP = 1e-4
"""Of a derivative by differences."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """How the answers of another version compare with those of the version that gave them, without its chance."""

    lift: float
    """Taken items an answer, of the other version divided by those of this one, less 1."""

    error: float
    """Standard error of the lift."""

    value: float
    """Taken items an answer of the version that gave them."""

    support: float
    """Share of what is looked at in the other version's lists that the answers can tell of."""

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Two-sided."""
        half = float(ndtri((1 + confidence) / 2)) * self.error
        return self.lift - half, self.lift + half


class Answers:
    """Answers that chance had a part in, and what was taken of them."""

    def __init__(
        self, *, users_N: Int, designs: Sequence[Design], design_N: Int, ranks_NK: Int, taken_NK: npt.NDArray[np.bool_]
    ):
        """
        Args:
            users_N: Codes from 0, each there.
            designs: The different ones.
            design_N: Index into ``designs``.
            ranks_NK: Rank, before chance, of the item that was shown; :data:`NOWHERE` beyond the end of a list.
            taken_NK: Whether it was taken.
        """
        self.users_N, self.design_N = users_N, design_N
        self.designs = list(designs)
        self.ranks_NK, self.taken_NK = ranks_NK, taken_NK
        self.users = int(users_N.max()) + 1
        self.positions = ranks_NK.shape[1]
        self.pool = max(design.pool for design in designs)
        self.fold_N = users_N % FOLDS

    def __len__(self) -> int:
        return len(self.users_N)

    @cached_property
    def propensities_GRK(self) -> Array:
        """Padded with 0 to the longest list and the largest pool."""
        found = np.zeros((len(self.designs), self.pool, self.positions))
        for g, design in enumerate(self.designs):
            found[g, : design.pool, : design.shown] = propensities(design)
        return found

    @cached_property
    def own_NR(self) -> Int:
        """Where the version that answered shows its own items without chance."""
        ranks = np.arange(self.pool)
        by_design = [np.where(ranks < design.shown, ranks, NOWHERE) for design in self.designs]
        return np.stack(by_design).astype(np.int16)[self.design_N]

    @cached_property
    def group_N(self) -> Int:
        """Of design and fold."""
        return self.design_N * FOLDS + self.fold_N

    @cached_property
    def own(self) -> "_Lists":
        """The lists of the version that answered, without chance."""
        return _Lists(self, self.own_NR)


class Examination:
    """θ of the positions, as far as chance tells; up to a factor, which no comparison needs."""

    def __init__(self, answers: Answers):
        at = np.log(np.arange(1, answers.positions + 1))
        self._basis_KJ = np.stack([at, at**2], axis=1)
        n_S, k_S = np.nonzero(answers.taken_NK)
        cell_S = answers.design_N[n_S] * answers.pool + answers.ranks_NK[n_S, k_S]
        taken_CK = np.zeros((len(answers.designs) * answers.pool, answers.positions))
        np.add.at(taken_CK, (cell_S, k_S), 1.0)
        chance_CK = answers.propensities_GRK.reshape(taken_CK.shape)
        self.beta_J, expected_CJ, curvature_JJ = self._fit(taken_CK, chance_CK)
        pull_SJ = self._basis_KJ[k_S] - expected_CJ[cell_S]
        users_S = answers.users_N[n_S]
        pull_UJ = np.stack([np.bincount(users_S, pull_S, answers.users) for pull_S in pull_SJ.T], axis=1)
        self.theirs_UJ: Array = pull_UJ @ np.linalg.pinv(curvature_JJ)
        """Each user's part in the error of the coefficients."""

    def theta_K(self, beta_J: Array) -> Array:
        found: Array = np.exp(self._basis_KJ @ beta_J)
        return found

    def _fit(self, taken_CK: Array, chance_CK: Array) -> tuple[Array, Array, Array]:
        """Newton's method on the likelihood of positions given what was taken; it has one maximum."""
        beta_J = np.zeros(self._basis_KJ.shape[1])
        taken_C = taken_CK.sum(axis=1)
        for _ in range(STEPS):
            weights_CK = chance_CK * self.theta_K(beta_J)
            totals_C = weights_CK.sum(axis=1, keepdims=True)
            shares_CK = np.divide(weights_CK, totals_C, out=np.zeros_like(weights_CK), where=totals_C > 0)
            expected_CJ = shares_CK @ self._basis_KJ
            pull_J = (taken_CK @ self._basis_KJ).sum(axis=0) - taken_C @ expected_CJ
            second_JJ = np.einsum("c,ck,ki,kj->ij", taken_C, shares_CK, self._basis_KJ, self._basis_KJ)
            curvature_JJ = second_JJ - np.einsum("c,ci,cj->ij", taken_C, expected_CJ, expected_CJ)
            change_J = np.linalg.pinv(curvature_JJ) @ pull_J
            beta_J = beta_J + change_J * min(1.0, 2.0 / max(float(np.abs(change_J).max()), 1e-12))
            if np.abs(change_J).max() < 1e-9:
                break
        return beta_J, expected_CJ, curvature_JJ


class _Lists:
    """A version's lists, by cells: design, fold, rank, position where it was shown, position where it would be."""

    def __init__(self, answers: Answers, positions_NR: Int):
        positions_NR = np.where(positions_NR < 0, answers.positions, positions_NR)
        shape = (len(answers.designs), FOLDS, answers.pool, answers.positions, answers.positions + 1)
        size = int(np.prod(shape))
        ranks_NK = answers.ranks_NK
        at_NK = np.take_along_axis(positions_NR, np.maximum(ranks_NK, 0), axis=1)
        cells_NK = (answers.group_N[:, None] * answers.pool + ranks_NK) * answers.positions
        cells_NK = (cells_NK + np.arange(answers.positions)) * (answers.positions + 1) + at_NK
        self.cells_NK: Int = np.where(ranks_NK < 0, 2 * size, cells_NK + size * answers.taken_NK)
        """The first half of the cells is of what was not taken, the second of what was; then one of what was not shown."""

        counts = np.bincount(self.cells_NK.ravel(), minlength=2 * size + 1)[:-1].reshape(2, *shape)
        self.shown_GFRKA: Array = counts.sum(axis=0).astype(np.float64)
        self.taken_GFRKA: Array = counts[1].astype(np.float64)
        whole = (len(answers.designs), FOLDS, answers.pool, answers.positions + 1)
        self.all_NR: Int = (answers.group_N[:, None] * answers.pool + np.arange(answers.pool)) * whole[
            -1
        ] + positions_NR
        self.all_GFRA: Array = (
            np.bincount(self.all_NR.ravel(), minlength=int(np.prod(whole))).reshape(whole).astype(float)
        )


@dataclass(frozen=True)
class _Tables:
    """What one item adds, by its cell: what was shown, taken or not, and what the version would show."""

    shown_2GFRKA: Array
    all_GFRA: Array
    value: float


def compare(
    answers: Answers, positions_NR: Int, methods: Sequence[Method] = ("doubly_robust",)
) -> dict[Method, Estimate]:
    """The lift of another version over the one that gave these answers, by each method.

    Args:
        answers: What was shown, and taken. Something was.
        positions_NR: Where the other version would show the item of each rank; :data:`NOWHERE` where it would not.
        methods: Doubly robust has the smaller error.
    """
    examination = Examination(answers)
    lists = (_Lists(answers, _answerable(answers, positions_NR)), answers.own)
    return {method: _estimate(answers, lists, examination, method) for method in methods}


def _estimate(answers: Answers, lists: tuple[_Lists, _Lists], examination: Examination, method: Method) -> Estimate:
    of: Callable[[Answers, _Lists, Array], _Tables] = _snips if method == "snips" else _doubly_robust

    def lift(beta_J: Array) -> float:
        new, old = (of(answers, each, examination.theta_K(beta_J)).value for each in lists)
        return new / old - 1

    theta_K = examination.theta_K(examination.beta_J)
    tables = [of(answers, each, theta_K) for each in lists]
    new, old = (table.value for table in tables)
    new_U, old_U = (_by_user(answers, each, table) for each, table in zip(lists, tables, strict=True))
    found = new / old - 1
    slope_J = np.array(
        [
            (lift(examination.beta_J + step) - lift(examination.beta_J - step)) / (2 * STEP)
            for step in STEP * np.eye(len(examination.beta_J))
        ]
    )
    influence_U = (new_U - (1 + found) * old_U) / old + examination.theirs_UJ @ slope_J
    users = answers.users
    error = np.sqrt(np.sum((influence_U - influence_U.mean()) ** 2) * users / max(users - 1, 1))
    looked = [float((each.all_GFRA * np.append(theta_K, 0.0)).sum()) for each in lists]
    return Estimate(lift=float(found), error=float(error), value=float(old), support=looked[0] / looked[1])


def _doubly_robust(answers: Answers, lists: _Lists, theta_K: Array) -> _Tables:
    weights_GRA, theta_A = _weights(answers, theta_K)
    relevance_FR = _relevance(answers, theta_K)
    foreseen_FRK = relevance_FR[:, :, None] * theta_K
    residual_2FRK = np.stack([-foreseen_FRK, 1 - foreseen_FRK])
    shown_2GFRKA = weights_GRA[None, :, None, :, None, :] * residual_2FRK[:, None, :, :, :, None]
    all_GFRA = relevance_FR[None, :, :, None] * theta_A * (weights_GRA[:, None] > 0)
    total = _total(lists, shown_2GFRKA) + (lists.all_GFRA * all_GFRA).sum()
    return _Tables(shown_2GFRKA, all_GFRA, float(total / len(answers)))


def _snips(answers: Answers, lists: _Lists, theta_K: Array) -> _Tables:
    """Σ w·taken / Σ w·θ, the relevance of what the version shows, times the θ of its lists; linear around its value."""
    weights_GRA, theta_A = _weights(answers, theta_K)
    weights_GFRKA = np.broadcast_to(weights_GRA[:, None, :, None, :], lists.shown_GFRKA.shape)
    looked_GFRKA = weights_GFRKA * theta_K[:, None]
    listed_GFRA = np.broadcast_to(theta_A * (weights_GRA[:, None] > 0), lists.all_GFRA.shape)
    count = len(answers)
    taken = float((lists.taken_GFRKA * weights_GFRKA).sum()) / count
    looked = float((lists.shown_GFRKA * looked_GFRKA).sum()) / count
    listed = float((lists.all_GFRA * listed_GFRA).sum()) / count
    not_taken_GFRKA = -looked_GFRKA * taken * listed / looked**2
    shown_2GFRKA = np.stack([not_taken_GFRKA, not_taken_GFRKA + weights_GFRKA * listed / looked])
    return _Tables(shown_2GFRKA, listed_GFRA * taken / looked, taken / looked * listed)


def _weights(answers: Answers, theta_K: Array) -> tuple[Array, Array]:
    """θ_new / ρ by design, rank and new position, 0 where the item cannot be shown; and θ with that of no position."""
    exposure_GR1 = (answers.propensities_GRK @ theta_K)[:, :, None]
    theta_A = np.append(theta_K, 0.0)
    shape = (*exposure_GR1.shape[:2], len(theta_A))
    return np.divide(theta_A, exposure_GR1, out=np.zeros(shape), where=exposure_GR1 > 0), theta_A


def _relevance(answers: Answers, theta_K: Array) -> Array:
    """q by rank, (F, R): what was taken by what was looked at, over the users of the other folds."""
    taken_FR = answers.own.taken_GFRKA.sum(axis=(0, 3, 4))
    looked_FR = (answers.own.shown_GFRKA.sum(axis=(0, 4)) * theta_K).sum(axis=2)
    taken_FR, looked_FR = taken_FR.sum(axis=0) - taken_FR, looked_FR.sum(axis=0) - looked_FR
    found: Array = np.divide(taken_FR, looked_FR, out=np.zeros_like(taken_FR), where=looked_FR > 0)
    return found


def _total(lists: _Lists, table_2GFRKA: Array) -> float:
    not_taken, taken = table_2GFRKA
    return float((lists.shown_GFRKA * not_taken).sum() + (lists.taken_GFRKA * (taken - not_taken)).sum())


def _by_user(answers: Answers, lists: _Lists, tables: _Tables) -> Array:
    """Each user's part in the error of the value, (U,)."""
    shown = np.append(tables.shown_2GFRKA.ravel(), 0.0)
    parts_N = shown[lists.cells_NK].sum(axis=1) + tables.all_GFRA.ravel()[lists.all_NR].sum(axis=1)
    found: Array = np.bincount(answers.users_N, parts_N - parts_N.mean(), answers.users) / len(answers)
    return found


def _answerable(answers: Answers, positions_NR: Int) -> Int:
    """The same without what the answers cannot tell: items of the head elsewhere, and others in the head."""
    keep_N1 = np.array([design.keep for design in answers.designs])[answers.design_N][:, None]
    if not keep_N1.any():
        return positions_NR
    ranks = np.arange(positions_NR.shape[1])
    told_NR = np.where(ranks < keep_N1, positions_NR == ranks, positions_NR >= keep_N1)
    return np.where(told_NR, positions_NR, NOWHERE)
