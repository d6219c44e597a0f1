"""How little effort augmentation can spend and still do all that it does."""

from shoploop.augmentation.generator.adversary import Adversary
from shoploop.augmentation.generator.fitting import BehaviourGenerator
from shoploop.augmentation.generator.records import RECORD_BASKETS
from shoploop.augmentation.trials.effort import Effort

TINY = Effort(
    shoppers=None,
    generator=BehaviourGenerator.Config(
        dims=8,
        adversary=Adversary.Config(places=RECORD_BASKETS, hidden=16, steps=20, batch=32),
        calibrations=1,
        calibration_records=64,
        pair_records=64,
        proposals=2,
        selection_records=128,
        selection_rounds=10,
    ),
    labels=60,
    judged=60,
    epochs=1,
    rows=3000,
    variants=("crop", "gan"),
    processes=0,
)
