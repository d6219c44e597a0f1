"""What is left of a request's deadline, and how much of the model it allows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

LEAST_PATIENCE_SECONDS = 0.01


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

    def patience(self) -> float:
        """Seconds that what is known of the user may take to come: half of what is left, so that there is an answer without
        it; and a little past the deadline, where it is worth more than what is late already."""
        return max((self.until - self.clock()) / 2, LEAST_PATIENCE_SECONDS)

    def part(self) -> Literal["fused", "dnn"]:
        """How much of the model there is time for, once its features are there."""
        return "fused" if self.allows(self.costs.dnn + self.costs.transformer) else "dnn"
