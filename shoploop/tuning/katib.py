"""A search of settings in the words of Katib: its parameters, and the lines that a trial prints for it.

The space is the one that is searched here (:func:`shoploop.tuning.settings.space`). It must not know what a trial's pod is.
"""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from shoploop.tuning.study import STARTUP_TRIALS

METRIC = "ndcg_at_10"
"""NDCG@10 on the choosing visits. Katib's collector reads ``NAME=NUMBER``, and takes no @ in a name."""

ALGORITHM = "multivariate-tpe"
"""The one that Katib has from optuna, as this machine's search has its own; what it calls tpe is another library's."""


def parameters(space: Mapping[str, BaseDistribution]) -> list[dict[str, Any]]:
    """``spec.parameters`` of an Experiment: all numbers are text there."""
    return [{"name": name, **_parameter(of)} for name, of in space.items()]


def _parameter(of: BaseDistribution) -> dict[str, Any]:
    assert isinstance(of, FloatDistribution | IntDistribution)
    kind = "int" if isinstance(of, IntDistribution) else "double"
    distribution = "logUniform" if of.log else "uniform"
    return {
        "parameterType": kind,
        "feasibleSpace": {"min": str(of.low), "max": str(of.high), "distribution": distribution},
    }


def objective() -> dict[str, Any]:
    """``spec.objective``: what a trial's last line says counts, not the best that it said on its way."""
    return {
        "type": "maximize",
        "objectiveMetricName": METRIC,
        "metricStrategies": [{"name": METRIC, "value": "latest"}],
    }


def algorithm(seed: int) -> dict[str, Any]:
    """``spec.algorithm``."""
    settings = {"n_startup_trials": STARTUP_TRIALS, "random_state": seed}
    return {
        "algorithmName": ALGORITHM,
        "algorithmSettings": [{"name": name, "value": str(value)} for name, value in settings.items()],
    }


def early_stopping() -> dict[str, Any]:
    """``spec.earlyStopping``: the median rule, once as many trials have ended as this machine's search waits for."""
    settings = {"min_trials_required": STARTUP_TRIALS, "start_step": 2}
    return {
        "algorithmName": "medianstop",
        "algorithmSettings": [{"name": name, "value": str(value)} for name, value in settings.items()],
    }


def told(value: float) -> str:
    """The line that tells Katib how good a trial is, after an epoch and at its end."""
    return f"{METRIC}={value:.6f}"
