"""The variants of a run side by side: begun one after the other, trained beside each other, judged together."""

from concurrent.futures import Future
from typing import Any

from shoploop import progress
from shoploop.augmentation.trials.decision import Verdict, judge
from shoploop.augmentation.trials.effort import Effort
from shoploop.augmentation.trials.splitting import Metric, Trials
from shoploop.augmentation.trials.trainings import Trainings
from shoploop.augmentation.trials.variants import GENERATED, SAYS, UNAUGMENTED, Extra, course_of


class Contest:
    """What was begun, in this order; the unaugmented is among it."""

    def __init__(self, trainings: Trainings, trials: Trials, effort: Effort):
        self.trainings, self.trials, self.effort = trainings, trials, effort
        self.metrics: dict[str, Future[dict[str, Metric]]] = {}
        self.added: dict[str, int] = {}

    def begin(self, variant: str, extra: Extra) -> None:
        course = course_of(variant, self.trials, extra, epochs=self.effort.epochs)
        self.metrics[variant] = self.trainings.start(variant, course.train, **course.settings)
        self.added[variant] = course.added

    def judged(self, leaks: list[str], seed: int) -> tuple[list[Verdict], dict[str, Any]]:
        """Waits for all of them."""
        found = {}
        for done, (variant, metrics) in enumerate(self.metrics.items()):
            found[variant] = {name: [values] for name, values in metrics.result().items()}
            progress.report(done + 1, len(self.metrics), "variants")
        without = found.pop(UNAUGMENTED)
        # in the order in which they were asked for: of two equal ones the first is chosen
        wanted = [variant for variant in self.effort.variants if variant in found]
        verdicts, numbers = [], {}
        for variant in wanted:
            verdict = judge(
                variant,
                found[variant],
                without,
                leaks=leaks if variant in GENERATED else [],
                variants=len(wanted),
                seed=seed,
            )
            verdicts.append(verdict)
            numbers[variant] = verdict.to_json() | {"samples": self.added[variant], "what": SAYS[variant]}
        return verdicts, numbers
