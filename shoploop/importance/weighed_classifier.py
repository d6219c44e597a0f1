"""Any classifier of scikit-learn, learning with weights of its own making: a step of a pipeline, a thing to search over."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from shoploop.importance.sample_importance import SampleImportance


def _has(method: str) -> Any:
    return lambda self: hasattr(self.estimator, method)


class WeighedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Weighs the rows that it is fitted on, then fits a classifier with these weights.

    Within a search each split is weighed by its own rows, so that nothing of what is judged on is known.

    Args:
        estimator: A classifier whose ``fit`` takes ``sample_weight``, or a pipeline that ends in one.
        importance: What weighs; unset, ``SampleImportance()``.

    Attributes:
        estimator_: The fitted classifier.
        importance_: The fitted weights.
        classes_: The labels.
        n_features_in_: Columns of what it was fitted on.
        feature_names_in_: Their names, where they have names.
    """

    def __init__(self, estimator: Any, importance: SampleImportance | None = None):
        self.estimator = estimator
        self.importance = importance

    def fit(self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None, **params: Any) -> Self:
        """Weighs and fits.

        Args:
            X: As both take it: a frame as it is where the classifier is a pipeline that can read it.
            y: (n_samples,) labels.
            sample_weight: What rows count already; the weights are multiplied by it.
            params: For the classifier's ``fit``, routed where scikit-learn's metadata routing is on.

        Raises:
            ValueError: the errors of :class:`SampleImportance`.
        """
        weigher = SampleImportance() if self.importance is None else self.importance
        self.importance_ = clone(weigher).fit(X, y)
        counted_N = self.importance_.weights_.astype(np.float64)
        if sample_weight is not None:
            counted_N = counted_N * _check_sample_weight(sample_weight, X)
        if get_config()["enable_metadata_routing"]:
            params = dict(process_routing(self, "fit", **params).estimator.fit) if params else {}
        self.estimator_ = clone(self.estimator).fit(X, y, **params, **{self._weight_name(): counted_N})
        self.classes_ = self.estimator_.classes_
        return self

    def set_params(self, **params: Any) -> Self:
        """Of scikit-learn; a setting of the weights may be given where ``importance`` is unset, as in a search."""
        unset = params.get("importance", self.importance) is None
        if unset and any(name.startswith("importance__") for name in params):
            params["importance"] = SampleImportance()
        super().set_params(**params)
        return self

    @property
    def n_features_in_(self) -> int:
        return int(self.importance_.n_features_in_)

    @property
    def feature_names_in_(self) -> npt.NDArray[np.object_]:
        names: npt.NDArray[np.object_] = self.importance_.feature_names_in_
        return names

    def _weight_name(self) -> str:
        """A pipeline hands weights to its last step by that step's name, unless it routes them itself."""
        if isinstance(self.estimator, Pipeline) and not get_config()["enable_metadata_routing"]:
            return f"{self.estimator.steps[-1][0]}__sample_weight"
        return "sample_weight"

    def predict(self, X: Any) -> npt.NDArray[Any]:
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> npt.NDArray[Any]:
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: Any) -> npt.NDArray[Any]:
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def get_metadata_routing(self) -> MetadataRouter:
        """Of scikit-learn: ``fit`` asks for ``sample_weight`` itself and hands the rest to the classifier."""
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add_self_request(self).add(estimator=self.estimator, method_mapping=mapping)
