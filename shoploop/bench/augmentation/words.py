"""A judge that only reports: it reads a shopper's rows as words, thousands of them, and a linear model weighs the words.

Nothing was built or chosen by what it says. It sees what the other two do not: amounts and their cents, an item's price and
pieces when it comes again, patterns of weekdays and shops, pairs of items by hash; and it learns otherwise than they do.
"""

from typing import Any

import numpy as np
import polars as pl

_BUCKETS = 4096
_FOLDS = 5
_STRENGTHS = (1.0, 10.0, 100.0)


def judge_by_words(made: pl.DataFrame, real: pl.DataFrame, *, seed: int) -> float:
    """Cross-validated AUC of two sides of as many users each; the penalty is chosen among each fold's learners.

    Args:
        made, real: Rows, as :func:`~shoploop.augmentation.proofs.unselected.visits` makes them.
    """
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.preprocessing import normalize

    random = np.random.default_rng(seed)
    count = min(side["user"].n_unique() for side in (made, real))
    tables = []
    for side in (made, real):
        users = side["user"].unique(maintain_order=True)
        chosen = users.gather(np.sort(random.permutation(len(users))[:count]))
        tables.append(_table(side.filter(pl.col("user").is_in(chosen.implode()))))
    table = normalize(sparse.vstack(tables).tocsr().sqrt())
    label = np.repeat([1, 0], count)
    score = np.zeros(len(label))
    for learn, held in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(table, label):
        model = GridSearchCV(LogisticRegression(max_iter=500), {"C": _STRENGTHS}, cv=3, scoring="neg_log_loss")
        score[held] = model.fit(table[learn], label[learn]).predict_proba(table[held])[:, 1]
    return float(roc_auc_score(label, score))


def _table(rows: pl.DataFrame) -> Any:
    """(users, buckets) how often each user says each word."""
    from scipy import sparse

    said = _words(rows).with_columns(bucket=pl.col("word").hash(7) % _BUCKETS)
    users = rows["user"].unique().sort()
    row = said["user"].replace_strict(users, np.arange(len(users)), return_dtype=pl.Int64).to_numpy()
    column = said["bucket"].to_numpy().astype(np.int64)
    return sparse.csr_matrix((np.ones(len(row)), (row, column)), shape=(len(users), _BUCKETS))


def _words(rows: pl.DataFrame) -> pl.DataFrame:
    """``user`` and ``word``."""
    each = pl.col("price") / pl.col("quantity")
    half = ((each + 0.01).log() * 2).floor().cast(pl.Int64)
    rows = rows.sort("user", "item", "day").with_columns(
        bucket=pl.col("item").hash(3) % 256,
        each_half=half,
        cents=(pl.col("price") * 100).round().cast(pl.Int64) % 100,
        size=pl.len().over("user", "day").log(2).floor().cast(pl.Int64),
        weekday=(pl.col("day") + 3) % 7,
        same_price=(each.round(2) == each.round(2).shift(1).over("user", "item")).cast(pl.Int8),
        same_pieces=(pl.col("quantity") == pl.col("quantity").shift(1).over("user", "item")).cast(pl.Int8),
    )
    of_rows: dict[str, tuple[str, ...]] = {
        "item": ("bucket",),
        "cents": ("cents",),
        "price": ("quantity", "each_half"),
        "price of size": ("size", "each_half"),
        "item of size": ("size", "bucket"),
        "item price": ("bucket", "each_half"),
        "again": ("same_price", "same_pieces"),
    }
    visit = rows.group_by("user", "day").agg(pl.col("size").first(), pl.col("weekday").first(), pl.col("shop").first())
    before = {f"{name} before": pl.col(name).shift(1).over("user") for name in ("size", "weekday")}
    gap = pl.col("day").diff().over("user").log(2).floor().cast(pl.Int64)
    visit = visit.sort("user", "day").with_columns(
        gap=gap, moved=(pl.col("shop") != pl.col("shop").shift(1).over("user")).cast(pl.Int8), **before
    )
    visit = visit.with_columns(
        month=pl.from_epoch("day", time_unit="d").dt.month(),
        month_day=pl.from_epoch("day", time_unit="d").dt.day(),
        gap_before=pl.col("gap").shift(1).over("user"),
        moved_before=pl.col("moved").shift(1).over("user"),
    )
    of_visits: dict[str, tuple[str, ...]] = {
        "month": ("month",),
        "day": ("month_day",),
        "gap": ("gap", "gap_before"),
        "size": ("size", "size before"),
        "weekday": ("weekday", "weekday before"),
        "moved": ("moved", "moved_before"),
        "gap and size": ("gap", "size"),
    }
    small = rows.select("user", "day", pair=pl.col("bucket") % 48)
    pairs = small.join(small, on=["user", "day"], suffix=" 2").filter(pl.col("pair") < pl.col("pair 2"))
    parts: list[tuple[pl.DataFrame, dict[str, tuple[str, ...]]]] = [
        (rows, of_rows),
        (visit, of_visits),
        (pairs, {"pair": ("pair", "pair 2")}),
    ]
    return pl.concat(
        [
            table.select("user", word=pl.concat_str(pl.lit(name), *columns, separator="|", ignore_nulls=False))
            for table, kinds in parts
            for name, columns in kinds.items()
        ]
    ).drop_nulls()
