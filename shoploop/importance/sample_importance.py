"""The estimators with scikit-learn's face, for any table."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from shoploop.importance.estimators.interface import make_estimator
from shoploop.importance.estimators.table import Table
from shoploop.importance.estimators.weights import WeightConfig, to_weights
from shoploop.importance.quality import describe_quality


class SampleImportance(BaseEstimator):  # type: ignore[misc]
    """What each row of a table should count, for ``fit(X, y, sample_weight=importance.weights_)``.

    Args:
        method: One of gan_attention, loss, el2n, forgetting, tracin, knn_shapley, density_ratio, uniform.
        lowest: No weight lies below it; from 0 to below 1.
        highest: No weight lies above it; above 1.
        sharpness: Deviation of the log weights within a label before clipping.
        random_state: Seed, generator or None.

    Attributes:
        weights_: (n_samples,) float32, mean 1 within each label.
        importance_: (n_samples,) on the method's own scale.
        suspects_: (n_samples,) row numbers, the most doubtful label first.
        quality_: Missing values, outliers and duplicates; they have no part in the weights.
        diagnostics_: What the method says about its own work.
        parts_: What the method keeps for inspection, such as prototypes and attention; None for most.
        classes_: The labels.
    """

    def __init__(
        self,
        method: str = "gan_attention",
        *,
        lowest: float = 0.05,
        highest: float = 5.0,
        sharpness: float = 0.7,
        random_state: int | np.random.RandomState | None = 0,
    ):
        self.method = method
        self.lowest = lowest
        self.highest = highest
        self.sharpness = sharpness
        self.random_state = random_state

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Weighs the rows.

        Args:
            X: (n_samples, n_features) numbers; a missing value is an error.
            y: (n_samples,) labels of at least two classes.

        Raises:
            ValueError: NaN or infinite values, continuous labels, or one of the errors of ``importance.errors``.
        """
        x_NK, y_N = validate_data(self, X, y, dtype="numeric", ensure_min_samples=2)
        check_classification_targets(y_N)
        config = WeightConfig(lowest=self.lowest, highest=self.highest, sharpness=self.sharpness)
        estimator = make_estimator(self.method)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        table = Table.of(x_NK, y_N, names=self._names(), seed=seed)
        scores = estimator.score(table, seed=seed)
        self.classes_ = table.classes
        self.importance_ = scores.importance_N
        self.weights_ = to_weights(scores.importance_N, table.y_N, config)
        self.suspects_ = np.argsort(self.weights_, kind="stable")
        self.quality_ = describe_quality(x_NK, y_N, names=self._names())
        self.diagnostics_ = scores.diagnostics
        self.parts_ = scores.parts
        return self

    def _names(self) -> list[str] | None:
        names: Any = getattr(self, "feature_names_in_", None)
        return None if names is None else [str(name) for name in names]

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags
