"""Items as vectors: those that are bought by the same people at about the same time point the same way.

Legend: I items, D factors.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.compute.threads import one_blas_thread
from shoploop.features.log import Float32

Float64 = npt.NDArray[np.float64]

DENSE_ITEMS = 1500
"""Up to so many items the factors come from a dense decomposition, which knows no chance and takes a second."""

MOST_PAIRS = 3_000_000
"""Pairs that a decomposition in seconds can read; of more the least counted are left out, for most meet once, by chance."""


def factors(together: Any, *, width: int, seed: int) -> Float32:
    """Singular vectors of the positive pointwise mutual information of items (Levy, Goldberg 2014).

    Rare pairs are discounted as Pantel and Lin do ("Discovering word senses from text", 2002, section 3.1), or chance would
    pass for the closest kinship.

    Args:
        together: Counts of pairs, a symmetric sparse matrix (I, I) without a diagonal.
        width: D.
        seed: Of the decomposition of a large matrix.

    Returns:
        Unit rows (I, D); 0 where an item has no pair.
    """
    import scipy.sparse

    size = together.shape[0]
    rank = min(width, size - 1)
    factors_ID = np.zeros((size, width), np.float32)
    if rank < 1 or together.nnz == 0:
        return factors_ID
    together = _most_counted(together.tocoo())
    total = together.data.sum(dtype=np.float64)
    margin_I = np.bincount(together.row, weights=together.data, minlength=size)
    rarer = np.minimum(margin_I[together.row], margin_I[together.col])
    information = np.log(together.data * total / (margin_I[together.row] * margin_I[together.col]))
    information *= together.data / (together.data + 1) * rarer / (rarer + 1)
    kept = information > 0
    matrix = scipy.sparse.csr_matrix((information[kept], (together.row[kept], together.col[kept])), shape=(size, size))
    if matrix.nnz == 0:
        return factors_ID
    values, vectors = _strongest(matrix, rank, seed)
    rank = len(values)
    rows = vectors * np.sqrt(values)
    # the sign of a singular vector is arbitrary: fix it by the largest entry
    rows *= np.sign(rows[np.abs(rows).argmax(axis=0), np.arange(rank)])
    factors_ID[:, :rank] = _unit(rows)
    return factors_ID


def aligned(fresh_ID: Float32, old_ID: Float32, counts_I: npt.NDArray[np.integer]) -> Float32:
    """Fresh factors turned so that items which both know lie as near to their old ones as can be.

    What was learned from the old factors is then true of the fresh ones, and of items that have none among the old. The
    rotation is that of the orthogonal Procrustes problem (Schönemann 1966); Hamilton et al. (2016, "Diachronic word
    embeddings") compare word vectors of different years by it.

    Args:
        fresh_ID: Unit rows.
        old_ID: Unit rows of the same items; 0 where it knew none.
        counts_I: How often each item was bought: the better known weigh more.
    """
    weight_I1 = np.log1p(counts_I)[:, None]
    with one_blas_thread():
        left, _, right = np.linalg.svd((fresh_ID * weight_I1).astype(np.float64).T @ old_ID.astype(np.float64))
        turned_ID: Float32 = (fresh_ID.astype(np.float64) @ (left @ right)).astype(np.float32)
    return turned_ID


def _most_counted(together: Any) -> Any:
    """The pairs above the least count that leaves no more than the most; all of them where none is above it."""
    import scipy.sparse

    if together.nnz <= MOST_PAIRS:
        return together
    least = np.partition(together.data, together.nnz - MOST_PAIRS)[together.nnz - MOST_PAIRS]
    above = together.data > least
    if not above.any():
        return together
    where = (together.row[above], together.col[above])
    return scipy.sparse.coo_matrix((together.data[above], where), shape=together.shape)


def _unit(rows: Float64) -> Float64:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Float64 = np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 1e-9)
    return unit


def _strongest(matrix: Any, rank: int, seed: int) -> tuple[Float64, Float64]:
    """At most ``rank`` singular values of a symmetric matrix, largest first, and their vectors as columns.

    They are those of its eigenvectors, by LAPACK for a small matrix and by ARPACK for a large one. ARPACK finds no more
    vectors than the matrix has rank and begins anew at random: its randomness comes from the seed, as all other does.
    Directions without weight are left out, for any basis of them is as good as another.
    """
    import scipy.linalg
    import scipy.sparse.linalg

    size = matrix.shape[0]
    with one_blas_thread():
        if size <= DENSE_ITEMS or rank >= size - 1:
            values, vectors = scipy.linalg.eigh(matrix.toarray())
        else:
            rng = np.random.default_rng(seed)
            try:
                values, vectors = scipy.sparse.linalg.eigsh(matrix, k=rank, v0=rng.standard_normal(size), rng=rng)
            except scipy.sparse.linalg.ArpackNoConvergence as error:  # the rest is as good as without weight
                values, vectors = error.eigenvalues, error.eigenvectors
    weight = np.abs(values)
    order = np.argsort(-weight, kind="stable")[:rank]
    order = order[weight[order] > 1e-9 * weight.max(initial=0.0)]
    return weight[order], vectors[:, order]
