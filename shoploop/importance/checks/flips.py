"""The first half of the self-check: labels of a sample are flipped on purpose, and the weights must know which.

Detection compares the estimator with loss ranking, KNN-Shapley and chance; removal shows whether a model that learns without
the lowest rows is the better for it; agreement is that of ranks between seeds and between estimators.

Legend: R rows (a request and a candidate), S rows of the judged requests, Q judged requests, K features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr

from shoploop.evaluation.intervals import Bootstrap, mean
from shoploop.evaluation.scoring import request_auc
from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.importance.checks.detection import (
    Flags,
    flip_labels,
    lowest_f1,
    mean_interval,
    within_label_auc,
    within_label_curve,
)
from shoploop.importance.estimators.interface import make_estimator
from shoploop.importance.estimators.table import Float32, Float64, Int64
from shoploop.importance.shop import Columns, shop_columns, shop_table
from shoploop.importance.shop_proxy import look, train_shop_proxy
from shoploop.samples.sample_set import SampleSet

SHARE = 0.2
"""Of the labels that are flipped."""

REMOVED = (0.1, 0.2, 0.3)
RIVALS = ("loss", "knn_shapley")
PARTS = 10
"""Of the sample's requests; an interval is that of the mean over parts."""

RANDOM_DRAWS = 5
RIDGE = 5.0


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What the checks need besides samples."""

    catalog: Catalog
    contract: Contract
    columns: tuple[Columns, ...]


def check_flips(sample: SampleSet, judged: SampleSet, shop: Shop, method: str, *, seed: int) -> dict[str, Any]:
    """Flips a fifth of the sample's labels and asks who notices.

    Args:
        sample: Requests to learn from.
        judged: Later requests, labels as they are.
        shop: Catalog, contract and columns.
        method: The estimator in question.
        seed: Of flips, proxy and estimators.

    Returns:
        ``preferred`` (the method that finds the most, where that is shown), ``detection`` (method -> auc, interval, f1,
        curve), ``removal`` (lowest, highest, random -> share -> auc, and against random the difference with its paired
        interval)
        and ``agreement`` (pair -> Spearman's rank correlation).
    """
    rng = np.random.default_rng(seed)
    observed_R, flipped_R = flip_labels(sample.labels_R.astype(np.int64), SHARE, rng=rng)
    noisy = replace(sample, labels_R=observed_R.astype(bool))
    proxy = train_shop_proxy(noisy, shop.catalog, shop.contract, seed=seed)
    view = look(proxy, noisy)
    table = shop_table(noisy, view, shop.contract, columns=shop.columns, seed=seed)
    found: dict[str, Float64] = {
        name: make_estimator(name).score(table, seed=seed).importance_N for name in dict.fromkeys((method, *RIVALS))
    }
    again_R = make_estimator(method).score(table, seed=seed + 1).importance_N
    chance_R = rng.random(len(observed_R))
    part_R = np.repeat(rng.permutation(len(sample)) % PARTS, np.diff(sample.offsets_Q1))
    x_SK, _ = shop_columns(judged, look(proxy, judged), shop.contract, shop.columns, only=table.names)
    by_part = {name: _by_part(importance_R, observed_R, flipped_R, part_R) for name, importance_R in found.items()}
    return {
        "share": SHARE,
        "preferred": prefer(method, by_part),
        "detection": {
            name: _detection(importance_R, observed_R, flipped_R, part_R)
            for name, importance_R in (found | {"random": chance_R}).items()
        },
        "removal": removal(table.x_NK, table.y_N, found[method], table.scale.forward(x_SK), judged, seed=seed),
        "agreement": {
            "between seeds": _agreement(found[method], again_R, observed_R),
            **{f"with {name}": _agreement(found[method], found[name], observed_R) for name in RIVALS if name != method},
        },
    }


def prefer(method: str, by_part: Mapping[str, Sequence[float]]) -> str:
    """The method that finds the most of what was flipped, of those that are shown to find more than the one asked for.

    Args:
        method: The one asked for.
        by_part: AUC of each method on the same parts of the sample.
    """
    better = {}
    for name, found in by_part.items():
        gain = np.asarray(found) - np.asarray(by_part[method])
        if mean_interval(gain)[0] > 0:
            better[name] = float(np.nanmean(gain))
    return max(better, key=lambda name: better[name]) if better else method


def _by_part(importance_R: Float64, observed_R: Int64, flipped_R: Flags, part_R: Int64) -> list[float]:
    return [
        within_label_auc(importance_R[part_R == part], observed_R[part_R == part], flipped_R[part_R == part])
        for part in np.unique(part_R)
    ]


def _detection(importance_R: Float64, observed_R: Int64, flipped_R: Flags, part_R: Int64) -> dict[str, Any]:
    parts = _by_part(importance_R, observed_R, flipped_R, part_R)
    return {
        "auc": within_label_auc(importance_R, observed_R, flipped_R),
        "interval": list(mean_interval(parts)),
        "f1": lowest_f1(importance_R, observed_R, flipped_R),
        "curve": within_label_curve(importance_R, observed_R, flipped_R),
    }


def _agreement(one_R: Float64, other_R: Float64, observed_R: Int64) -> float:
    """Spearman's rank correlation within each observed label, mean over labels."""
    return float(
        np.mean([spearmanr(one_R[observed_R == y], other_R[observed_R == y]).statistic for y in np.unique(observed_R)])
    )


def removal(
    x_RK: Float32, y_R: Int64, importance_R: Float64, x_SK: Float32, judged: SampleSet, *, seed: int
) -> dict[str, Any]:
    """What a linear model is worth that learns without the lowest, the highest, or random rows of each label.

    Args:
        x_RK: Features of the noisy sample.
        y_R: Its observed labels.
        importance_R: The importance that was estimated for its rows.
        x_SK: Features of the judged rows, on the same scale.
        judged: The judged requests, labels as they are.
        seed: Of the random draws and the bootstrap.

    Returns:
        ``lowest``, ``highest``: share -> ``auc`` (mean over requests), ``difference`` to random removal and ``interval``,
        users drawn whole;
        ``random``: share -> ``auc``; ``none``: ``auc`` with all rows.
    """
    rng = np.random.default_rng(seed)
    rank_R = np.empty(len(y_R))
    for label in np.unique(y_R):
        rows = y_R == label
        rank_R[rows] = rankdata(importance_R[rows], method="ordinal") / rows.sum()

    def judge(kept_R: Flags) -> Float64:
        return request_auc(judged, _linear_scores(x_RK[kept_R], y_R[kept_R], x_SK))

    bootstrap = Bootstrap(len(judged), draws=300, seed=seed, of_user=judged.users_Q)
    out: dict[str, Any] = {"none": {"auc": mean(judge(np.ones(len(y_R), bool)))}, "lowest": {}, "highest": {}}
    out["random"] = {}
    for share in REMOVED:
        at_random_Q = np.mean([judge(rng.random(len(y_R)) >= share) for _ in range(RANDOM_DRAWS)], axis=0)
        out["random"][str(share)] = {"auc": mean(at_random_Q)}
        for name, kept_R in (("lowest", rank_R > share), ("highest", rank_R <= 1 - share)):
            auc_Q = judge(kept_R)
            interval = bootstrap.interval(auc_Q - at_random_Q)
            out[name][str(share)] = {
                "auc": mean(auc_Q),
                "difference": mean(auc_Q - at_random_Q),
                "interval": list(interval) if interval else None,
            }
    return out


def _linear_scores(x_RK: Float32, y_R: Int64, x_SK: Float32) -> Float64:
    """Of a least-squares fit, labels counting alike: a ranking needs no more, and it takes a moment."""
    from sklearn.linear_model import RidgeClassifier

    model = RidgeClassifier(alpha=RIDGE, class_weight="balanced", solver="cholesky").fit(x_RK.astype(np.float64), y_R)
    return np.asarray(x_SK @ model.coef_.ravel())
