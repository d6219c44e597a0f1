"""What all visits before a day say of the shops: how many come, which shop follows which, which have the same visitors.

Legend: V visits, U users, P shops.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from shoploop.features.log import Float32
from shoploop.surfaces.shops.visits import Visits

LATELY_DAYS, HALF_LIFE_DAYS = 28, 120.0
"""Window of what is visited lately; age at which an earlier visit counts half in what follows and in who shares."""


@dataclass(frozen=True, kw_only=True)
class ShopRecall:
    """What is known of the shops when a day begins; shops without visits before it have zeros."""

    lately_P: Float32
    """Share of the last 28 days' visits."""

    next_PP: sparse.csr_matrix
    """Chance of the next visit's shop (columns) after one at a shop (rows)."""

    near_PP: sparse.csr_matrix
    """Share of the visits that a shop's visitors (rows) make at each other shop (columns); 0 on the diagonal."""


def row_of(matrix_PP: sparse.csr_matrix, shop: int) -> Float32:
    """A shop's row, (P,): without what SciPy's own selection costs, which is more than all other features of a request."""
    row_P = np.zeros(matrix_PP.shape[1], np.float32)
    of = slice(matrix_PP.indptr[shop], matrix_PP.indptr[shop + 1])
    row_P[matrix_PP.indices[of]] = matrix_PP.data[of]
    return row_P


class ShopMemory:
    """Visits up to a day. What it remembers of one day costs a pass over the visits."""

    def __init__(self, visits: Visits):
        self._visits = visits
        follows_V = visits.user_V[1:] == visits.user_V[:-1]
        self._from, self._to = visits.shop_V[:-1][follows_V], visits.shop_V[1:][follows_V]
        self._second_day = visits.day_V[1:][follows_V]

    def as_of(self, day: int) -> ShopRecall:
        """What is remembered when ``day`` begins: of visits before it alone."""
        visits, shops = self._visits, len(self._visits.shops)
        lately_V = (visits.day_V < day) & (visits.day_V >= day - LATELY_DAYS)
        lately_P = np.bincount(visits.shop_V[lately_V], minlength=shops)
        before = self._second_day < day
        weight = _faded(day - self._second_day[before])
        # of many shops most follow few
        next_PP = sparse.csr_matrix((weight, (self._from[before], self._to[before])), shape=(shops, shops))
        return ShopRecall(
            lately_P=(lately_P / max(int(lately_P.sum()), 1)).astype(np.float32),
            next_PP=_by_row(next_PP),
            near_PP=self._near(day),
        )

    def _near(self, day: int) -> sparse.csr_matrix:
        visits = self._visits
        before_V = visits.day_V < day
        shape = (len(visits.users), len(visits.shops))
        places = (visits.user_V[before_V], visits.shop_V[before_V])
        counts_UP = sparse.csr_matrix((_faded(day - visits.day_V[before_V]), places), shape=shape)
        total_U = np.asarray(counts_UP.sum(axis=1)).ravel()
        share_UP = sparse.diags(1 / np.maximum(total_U, 1e-9)) @ counts_UP
        near_PP = (share_UP.T @ share_UP).tocsr()
        return _by_row(near_PP - sparse.diags(near_PP.diagonal()))


def _faded(age: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    faded: npt.NDArray[np.float64] = 0.5 ** (age / HALF_LIFE_DAYS)
    return faded


def _by_row(counts_PP: sparse.csr_matrix) -> sparse.csr_matrix:
    """Each row's shares."""
    total_P = np.asarray(counts_PP.sum(axis=1)).ravel()
    share_PP = (sparse.diags(1 / np.where(total_P > 0, total_P, 1.0)) @ counts_PP).tocsr().astype(np.float32)
    share_PP.eliminate_zeros()
    return share_PP
