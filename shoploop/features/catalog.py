"""What is known of items apart from the day: kinds, neighbours, factors, and how soon each kind is bought again.

Fitted on purchases before a day, stored in a model version, the same object in training and in the predictor.

Legend: I items, M neighbours, D factors, C kinds, B buckets of elapsed days, G wider groups.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.compute.threads import one_blas_thread
from shoploop.features.history import history_of
from shoploop.features.log import Float32, Int32, PurchaseLog, Vocabulary

ELAPSED_EDGES = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 21, 28, 35, 49, 70, 100, 150, 250])
"""Days; bucket b covers elapsed days from edge b up to the next."""

DENSE_ITEMS = 1500
"""Up to so many items the factors come from a dense decomposition, which knows no chance and takes a second."""

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The vocabulary's items as features and models see them."""

    kind_I: Int32
    """Code of the narrowest category; the last code stands for items without one."""

    group_I: Int32
    """Code of the category one level up, same rule."""

    neighbours_IM: Int32
    """Items whose purchase speaks most for (or against) this one, strongest first; padded with 0 at weight 0."""

    neighbour_weights_IM: Float32
    """EASE weights; 0 pads."""

    factors_ID: Float32
    """Unit rows; 0 where an item was never bought with another."""

    log_odds_CB: Float32
    """Log odds that, of a kind bought so many days ago, the same item is bought again at a visit."""

    def __len__(self) -> int:
        return len(self.kind_I)

    @property
    def kinds(self) -> int:
        return len(self.log_odds_CB)


@dataclass(frozen=True, kw_only=True)
class CatalogConfig:
    """How a catalog is fitted."""

    factors: int = 64
    neighbours: int = 100
    least_together: int = 3
    """Baskets that two items must share before their factors hear of it."""

    ease_items: int = 4000
    """Only the most purchased items have neighbours: the fit takes time with the cube of their number."""

    ease_penalty: float = 300.0
    """L2 penalty; larger trusts rare pairs less."""

    hazard_requests: int = 6000
    """Visits that the chance of buying again is counted on."""

    hazard_shrinkage: float = 100.0
    """Observations of all kinds together that each kind starts with."""

    seed: int = 0


def fit_catalog(log: PurchaseLog, items: pl.DataFrame, config: CatalogConfig | None = None) -> Catalog:
    """Fits the catalog.

    Args:
        log: The purchases to learn from: none that a later sample has as its label.
        items: Columns ``item`` and ``category`` (path, widest first); further rows and missing items are fine.
        config: Defaults suit a shop of 10,000 items.
    """
    config = config or CatalogConfig()
    kind_I, group_I = _kinds(items, log.vocabulary)
    neighbours_IM, weights_IM = _ease(log, config)
    return Catalog(
        kind_I=kind_I,
        group_I=group_I,
        neighbours_IM=neighbours_IM,
        neighbour_weights_IM=weights_IM,
        factors_ID=_factors(log, config),
        log_odds_CB=_log_odds(log, kind_I, config),
    )


def _kinds(items: pl.DataFrame, vocabulary: Vocabulary) -> tuple[Int32, Int32]:
    paths = (
        vocabulary.frame()
        .join(items.select("item", "category").unique("item", keep="first", maintain_order=True), on="item", how="left")
        .sort("code")
        .with_columns(depth=pl.col("category").list.len().fill_null(0))
        .with_columns(
            kind=pl.col("category").list.join("\x1f"),
            group=pl.when(pl.col("depth") > 1)
            .then(pl.col("category").list.head(pl.col("depth").cast(pl.Int64) - 1).list.join("\x1f"))
            .otherwise(pl.col("category").list.join("\x1f")),
        )
    )

    def codes(name: str) -> Int32:
        filled = paths[name].replace("", None)
        levels = sorted(filled.drop_nulls().unique().to_list())
        table = pl.DataFrame(
            {name: levels, "level": np.arange(len(levels), dtype=np.int32)}, schema={name: pl.String, "level": pl.Int32}
        )
        joined = filled.to_frame().join(table, on=name, how="left", maintain_order="left")["level"]
        return joined.fill_null(len(levels)).to_numpy().astype(np.int32)

    return codes("kind"), codes("group")


