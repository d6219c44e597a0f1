"""Which settings are searched: those that the resource has and that change what is learned from the same samples."""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from shoploop.api.v1alpha1 import TrainingSpec

Settings = Mapping[str, float | int]
"""By their names in YAML, below ``spec.training``."""

SEARCHED = ("learningRate", "epochs", "adversarialRadius")

TIMES = 10.0
"""How many times smaller and larger than now the learning rate may become."""

MOST_RADIUS = 0.3
FEWEST_EPOCHS = 6
"""Up to so many are tried, or up to twice as many as now: a training takes time with them."""


def present(training: TrainingSpec) -> dict[str, float | int]:
    """What the spec says now."""
    whole = training.model_dump(mode="json", by_alias=True)
    return {name: whole[name] for name in SEARCHED}


def changed(training: TrainingSpec, settings: Settings) -> TrainingSpec:
    """The spec with these settings, held against its rules."""
    return TrainingSpec.model_validate(training.model_dump(mode="json", by_alias=True) | dict(settings))


def space(training: TrainingSpec) -> dict[str, BaseDistribution]:
    """Where is searched; what the spec says now lies within.

    Learning rates by their logarithm; the adversarial radius in steps, of which 0 is none and trains in half the time.
    """
    rate, most = training.learning_rate, max(FEWEST_EPOCHS, 2 * training.epochs)
    return {
        "learningRate": FloatDistribution(rate / TIMES, min(rate * TIMES, 1.0), log=True),
        "epochs": IntDistribution(1, min(most, 1000)),
        "adversarialRadius": FloatDistribution(0.0, max(MOST_RADIUS, training.adversarial_radius)),
    }


def tidy(settings: Mapping[str, Any]) -> dict[str, float | int]:
    """Settings as a person would write them: two digits that count."""
    found: dict[str, float | int] = {}
    for name in SEARCHED:
        value = settings[name]
        found[name] = int(value) if name == "epochs" else float(f"{value:.2g}")
    if found["adversarialRadius"] < 0.02:  # less moves nothing and would still take twice the time
        found["adversarialRadius"] = 0.0
    return found
