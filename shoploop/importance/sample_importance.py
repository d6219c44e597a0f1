"""The estimators with scikit-learn's face, for any table."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from shoploop.importance.belief import Belief, believe, trust
from shoploop.importance.cells import columns_of, is_frame, missing
from shoploop.importance.columns import Columns
from shoploop.importance.estimators.errors import ColumnsDiffer, LabelsMissing, LabelUnknown, NewRowsUnknown
from shoploop.importance.estimators.interface import make_estimator
from shoploop.importance.estimators.judges import LINEAR, TUNED_ON, Chances, judge
from shoploop.importance.estimators.table import Float32, Float64, Int64, Table
from shoploop.importance.estimators.weights import Scores, WeightConfig, unbounded, weights_by_belief
from shoploop.importance.quality import describe_quality

SHARPNESS = 1.5
"""Power of the share by which a label is believed, where none is given."""

TINY = 1e-9
"""Importance below which none says more of how its label compares with another."""


class SampleImportance(BaseEstimator):  # type: ignore[misc]
    """What each row of a table should count, for ``fit(X, y, sample_weight=importance.weights_)``.

    Weights spread as far as labels are in doubt: where they can be trusted all rows count 1.

    Args:
        method: One of ensemble, gan_attention, loss, loss_boosted, el2n, forgetting, tracin, knn_shapley, density_ratio,
            uniform.
        lowest: No weight lies below it; from 0 to below 1.
        highest: No weight lies above it; above 1.
        sharpness: Power of the share by which a label is believed; 1 undoes the noise, more spares doubtful rows further.
        random_state: Seed, generator or None.

    Attributes:
        weights_: (n_samples,) float32, mean 1 within each label.
        importance_: (n_samples,) on the method's own scale.
        suspects_: (n_samples,) row numbers, the most doubtful first, each compared with those of its own label.
        noise_: How often a row likely carries a given label that is not its own, 0 where labels do not speak for
            it; mean over labels.
        noise_by_label_: (n_classes,) the same of each label, in the order of ``classes_``. They differ only between two
            labels of which one is plainly wrong more often: what may as well be classes that overlap is not called noise,
            and with more than two labels noise against one alone is not seen.
        quality_: Missing values, outliers and duplicates of the table as it came; they have no part in the weights.
        diagnostics_: What the method says about its own work.
        parts_: What the method keeps for inspection, such as prototypes and attention; None for most.
        classes_: The labels.
    """

    def __init__(
        self,
        method: str = "ensemble",
        *,
        lowest: float = 0.05,
        highest: float = 5.0,
        sharpness: float = SHARPNESS,
        random_state: int | np.random.RandomState | None = 0,
    ):
        self.method = method
        self.lowest = lowest
        self.highest = highest
        self.sharpness = sharpness
        self.random_state = random_state

    def fit(self, X: Any, y: npt.ArrayLike) -> Self:
        """Weighs the rows.

        Args:
            X: A frame of pandas or polars as it is, with categories, text, dates and missing values, or an array
                (n_samples, n_features), in which a missing value is NaN.
            y: (n_samples,) labels of at least two classes.

        Raises:
            MethodUnknown: there is no such method.
            ColumnsUnclear: the frame has no column, or two of one name.
            LabelsMissing: a row carries no label.
            ValueError: infinite values, continuous labels, or another error of ``importance.estimators.errors``.
        """
        config = WeightConfig(lowest=self.lowest, highest=self.highest, sharpness=self.sharpness)
        estimator = make_estimator(self.method)
        X, y_N = self._read(X, y)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._columns = Columns.fit(X, seed=seed)
        numbers_NK = self._columns.numbers(X)
        table = Table.of(numbers_NK, y_N, names=self._columns.names, seed=seed)
        scores = estimator.score(table, seed=seed)
        self.classes_ = table.classes
        self.importance_ = scores.importance_N
        self.weights_, belief, chances = believed(scores, table, config, seed=seed)
        self.noise_by_label_ = belief.rate_C
        self.noise_ = float(self.noise_by_label_.mean())
        # a label of one row has no importance at all: no fit that has not seen the row knows the label
        order_N = unbounded(np.maximum(scores.importance_N, TINY), table.y_N)
        self.suspects_ = np.lexsort((scores.importance_N, order_N))
        self.quality_ = describe_quality(X, y_N)
        self.diagnostics_ = scores.diagnostics
        self.parts_ = scores.parts
        self._scale, self._chances, self._codes_N = table.scale, chances, table.y_N
        self._belief, self._share_N = belief, belief.share(chances.in_order(table.y_N), table.y_N)
        return self

    def weigh(self, X: Any, y: npt.ArrayLike) -> Float32:
        """What new rows should count, (n_samples,): as much as the fitted rows of their label that are as credible.

        Args:
            X: Rows with the same columns; of a frame others may stand beside them, in any order. No row is fine, too.
            y: Their labels.

        Raises:
            LabelsMissing: a row carries no label.
            NewRowsUnknown: the method judges only what it has learned from; ensemble, gan_attention, loss, loss_boosted,
                density_ratio and uniform judge others too.
            LabelUnknown: a label that the fitted rows do not carry.
            ColumnsDiffer: a column is missing, or there are words where numbers were.
        """
        check_is_fitted(self)
        X, y_M = self._read(X, y, reset=False)
        if unknown := sorted({str(label) for label in set(y_M.tolist()) - set(self.classes_.tolist())}):
            raise LabelUnknown(
                f"The weights were learned with the labels {', '.join(map(str, self.classes_))}; the rows carry "
                f"{', '.join(unknown)} too. Leave these rows out, or fit again with them."
            )
        if not len(y_M) or (self.weights_ == 1).all():
            return np.ones(len(y_M), np.float32)
        if self._chances.predict is None:
            raise NewRowsUnknown(
                f"The method {self.method!r} judges only rows that it has learned from. Fit again with the new ones, or use "
                "ensemble, gan_attention, loss, loss_boosted or density_ratio."
            )
        code_M = np.searchsorted(self.classes_, y_M)
        chance_MC = self._chances.predict(self._scale.forward(self._columns.numbers(X)))
        share_M = self._belief.share(chance_MC, code_M)
        weights_M = np.empty(len(y_M), np.float32)
        for label in np.unique(code_M):
            fitted_N, rows_M = self._codes_N == label, code_M == label
            known, first = np.unique(self._share_N[fitted_N], return_index=True)
            weights_M[rows_M] = np.interp(share_M[rows_M], known, self.weights_[fitted_N][first])
        return weights_M

    def _read(self, X: Any, y: npt.ArrayLike, *, reset: bool = True) -> tuple[Any, npt.NDArray[Any]]:
        if y is not None:
            _refuse_missing(y)
        if is_frame(X):
            if reset:
                columns_of(X)  # what scikit-learn says of columns without a clear name helps nobody
                validate_data(self, X, skip_check_array=True)
            else:
                self._columns.of(X)
            labels = column_or_1d(y, warn=True)
            check_consistent_length(X, labels)
        else:
            if isinstance(X, list | tuple):  # numpy would make strings of them all, as wide as the longest
                X = np.asarray(X, object)
            if not reset and isinstance(X, np.ndarray) and X.ndim == 2:
                self._refuse_other_width(X)
            X, labels = validate_data(
                self, X, y, reset=reset, dtype=None, ensure_all_finite=False, ensure_min_samples=2 if reset else 0
            )
        if reset:
            check_classification_targets(labels)
        return X, np.asarray(labels)

    def _refuse_other_width(self, X: Any) -> None:
        self._columns.of(X)
        if X.shape[1] > self.n_features_in_:
            raise ColumnsDiffer(
                f"The rows have {X.shape[1]} columns, and the weights were learned with {self.n_features_in_}. Bring the "
                "same ones."
            )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _refuse_missing(y: npt.ArrayLike) -> None:
    labels = np.asarray(y, object)
    if labels.ndim and (empty := sum(missing(label) for label in labels.ravel())):
        raise LabelsMissing(f"{empty} of the {len(labels)} rows carry no label. Leave them out.")


def believed(scores: Scores, table: Table, config: WeightConfig, *, seed: int) -> tuple[Float32, Belief, Chances]:
    """What samples count by what an estimator says of them, what is thought of the labels, and the chances behind it."""
    classes = len(table.classes)
    if (scores.importance_N == scores.importance_N[0]).all():
        alike_NC = np.full((len(table), classes), 1 / classes)
        unseen = Chances(chance_NC=alike_NC, own_N=alike_NC[:, 0], predict=None)
        return np.ones(len(table), np.float32), trust(classes), unseen

    def plainly() -> tuple[Float64, Int64]:
        some = table.some(TUNED_ON, seed=seed)
        return judge(LINEAR, some, seed=seed).chance_NC, some.y_N

    chances = Chances.of(scores, table, seed=seed)
    belief = believe(chances.chance_NC, table.y_N, plainly)
    share_N = belief.share(chances.in_order(table.y_N), table.y_N)
    return weights_by_belief(share_N, table.y_N, config), belief, chances
