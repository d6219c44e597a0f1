"""Estimators of importance that learn for a moment, for tests of what is made of their word and not of how well they find."""

from typing import Any

from shoploop.importance.estimators import judges
from shoploop.importance.estimators.attention import AttentionConfig
from shoploop.importance.estimators.ensemble import Ensemble
from shoploop.importance.estimators.gan import GanConfig
from shoploop.importance.estimators.gan_attention import GanAttention
from shoploop.importance.estimators.judges import BOOSTED, LINEAR
from shoploop.importance.estimators.loss import LossRanking, boosted_loss
from shoploop.importance.estimators.proxy import ProxyConfig


def hurry(patch: Any, *, steps: int, attention_steps: int = 5) -> None:
    """Networks take so many steps, and a model does not choose how much it bends: that is four fits for one, and six.

    What is made of these from then on is hurried; what was made before is not.
    """
    patch.setitem(GanConfig.__init__.__kwdefaults__, "steps", steps)
    patch.setitem(GanConfig.__init__.__kwdefaults__, "decays", (0.1,))
    patch.setitem(AttentionConfig.__init__.__kwdefaults__, "steps", attention_steps)
    patch.setitem(ProxyConfig.__init__.__kwdefaults__, "epochs", 1)
    patch.setitem(vars(LINEAR), "settings", (0.1,))
    patch.setitem(vars(BOOSTED), "settings", ((4, 5),))
    # its own were made when it was imported
    patch.setitem(Ensemble.__init__.__kwdefaults__, "members", (LossRanking(), boosted_loss(), GanAttention()))


def few_folds(patch: Any) -> None:
    """Two halves, each judged by the fit of the other; before :func:`hurry`."""
    patch.setattr(judges, "FOLDS", 2)
    patch.setitem(GanConfig.__init__.__kwdefaults__, "folds", 2)
