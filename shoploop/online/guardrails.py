"""What must hold before a commit goes out; what does not freezes publishing until somebody resumes it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from shoploop.online.learner import Losses

Code = Literal["not_finite", "progressive_loss"]


@dataclass(frozen=True, kw_only=True)
class GuardConfig:
    block: int = 200
    """Examples that are judged together."""

    max_loss_excess: float = 0.1
    """Nats by which what is learned may be more surprised than what was trained, on average over a block."""

    errors: float = 3.0
    """Standard errors of the mean that the excess must be above zero, too."""

    finite: bool = True
    """NaN and infinity are learned from by nobody, and published by nobody. Off: to measure what that is good for."""


@dataclass(frozen=True)
class Trip:
    """Why nothing more goes out."""

    code: Code
    message: str


@dataclass
class Block:
    """Sums over the examples of the block that is not whole yet; a commit holds them."""

    examples: int = 0
    excess: float = 0.0
    squares: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Guard:
    """Holds the online model against the frozen one, on each example before it is learned."""

    def __init__(self, config: GuardConfig = GuardConfig(), block: Block | None = None):
        self.config = config
        self.block = block or Block()

    def take(self, losses: Losses) -> Trip | None:
        """Counts one example; where a block is whole, judges it and begins another."""
        excess = losses.online - losses.frozen
        self.block.examples += 1
        self.block.excess += excess
        self.block.squares += excess * excess
        count = self.block.examples
        if count < self.config.block:
            return None
        mean = self.block.excess / count
        error = (max(self.block.squares / count - mean * mean, 0.0) / count) ** 0.5
        self.block = Block()
        if mean <= self.config.max_loss_excess or mean <= self.config.errors * error:
            return None
        return Trip(
            "progressive_loss",
            f"On the last {count} examples what was learned is more surprised than what was trained, by {mean:.3f} nats "
            f"(standard error {error:.3f}; {self.config.max_loss_excess} are allowed).",
        )
