"""Plain models as judges of labels: what each gives for the chance of a label, by a fit that has not seen the sample.

How much a model may bend (penalty, leaves, trees) is chosen by its own out-of-fold log loss on the labels as they are: wrong
ones make a simpler model the better one, so the choice follows the table.

Legend: N samples, M other rows, K features, C classes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from shoploop.importance.estimators.stacked import Folds
from shoploop.importance.estimators.table import Float32, Float64, Int64, Table
from shoploop.importance.estimators.weights import Scores

FOLDS = 5
TUNED_ON = 5_000
"""Samples that settings are chosen on, at most."""

SEEN = 20_000
"""Samples that one fit learns from, at most: these models are done learning by then."""

LEAST = 1e-4
"""No chance counts as less: one sure mistake must not decide what a judge is worth."""

TEMPERATURES = 2.0 ** np.arange(-3, 6.5, 0.5)

Predict = Callable[[Float32], Float64]
"""(M, K) normal scores to the chance of each label, (M, C)."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of model."""

    name: str
    settings: tuple[Any, ...]
    """To choose from."""

    fit: Callable[[Float32, Int64, int, Sequence[Any], int], Mapping[Any, Predict]]
    """Features, labels, number of labels, settings and seed to a model for each setting."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """What a judge says."""

    chance_NC: Float64
    """Of each label, by a fit that has not seen the sample."""

    predict: Predict
    """For rows that none has seen: the mean of the fits."""

    loss: float
    """Out-of-fold log loss."""

    setting: Any
    """That was chosen."""


def judge(kind: Kind, table: Table, *, seed: int) -> Judgement:
    """Asks one kind of model for every sample."""
    some = table.some(TUNED_ON, seed=seed)
    tried = _out_of_fold(kind, some, kind.settings, seed)
    losses = {setting: log_loss(chance_NC, some.y_N) for setting, (chance_NC, _) in tried.items()}
    best = min(kind.settings, key=lambda setting: losses[setting])
    if len(some) < len(table):
        tried = _out_of_fold(kind, table, [best], seed)
    chance_NC, predict = tried[best]
    return Judgement(chance_NC=chance_NC, predict=predict, loss=log_loss(chance_NC, table.y_N), setting=best)


def _out_of_fold(kind: Kind, table: Table, settings: Sequence[Any], seed: int) -> dict[Any, tuple[Float64, Predict]]:
    folds = Folds.draw(table.y_N, folds=min(FOLDS, len(table)), repeats=1, seed=seed)
    classes = len(table.classes)
    chances = {setting: np.zeros((len(table), classes)) for setting in settings}
    fits: dict[Any, list[Predict]] = {setting: [] for setting in settings}
    rng = np.random.default_rng(seed)
    for fold in range(folds.nets):
        seen, held = folds.seen(fold), folds.held_out(fold)
        seen = seen if len(seen) <= SEEN else np.sort(rng.choice(seen, SEEN, replace=False))
        for setting, predict in _fitted(kind, table.x_NK[seen], table.y_N[seen], classes, settings, seed).items():
            chances[setting][held] = predict(table.x_NK[held])
            fits[setting].append(predict)
    return {setting: (chances[setting], _Mean(fits=fits[setting])) for setting in settings}


def _fitted(
    kind: Kind, x_NK: Float32, y_N: Int64, classes: int, settings: Sequence[Any], seed: int
) -> Mapping[Any, Predict]:
    known = np.unique(y_N)
    if len(known) == 1:
        return {setting: _Only(label=int(known[0]), classes=classes) for setting in settings}
    fits = kind.fit(x_NK, np.searchsorted(known, y_N), len(known), settings, seed)
    return {setting: _Spread(predict=predict, known=known, classes=classes) for setting, predict in fits.items()}


# Predictions are objects and not functions within functions, so that what is fitted can be sent to another process.


@dataclass(frozen=True, kw_only=True)
class _Only:
    """Of a fit that has seen one label."""

    label: int
    classes: int

    def __call__(self, x_MK: Float32) -> Float64:
        return np.tile(np.eye(self.classes)[self.label], (len(x_MK), 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Spread:
    """Labels that a fit has not seen have no chance."""

    predict: Predict
    known: Int64
    classes: int

    def __call__(self, x_MK: Float32) -> Float64:
        chance_MC = np.zeros((len(x_MK), self.classes))
        chance_MC[:, self.known] = self.predict(x_MK)
        return chance_MC


@dataclass(frozen=True, kw_only=True, eq=False)
class _Mean:
    fits: Sequence[Predict]

    def __call__(self, x_MK: Float32) -> Float64:
        mean_MC: Float64 = np.mean([predict(x_MK) for predict in self.fits], axis=0)
        return mean_MC


def log_loss(chance_NC: Float64, y_N: Int64) -> float:
    """Of the labels as they are, in nats a sample."""
    return float(-np.log(np.maximum(chance_NC[np.arange(len(y_N)), y_N], LEAST)).mean())


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How scores of labels become chances: sharpened (Guo et al. 2017, section 4.2), and times how common a label is."""

    temperature: float
    prior_C: Float64
    """All alike where the scores know already which labels are common."""

    @classmethod
    def fit(cls, score_NC: Float64, y_N: Int64, *, blind: bool) -> "Calibration":
        """The temperature with the least log loss.

        Args:
            score_NC: At least 0; what each label's is of the sum says how likely it is.
            y_N: Labels.
            blind: Whether they were learned as if labels were equally common.
        """
        classes = score_NC.shape[1]
        counts_C = np.bincount(y_N, minlength=classes) if blind else np.ones(classes)
        made = [cls(temperature=float(t), prior_C=counts_C / counts_C.sum()) for t in TEMPERATURES]
        return min(made, key=lambda one: log_loss(one.chance(score_NC), y_N))

    def chance(self, score_NC: Float64) -> Float64:
        """(N, C), summing to 1 over the labels."""
        share_NC = score_NC / np.maximum(score_NC.sum(1, keepdims=True), 1e-12)
        logs_NC = self.temperature * np.log(np.maximum(share_NC, LEAST)) + np.log(np.maximum(self.prior_C, LEAST))
        chance_NC: Float64 = softmax(logs_NC, axis=1)
        return chance_NC


