"""What is left of a request's deadline, and how much of the model it allows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds that the parts of an answer took at warm-up: what has to be left of the deadline to begin one."""

    features: float = 0.0
    """Candidates and pair features."""

    dnn: float = 0.0
    transformer: float = 0.0
    short: float = 0.0
    """The whole of an answer without a model, with the rules of the spec."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Of one request."""

    clock: Callable[[], float]
    until: float
    """When the answer has to be there, on that clock."""

    costs: Costs

    def allows(self, seconds: float) -> bool:
        """Whether what takes so long would be done in time."""
        return self.clock() + seconds <= self.until

    def allows_a_model(self) -> bool:
        """Whether there is time for features and the quicker half of the model."""
        return self.allows(self.costs.features + self.costs.dnn)

    def part(self) -> Literal["fused", "dnn"]:
        """How much of the model there is time for, once its features are there."""
        return "fused" if self.allows(self.costs.dnn + self.costs.transformer) else "dnn"
