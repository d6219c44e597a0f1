"""The discriminator's own score of each sample under its label, without prototypes.

At its optimum a discriminator's d / (1 - d) is the ratio of the densities it tells apart (Goodfellow et al. 2014,
proposition 1; Azadi et al. 2019, section 3); d itself is monotone in it and bounded.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from shoploop.importance.estimators.gan import GanConfig, scored, scored_new, train_gan
from shoploop.importance.estimators.table import Table
from shoploop.importance.estimators.weights import Scores


@dataclass(frozen=True, kw_only=True)
class DensityRatio:
    config: GanConfig = field(default_factory=GanConfig)
    name = "density_ratio"
    paper = "Goodfellow et al. 2014, proposition 1; Azadi et al. 2019, section 3"

    def score(self, table: Table, *, seed: int) -> Scores:
        """d of each sample, by networks that did not see it."""
        gan = train_gan(table, self.config, seed=seed)
        score_NC = scored(table, gan)
        return Scores(
            importance_N=score_NC[np.arange(len(table)), table.y_N],
            diagnostics={"gan": gan.history, "decay": gan.decay, "decay_losses": gan.decay_losses},
            parts=gan,
            under_NC=score_NC,
            blind=True,
            predict=partial(scored_new, gan=gan),
        )
