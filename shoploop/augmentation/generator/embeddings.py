"""Frozen item embeddings: a singular value decomposition of what is bought together, by whom, and of which category;
and an item's manners: how popular it is, how dear, and in how large baskets it lies, since some shoppers buy what all buy and
others do not, and fuel is bought alone.

Free embeddings overfit on a shop's data; these hold no parameter that a generator could hide a shopper in.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.counts import trust
from shoploop.augmentation.generator.records import Behaviour, Floats, Ints, Vocabulary
from shoploop.features.distinct import distinct

POPULARITY = 0.3

MANNERS = 3
"""Columns at the end that :func:`embed_items` gives: the last is popularity."""


def embed_items(behaviour: Behaviour, vocabulary: Vocabulary, shares: Floats, *, dims: int, seed: int) -> Floats:
    """Unit vectors per item from baskets, shoppers and categories, stacked as rows of one sparse matrix.

    Rows are divided by the root of their length and columns by the root of theirs, as correspondence analysis does
    (Greenacre 1984), so that neither long baskets nor popular items rule; the first, trivial direction is dropped.

    Args:
        shares: (V,) of rows.

    Returns:
        (V, dims + 3) float32: rows of length 1, where an item that was never seen beside another lies where its category
        does; then, standardised and at ``POPULARITY`` of its length, the logarithms of the size of its baskets, of its price,
        and of its share.
    """
    from scipy import sparse
    from sklearn.utils.extmath import randomized_svd

    items = len(vocabulary)
    blocks = [
        _incidence(behaviour.basket, behaviour.item, len(behaviour.record), items),
        _incidence(behaviour.user[behaviour.row_record], behaviour.item, int(behaviour.user.max()) + 1, items),
        # Weighted as much as ten purchases: enough to place a rare item, little beside what is known of a popular one.
        _incidence(vocabulary.category, np.arange(items), len(vocabulary.categories), items) * 10,
    ]
    table = sparse.vstack(blocks).tocsr()
    rows = np.asarray(table.sum(1)).ravel()
    columns = np.asarray(table.sum(0)).ravel()
    scaled = sparse.diags(1 / np.sqrt(np.maximum(rows, 1))) @ table @ sparse.diags(1 / np.sqrt(np.maximum(columns, 1)))
    wanted = min(dims, items - 1, table.shape[0] - 1)
    _, values, vectors = randomized_svd(scaled, wanted + 1, n_iter=4, random_state=seed)
    out = (vectors[1:] * values[1:, None]).T / np.sqrt(np.maximum(columns, 1))[:, None]
    out = np.pad(out, ((0, 0), (0, dims - wanted)))
    out /= np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12)
    manners = (_standard(_usual_size(behaviour, vocabulary)), _standard(vocabulary.dear), popular_column(shares))
    return np.asarray(np.column_stack([out, *manners]), np.float32)


def _usual_size(behaviour: Behaviour, vocabulary: Vocabulary) -> npt.NDArray[np.float64]:
    """(V,) mean logarithm of the size of the baskets that an item lies in; of few buyers drawn towards its category's."""
    size = np.log(behaviour.sizes)[behaviour.basket]
    rows = np.bincount(behaviour.item, minlength=len(vocabulary))
    sums = np.bincount(behaviour.item, size, len(vocabulary))
    of_category = np.bincount(vocabulary.category, sums) / np.maximum(np.bincount(vocabulary.category, rows), 1)
    users = int(behaviour.user.max(initial=0)) + 1
    pairs = distinct(behaviour.item * users + behaviour.user[behaviour.row_record])
    known = trust(np.bincount(pairs // users, minlength=len(vocabulary)))
    out: npt.NDArray[np.float64] = known * sums / np.maximum(rows, 1) + (1 - known) * of_category[vocabulary.category]
    return out


def _standard(values: npt.NDArray[Any]) -> Floats:
    deviation = float(values.std())
    return np.asarray(POPULARITY * (values - values.mean()) / max(deviation, 1e-6) * (deviation > 1e-6), np.float32)


def popular_column(shares: Floats) -> Floats:
    """(V,) how popular an item is, beside embeddings of length 1."""
    bought = np.log(shares)
    return np.asarray(POPULARITY * (bought - bought.mean()) / max(float(bought.std()), 1e-6), np.float32)


def _incidence(row: Ints, column: Ints, rows: int, columns: int) -> Any:  # scipy.sparse has no types
    from scipy import sparse

    table = sparse.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(rows, columns))
    table.data[:] = 1  # twice in a row's set counts once
    return table