def _ease(log: PurchaseLog, config: CatalogConfig) -> tuple[Int32, Float32]:
    """EASE (Steck 2019, "Embarrassingly shallow autoencoders", eq. 8) on users' log counts, the largest weights."""
    import scipy.linalg
    import scipy.sparse

    size = len(log.vocabulary)
    user, item = log.user_R, log.item_R
    counts_I = np.bincount(item, minlength=size)
    kept = np.sort(np.lexsort((np.arange(size), -counts_I))[: min(config.ease_items, size)])
    place_I = np.full(size, -1, np.int64)
    place_I[kept] = np.arange(len(kept))
    inside = place_I[item] >= 0
    shape = (len(log.users), len(kept))
    bought = scipy.sparse.csr_matrix(
        (np.ones(int(inside.sum()), np.float32), (user[inside], place_I[item[inside]])), shape=shape
    )
    bought.data = np.log1p(bought.data)
    gram = (bought.T @ bought).toarray().astype(np.float32)
    gram[np.diag_indices_from(gram)] += config.ease_penalty
    with one_blas_thread():
        factor, _ = scipy.linalg.lapack.spotrf(gram, lower=1, overwrite_a=1)
        inverse, _ = scipy.linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    # B[j, i] = -P[j, i] / P[i, i]; row i of the table lists the j that predict i
    weights = -(inverse / np.diag(inverse)).T
    np.fill_diagonal(weights, 0.0)
    width = min(config.neighbours, max(len(kept) - 1, 1))
    nearest = np.argpartition(-np.abs(weights), width - 1, axis=1)[:, :width]
    order = np.argsort(-np.take_along_axis(weights, nearest, axis=1), axis=1, kind="stable")
    nearest = np.take_along_axis(nearest, order, axis=1)
    neighbours_IM = np.zeros((size, width), np.int32)
    weights_IM = np.zeros((size, width), np.float32)
    neighbours_IM[kept] = kept[nearest]
    weights_IM[kept] = np.take_along_axis(weights, nearest, axis=1)
    return neighbours_IM, weights_IM


def _factors(log: PurchaseLog, config: CatalogConfig) -> Float32:
    """Singular vectors of the positive pointwise mutual information of items in one basket (Levy, Goldberg 2014)."""
    import scipy.sparse

    size = len(log.vocabulary)
    rank = min(config.factors, size - 1, len(log.users))
    factors_ID = np.zeros((size, config.factors), np.float32)
    if rank < 1:
        return factors_ID
    basket, _ = log.baskets()
    held = scipy.sparse.csr_matrix(
        (np.ones(len(log), np.float32), (basket, log.item_R)), shape=(int(basket[-1]) + 1, size)
    )
    together = (held.T @ held).tocsr()
    # most pairs meet once, by chance, and would make the matrix too dense to decompose in seconds
    together.data[together.data < min(config.least_together, together.data.max(initial=0))] = 0
    together.eliminate_zeros()
    together = together.tocoo()
    total = together.data.sum(dtype=np.float64)
    margin = np.asarray(together.sum(axis=0), np.float64).ravel()
    information = np.log(together.data * total / (margin[together.row] * margin[together.col]))
    kept = (together.row != together.col) & (information > 0)
    matrix = scipy.sparse.csr_matrix((information[kept], (together.row[kept], together.col[kept])), shape=(size, size))
    if matrix.nnz == 0:
        return factors_ID
    values, vectors = _strongest(matrix, rank, config.seed)
    rank = len(values)
    rows = vectors * np.sqrt(values)
    # the sign of a singular vector is arbitrary: fix it by the largest entry
    rows *= np.sign(rows[np.abs(rows).argmax(axis=0), np.arange(rank)])
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    factors_ID[:, :rank] = np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 1e-9)
    return factors_ID


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


def _log_odds(log: PurchaseLog, kind_I: Int32, config: CatalogConfig) -> Float32:
    kinds, buckets = int(kind_I.max(initial=0)) + 1, len(ELAPSED_EDGES)
    seen_CB, again_CB = np.zeros((kinds, buckets)), np.zeros((kinds, buckets))
    _, first_row = log.baskets()
    visits = np.stack([log.user_R[first_row], log.day_R[first_row]], axis=1)
    # the latest visits have the longest histories behind them
    latest = visits[np.argsort(-visits[:, 1], kind="stable")[: 4 * config.hazard_requests]]
    rng = np.random.default_rng(config.seed)
    chosen = rng.permutation(len(latest))[: config.hazard_requests]
    for user, day in latest[chosen]:
        history = history_of(log, int(user), before=int(day))
        if not len(history):
            continue
        items, back = np.unique(history.items_H[::-1], return_index=True)
        elapsed = elapsed_bucket(day - history.days_H[::-1][back])
        low, high = log.offsets_U1[user], log.offsets_U1[user + 1]
        today = log.item_R[low:high][log.day_R[low:high] == day]
        cells = kind_I[items].astype(np.int64) * buckets + elapsed
        seen_CB += np.bincount(cells, minlength=kinds * buckets).reshape(kinds, buckets)
        again = cells[np.isin(items, today)]
        again_CB += np.bincount(again, minlength=kinds * buckets).reshape(kinds, buckets)
    overall_B = (again_CB.sum(axis=0) + 1) / (seen_CB.sum(axis=0) + 20)
    chance_CB = (again_CB + config.hazard_shrinkage * overall_B) / (seen_CB + config.hazard_shrinkage)
    log_odds_CB: Float32 = np.log(chance_CB / (1 - chance_CB)).astype(np.float32)
    return log_odds_CB


def elapsed_bucket(days: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """The bucket of each number of elapsed days (at least 1)."""
    bucket: npt.NDArray[np.intp] = np.searchsorted(ELAPSED_EDGES, np.maximum(days, 1), side="right") - 1
    return bucket
