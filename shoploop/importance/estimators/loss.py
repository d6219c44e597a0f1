"""Loss ranking: how likely a model that has not seen a sample finds its label.

Ranking by out-of-fold self-confidence is the plain form of confident learning (Northcutt, Jiang, Chuang 2021, section 3).
"""

from dataclasses import dataclass

import numpy as np

from shoploop.importance.estimators.judges import BOOSTED, LINEAR, Kind, judge
from shoploop.importance.estimators.table import Table
from shoploop.importance.estimators.weights import Scores


@dataclass(frozen=True, kw_only=True)
class LossRanking:
    kind: Kind = LINEAR
    name: str = "loss"
    paper = "Northcutt et al. 2021, section 3"

    def score(self, table: Table, *, seed: int) -> Scores:
        """exp(-loss), out of fold."""
        found = judge(self.kind, table, seed=seed)
        return Scores(
            importance_N=found.chance_NC[np.arange(len(table)), table.y_N],
            diagnostics={"model": self.kind.name, "out_of_fold_loss": found.loss, "setting": found.setting},
            under_NC=found.chance_NC,
            predict=found.predict,
        )


def boosted_loss() -> LossRanking:
    """Loss ranking by boosted trees."""
    return LossRanking(kind=BOOSTED, name="loss_boosted")
