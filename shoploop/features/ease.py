"""EASE: for each item the others whose purchase speaks for it or against it.

Legend: I items, M neighbours.
"""

from typing import Any

import numpy as np

from shoploop.compute.threads import one_blas_thread
from shoploop.features.log import Float32, Int32, PurchaseLog

MOST_PAIRS = 20_000_000
"""Pairs of items in users' purchases up to which each item is fitted on those that it is bought with: 300 MB at most."""

MOST_OF_USER = 1_000
"""Different items of one user that count, the latest: whoever has more is a till or an account that many buy with, and its
pairs, the square of that, would else outweigh those of all others."""

MOST_FITTED = 50_000
"""Items that are then fitted, the most purchased: half a minute."""


def ease(log: PurchaseLog, *, items: int, penalty: float, kept: int) -> tuple[Int32, Float32]:
    """EASE (Steck 2019, "Embarrassingly shallow autoencoders", eq. 8) on users' log counts, the largest weights.

    Of up to ``items`` items all are fitted at once. Of more, where users buy few of them, each is fitted by itself on the
    ``kept`` items that are bought with it, the most alike by cosine: a ridge regression, as fsSLIM (Ning and Karypis 2011)
    without its L1 penalty and its bounds. Else only the most purchased items have neighbours.

    Args:
        log: The purchases.
        items: So many are fitted at once: that takes time with the cube of their number.
        penalty: L2; larger trusts rare pairs less. Where each item is fitted by itself it is no more than what the items'
            own purchases weigh, on average of purchases: above that nothing but the count of a pair would say anything.
        kept: M, neighbours kept of each.

    Returns:
        Codes (I, M), strongest first, and weights (I, M); 0 pads.
    """
    import scipy.sparse

    for code in users_of_many_items(log):
        log = log.where((log.user_R != code) | np.isin(log.item_R, _latest_items(log, code)))
    size, user, item = len(log.vocabulary), log.user_R, log.item_R
    bought = scipy.sparse.csr_matrix(
        (np.ones(len(item), np.float32), (user, item)), shape=(len(log.users), size)
    )  # what stands twice is summed
    bought.data = np.log1p(bought.data)
    pairs = int(np.square(np.diff(bought.indptr).astype(np.float64)).sum())
    if size > items and pairs <= MOST_PAIRS:
        return _each(bought, penalty=penalty, kept=kept)
    counts_I = np.bincount(item, minlength=size)
    known = np.sort(np.lexsort((np.arange(size), -counts_I))[: min(items, size)])
    return _at_once(bought, known, penalty=penalty, kept=kept)


def users_of_many_items(log: PurchaseLog) -> list[int]:
    """Codes of the users of whom only the latest items count."""
    many = np.flatnonzero(np.diff(log.offsets_U1) > MOST_OF_USER).tolist()
    return [code for code in many if len(np.unique(_items_of(log, code))) > MOST_OF_USER]


def _items_of(log: PurchaseLog, code: int) -> Int32:
    """What a user bought, by day and item."""
    return log.item_R[log.offsets_U1[code] : log.offsets_U1[code + 1]]


def _latest_items(log: PurchaseLog, code: int) -> Int32:
    items, back = np.unique(_items_of(log, code)[::-1], return_index=True)
    return items[np.argsort(back, kind="stable")[:MOST_OF_USER]]


def _at_once(
    bought: Any, known: "np.ndarray[Any, np.dtype[np.intp]]", *, penalty: float, kept: int
) -> tuple[Int32, Float32]:
    """Of the ``known`` items, ascending codes; ``bought`` is sparse, (users, I)."""
    import scipy.linalg

    size = bought.shape[1]
    inside = bought[:, known]
    gram = (inside.T @ inside).toarray().astype(np.float32)
    gram[np.diag_indices_from(gram)] += penalty
    with one_blas_thread():
        factor, _ = scipy.linalg.lapack.spotrf(gram, lower=1, overwrite_a=1)
        inverse, _ = scipy.linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    # B[j, i] = -P[j, i] / P[i, i]; row i of the table lists the j that predict i
    weights = -(inverse / np.diag(inverse)).T
    np.fill_diagonal(weights, 0.0)
    width = min(kept, max(len(known) - 1, 1))
    nearest = np.argpartition(-np.abs(weights), width - 1, axis=1)[:, :width]
    order = np.argsort(-np.take_along_axis(weights, nearest, axis=1), axis=1, kind="stable")
    nearest = np.take_along_axis(nearest, order, axis=1)
    neighbours_IM = np.zeros((size, width), np.int32)
    weights_IM = np.zeros((size, width), np.float32)
    neighbours_IM[known] = known[nearest]
    weights_IM[known] = np.take_along_axis(weights, nearest, axis=1)
    return neighbours_IM, weights_IM


def _each(bought: Any, *, penalty: float, kept: int) -> tuple[Int32, Float32]:
    """Of every item, on those that it is bought with; ``bought`` is sparse, (users, I)."""
    import scipy.linalg

    gram = (bought.T @ bought).tocsr()
    gram.sort_indices()
    begin, column, value = gram.indptr, gram.indices, gram.data
    size, weight_I = gram.shape[0], gram.diagonal()
    counts_I = np.asarray((bought > 0).sum(axis=0)).ravel()
    penalty = min(penalty, float(weight_I @ counts_I / max(counts_I.sum(), 1)))
    width = min(kept, max(size - 1, 1))
    neighbours_IM, weights_IM = np.zeros((size, width), np.int32), np.zeros((size, width), np.float32)
    place_I = np.full(size, -1, np.int64)
    fitted = np.sort(np.lexsort((np.arange(size), -counts_I))[:MOST_FITTED])
    with one_blas_thread():
        for code in fitted.tolist():
            near = column[begin[code] : begin[code + 1]]
            with_it = value[begin[code] : begin[code + 1]]
            near, with_it = near[near != code], with_it[near != code]
            if not len(near):
                continue
            if len(near) > width:
                alike = with_it / np.sqrt(weight_I[near])
                likest = np.sort(np.lexsort((near, -alike))[:width])
                near, with_it = near[likest], with_it[likest]
            # the pairs among the near ones, from the rows of each
            lengths = begin[near + 1] - begin[near]
            within = np.arange(lengths.sum()) + np.repeat(begin[near] - np.cumsum(lengths) + lengths, lengths)
            place_I[near] = np.arange(len(near))
            at = place_I[column[within]]
            place_I[near] = -1
            among = np.zeros((len(near), len(near)), np.float32)
            rows = np.repeat(np.arange(len(near)), lengths)
            among[rows[at >= 0], at[at >= 0]] = value[within[at >= 0]]
            among[np.diag_indices_from(among)] += penalty
            _, found, _ = scipy.linalg.lapack.sposv(among, with_it, overwrite_a=1)
            order = np.argsort(-found, kind="stable")
            neighbours_IM[code, : len(near)] = near[order]
            weights_IM[code, : len(near)] = found[order]
    return neighbours_IM, weights_IM