def _linear(x_NK: Float32, y_N: Int64, classes: int, settings: Sequence[Any], seed: int) -> Mapping[Any, Predict]:
    from sklearn.linear_model import LogisticRegression

    x64_NK = x_NK.astype(np.float64)  # in 32 bits its search for a step ends abnormally on some processors
    return {
        strength: LogisticRegression(C=strength, max_iter=300).fit(x64_NK, y_N).predict_proba for strength in settings
    }


LINEAR = Kind(name="linear", settings=(1e-3, 1e-2, 1e-1, 1.0), fit=_linear)
"""Logistic regression; settings are inverse strengths of the L2 penalty."""


def _boosted(x_NK: Float32, y_N: Int64, classes: int, settings: Sequence[Any], seed: int) -> Mapping[Any, Predict]:
    import lightgbm

    found: dict[Any, Predict] = {}
    for leaves in sorted({leaves for leaves, _ in settings}):
        trees = [count for own, count in settings if own == leaves]
        parameters = {
            "objective": "binary" if classes == 2 else "multiclass",
            "num_leaves": leaves,
            "learning_rate": 0.05,
            "min_child_samples": 20,
            "lambda_l2": 5.0,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "seed": seed % (2**31),
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbose": -1,
        } | ({} if classes == 2 else {"num_class": classes})
        booster = lightgbm.train(parameters, lightgbm.Dataset(x_NK, y_N), num_boost_round=max(trees))
        for count in trees:
            found[(leaves, count)] = _OfBooster(booster=booster, trees=count, classes=classes)
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _OfBooster:
    booster: Any
    trees: int
    classes: int

    def __call__(self, x_MK: Float32) -> Float64:
        found = np.asarray(self.booster.predict(x_MK, num_iteration=self.trees, num_threads=1))
        return np.column_stack([1 - found, found]) if self.classes == 2 else found


BOOSTED = Kind(
    name="boosted", settings=tuple((leaves, trees) for leaves in (4, 8) for trees in (20, 60, 120)), fit=_boosted
)
"""Boosted trees (LightGBM); settings are leaves of a tree and trees."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibrated:
    """Scores of rows that were not there, as chances."""

    calibration: Calibration
    predict: Predict

    def __call__(self, x_MK: Float32) -> Float64:
        return self.calibration.chance(self.predict(x_MK))


@dataclass(frozen=True, kw_only=True, eq=False)
class Chances:
    """What an estimator says, as chances of labels: they tell how many labels are wrong, and how far each is believed."""

    chance_NC: Float64
    own_N: Float64
    """Of the label that each sample carries."""

    predict: Predict | None
    """Of rows that were not there; None where the estimator knows its own rows only."""

    @classmethod
    def of(cls, scores: Scores, table: Table, *, seed: int) -> "Chances":
        """Those of the estimator, calibrated.

        Of one that speaks of no chances the order of the samples within their label is kept; how far they lie apart is what a
        linear model says of these samples.
        """
        if scores.under_NC is not None:
            calibration = Calibration.fit(scores.under_NC, table.y_N, blind=scores.blind)
            chance_NC = calibration.chance(scores.under_NC)
            predict = scores.predict
            return cls(
                chance_NC=chance_NC,
                own_N=chance_NC[np.arange(len(table)), table.y_N],
                predict=None if predict is None else Calibrated(calibration=calibration, predict=predict),
            )
        chance_NC = judge(LINEAR, table, seed=seed).chance_NC
        own_N = chance_NC[np.arange(len(table)), table.y_N]
        for label in np.unique(table.y_N):
            rows = table.y_N == label
            own_N[rows] = _in_order_of(scores.importance_N[rows], np.sort(own_N[rows]))
        return cls(chance_NC=chance_NC, own_N=own_N, predict=None)

    def in_order(self, y_N: Int64) -> Float64:
        """The chances with those of the own labels in the order of the samples' importance, (N, C)."""
        rows = np.arange(len(y_N))
        others_NC = self.chance_NC.copy()
        others_NC[rows, y_N] = 0
        others_N = others_NC.sum(1)
        chance_NC = others_NC * ((1 - self.own_N) / np.where(others_N > 0, others_N, 1))[:, None]
        chance_NC[rows, y_N] = self.own_N
        return chance_NC


def _in_order_of(importance_N: Float64, ascending_N: Float64) -> Float64:
    """The values, given out in the order of the importance; equals share theirs."""
    _, group_N, counts = np.unique(importance_N, return_inverse=True, return_counts=True)
    sums = np.add.reduceat(ascending_N, np.concatenate([[0], np.cumsum(counts)[:-1]]))
    given_N: Float64 = (sums / counts)[group_N]
    return given_N
