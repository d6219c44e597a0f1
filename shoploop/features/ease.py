"""EASE: for each item the others whose purchase speaks for it or against it.

Legend: I items, M neighbours.
"""

import numpy as np

from shoploop.compute.threads import one_blas_thread
from shoploop.features.log import Float32, Int32, PurchaseLog


def ease(log: PurchaseLog, *, items: int, penalty: float, kept: int) -> tuple[Int32, Float32]:
    """EASE (Steck 2019, "Embarrassingly shallow autoencoders", eq. 8) on users' log counts, the largest weights.

    Args:
        log: The purchases.
        items: Only so many of the most purchased items have neighbours: the fit takes time with the cube of their number.
        penalty: L2; larger trusts rare pairs less.
        kept: M, neighbours kept of each.

    Returns:
        Codes (I, M), strongest first, and weights (I, M); 0 pads.
    """
    import scipy.linalg
    import scipy.sparse

    size = len(log.vocabulary)
    user, item = log.user_R, log.item_R
    counts_I = np.bincount(item, minlength=size)
    known = np.sort(np.lexsort((np.arange(size), -counts_I))[: min(items, size)])
    place_I = np.full(size, -1, np.int64)
    place_I[known] = np.arange(len(known))
    inside = place_I[item] >= 0
    shape = (len(log.users), len(known))
    bought = scipy.sparse.csr_matrix(
        (np.ones(int(inside.sum()), np.float32), (user[inside], place_I[item[inside]])), shape=shape
    )
    bought.data = np.log1p(bought.data)
    gram = (bought.T @ bought).toarray().astype(np.float32)
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
