"""Which days are learned from and which are evaluated on: what is evaluated lies after what was learned."""

from dataclasses import dataclass

from shoploop.api.v1alpha1 import TrainingSpec


@dataclass(frozen=True, kw_only=True)
class TimeSplit:
    """Days since 1970-01-01 (UTC)."""

    training_first: int
    evaluation_first: int
    last: int
    """Last day of the data."""

    @classmethod
    def of(cls, last_day: int, training: TrainingSpec) -> "TimeSplit":
        evaluation_first = last_day - training.evaluation_days + 1
        return cls(
            training_first=evaluation_first - training.training_days, evaluation_first=evaluation_first, last=last_day
        )

    @property
    def serving(self) -> int:
        """The first day that the data does not cover: a predictor's earliest request."""
        return self.last + 1

    @property
    def request_days(self) -> range:
        """Every day on which samples or the predictor ask for statistics."""
        return range(self.training_first, self.serving + 1)
