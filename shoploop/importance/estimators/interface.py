"""The table of estimators by name."""

from collections.abc import Callable

from shoploop.importance.estimators.errors import MethodUnknown
from shoploop.importance.estimators.estimator import Importance


def _ensemble() -> Importance:
    from shoploop.importance.estimators.ensemble import Ensemble

    return Ensemble()


def _gan_attention() -> Importance:
    from shoploop.importance.estimators.gan_attention import GanAttention

    return GanAttention()


def _loss() -> Importance:
    from shoploop.importance.estimators.loss import LossRanking

    return LossRanking()


def _loss_boosted() -> Importance:
    from shoploop.importance.estimators.loss import boosted_loss

    return boosted_loss()


def _el2n() -> Importance:
    from shoploop.importance.estimators.el2n import El2n

    return El2n()


def _forgetting() -> Importance:
    from shoploop.importance.estimators.forgetting import Forgetting

    return Forgetting()


def _tracin() -> Importance:
    from shoploop.importance.estimators.tracin import TracIn

    return TracIn()


def _knn_shapley() -> Importance:
    from shoploop.importance.estimators.knn_shapley import KnnShapley

    return KnnShapley()


def _density_ratio() -> Importance:
    from shoploop.importance.estimators.density_ratio import DensityRatio

    return DensityRatio()


def _uniform() -> Importance:
    from shoploop.importance.estimators.uniform import Uniform

    return Uniform()


ESTIMATORS: dict[str, Callable[[], Importance]] = {
    "ensemble": _ensemble,
    "gan_attention": _gan_attention,
    "loss": _loss,
    "loss_boosted": _loss_boosted,
    "el2n": _el2n,
    "forgetting": _forgetting,
    "tracin": _tracin,
    "knn_shapley": _knn_shapley,
    "density_ratio": _density_ratio,
    "uniform": _uniform,
}
"""Name to a maker with the defaults; the first is the default."""


def make_estimator(name: str) -> Importance:
    """The estimator of this name with its defaults.

    Raises:
        MethodUnknown: there is none.
    """
    if name not in ESTIMATORS:
        raise MethodUnknown(f"There is no importance estimator {name!r}. Choose one of {', '.join(ESTIMATORS)}.")
    return ESTIMATORS[name]()
