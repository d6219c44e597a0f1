"""The classifier two-sample test: can a booster tell virtual records from real ones (Lopez-Paz & Oquab 2017)?

The classifier sees what a data scientist would tabulate of a record, and none of the generator's own embeddings.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.description import columns_of, describe
from shoploop.augmentation.generator.records import Behaviour, Vocabulary
from shoploop.evaluation import curves

_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class TwoSample:
    auc: float
    """.5: nobody can tell them apart; 1: every record is recognised."""

    records: int
    """Of each side."""

    telling: tuple[tuple[str, float], ...]
    """The features that gave most away, with their share of the gain."""

    curve: dict[str, Any]
    """``roc`` of telling virtual records from real ones, and their ``confusion``: see :mod:`shoploop.evaluation.curves`."""


def compare(
    made: Behaviour, real: Behaviour, vocabulary: Vocabulary, popularity: npt.NDArray[Any], *, seed: int
) -> TwoSample:
    """Cross-validated AUC of a gradient booster on equally many virtual and real records.

    Folds keep the records of one shopper together.

    Args:
        popularity: (V,) share of rows of each item in the generator's own data.
    """
    import lightgbm
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(seed)
    count = min(made.records, real.records)
    sides = [side.take(np.sort(random.choice(side.records, count, replace=False))) for side in (made, real)]
    names, columns = columns_of(vocabulary)
    table = np.concatenate([describe(side, vocabulary, popularity, columns) for side in sides])
    label = np.repeat([1, 0], count)
    fold = np.concatenate([_folds(side.user, random) for side in sides])
    score = np.zeros(len(label))
    gain = np.zeros(table.shape[1])
    settings = {
        "objective": "binary",
        "learning_rate": 0.05,
        "num_leaves": 15,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "verbose": -1,
        "seed": seed,
        "deterministic": True,
        "num_threads": 1,
    }
    for held in range(_FOLDS):
        learn = fold != held
        booster = lightgbm.train(settings, lightgbm.Dataset(table[learn], label[learn]), num_boost_round=120)
        score[~learn] = np.asarray(booster.predict(table[~learn]))
        gain += booster.feature_importance("gain")
    top = np.argsort(-gain)[:8]
    share = gain / max(gain.sum(), 1e-12)
    return TwoSample(
        auc=float(roc_auc_score(label, score)),
        records=count,
        telling=tuple((names[i], round(float(share[i]), 4)) for i in top),
        curve={"roc": curves.roc(score, label == 1), "confusion": curves.confusion(score, label == 1)},
    )


def _folds(user: npt.NDArray[np.int64], random: np.random.Generator) -> npt.NDArray[np.int64]:
    users, index = np.unique(user, return_inverse=True)
    return random.permutation(len(users))[index] % _FOLDS
