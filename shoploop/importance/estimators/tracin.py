"""TracIn on the last layer: how much a sample's own steps moved the loss on itself.

The gradient of the cross-entropy in the last layer is (p - y) ⊗ [h, 1], so the self-influence over checkpoints t is
Σ_t η_t ‖p_t - y‖² (‖h_t‖² + 1). Mislabelled samples move themselves most.
"""

from dataclasses import dataclass, field

import numpy as np

from shoploop.importance.estimators.proxy import ProxyConfig, errors, train_proxy
from shoploop.importance.estimators.table import Table
from shoploop.importance.estimators.weights import Scores


@dataclass(frozen=True, kw_only=True)
class TracIn:
    proxy: ProxyConfig = field(default_factory=ProxyConfig)
    name = "tracin"
    paper = "Pruthi et al. 2020, sections 3.3 and 4.1"

    def score(self, table: Table, *, seed: int) -> Scores:
        """median / (median + self-influence): .5 for the middle sample."""
        influence_N = np.zeros(len(table))
        count = 0
        for checkpoint in train_proxy(table, self.proxy, seed=seed):
            error_EN = np.square(errors(checkpoint, table)).sum(2)
            hidden_EN = np.square(checkpoint.hidden_ENH).sum(2) + 1
            influence_N += checkpoint.learning_rate * (error_EN * hidden_EN).mean(0)
            count += 1
        middle = max(float(np.median(influence_N)), 1e-12)
        return Scores(
            importance_N=middle / (middle + influence_N),
            diagnostics={"median_self_influence": middle, "checkpoints": count},
        )
