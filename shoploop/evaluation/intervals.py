"""How sure a mean over users is, by the bootstrap: users are drawn with replacement, all methods on the same draw.

Legend: U users, S draws, M columns.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DRAWS = 1000


class Bootstrap:
    """The same S draws of U users for every question asked, so that differences are paired (Efron, Tibshirani 1993)."""

    def __init__(
        self, users: int, *, draws: int = DRAWS, seed: int = 0, of_user: npt.NDArray[np.integer] | None = None
    ):
        """
        Args:
            users: How many values a question has, one a user.
            draws: S.
            seed: Of the draws.
            of_user: Whose each value is, where a user has several: users are drawn whole.
        """
        rng = np.random.default_rng(seed)
        groups, group_U = np.arange(users), slice(None)
        if of_user is not None:
            groups, group_U = np.unique(of_user, return_inverse=True)
        self._counts_SU = np.empty((draws, users), np.float32)
        for draw in range(draws):
            drawn = np.bincount(rng.integers(0, len(groups), len(groups)), minlength=len(groups))
            self._counts_SU[draw] = drawn[group_U]

    def means(self, values_U: Array) -> Array:
        """The mean in each draw, (S,); users with NaN have no part in it."""
        known_U = ~np.isnan(values_U)
        counts_SU = self._counts_SU[:, known_U]
        totals_S = counts_SU.sum(axis=1)
        sums_S = counts_SU @ values_U[known_U]
        means_S: Array = np.divide(sums_S, totals_S, out=np.full(len(sums_S), np.nan), where=totals_S > 0)
        return means_S

    def interval(self, values_U: Array, confidence: float = 0.95) -> tuple[float, float] | None:
        """Percentile interval of the mean; None where no user has a value."""
        means_S = self.means(values_U)
        means_S = means_S[~np.isnan(means_S)]
        if len(means_S) == 0:
            return None
        tail = (1 - confidence) / 2
        low, high = np.quantile(means_S, [tail, 1 - tail])
        return float(low), float(high)


def mean(values: Iterable[float]) -> float:
    """The mean without NaN; 0 of nothing."""
    array = np.array(list(values), np.float64)
    known = array[~np.isnan(array)]
    return float(known.mean()) if len(known) else 0.0
