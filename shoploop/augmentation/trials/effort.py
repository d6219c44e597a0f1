"""How much is spent on finding out whether augmentation pays; every report states it."""

from dataclasses import dataclass

from shoploop.augmentation.generator.adversary import Adversary
from shoploop.augmentation.generator.fitting import BehaviourGenerator
from shoploop.augmentation.generator.records import RECORD_BASKETS
from shoploop.augmentation.trials.splitting import SHOPPERS_IN_A_RUN


@dataclass(frozen=True, kw_only=True)
class Effort:
    shoppers: int | None
    """Users that the generator and its hold-out are drawn from; None takes all."""

    generator: BehaviourGenerator.Config
    labels: int
    """Real visits that a trial learns from, at most."""

    judged: int
    """Shoppers that a trial is judged on, at most."""

    epochs: int
    rows: int
    """Virtual rows that fidelity and privacy are measured on."""

    variants: tuple[str, ...]
    processes: int | None = None
    """Processes that train variants beside the step's own; 0: none. Unset, one for each further core. The numbers are the
    same."""

    seeds: int = 1

    def stated(self) -> dict[str, int | None]:
        """As it stands in reports."""
        return {
            "shoppers": self.shoppers,
            "generator_steps": self.generator.adversary.steps,
            "labels": self.labels,
            "judged": self.judged,
            "epochs": self.epochs,
        }


RUN = Effort(
    shoppers=SHOPPERS_IN_A_RUN,
    generator=BehaviourGenerator.Config(
        adversary=Adversary.Config(places=RECORD_BASKETS, steps=400),
        calibrations=14,
        calibration_records=256,
        proposals=3,
        selection_records=2048,
        selection_rounds=300,
    ),
    labels=1000,
    judged=600,
    epochs=2,
    rows=40_000,
    variants=("substitute", "gan"),
)
"""Within a run: a sample, so that the main job keeps its ten minutes, and of the rivals the one that the benchmark found
to pay."""

FULL = Effort(
    shoppers=None,
    generator=BehaviourGenerator.Config(),
    labels=6000,
    judged=10_000,
    epochs=3,
    rows=100_000,
    variants=(
        "longer",
        "crop",
        "mask",
        "reorder",
        "substitute",
        "reverse",
        "adversarial",
        "gan",
        "gan and substitute",
        "gan then real",
    ),
    seeds=3,
)
"""For ``shoploop bench augmentation``."""
