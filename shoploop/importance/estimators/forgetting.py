"""Forgetting events: how often a sample that was right becomes wrong again while a network trains."""

from dataclasses import dataclass, field

import numpy as np

from shoploop.importance.estimators.proxy import ProxyConfig, train_proxy
from shoploop.importance.estimators.table import Table
from shoploop.importance.estimators.weights import Scores


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """Ends of epochs are compared; a sample that was never right counts as forgotten after every epoch, as in the paper."""

    proxy: ProxyConfig = field(default_factory=lambda: ProxyConfig(initialisations=5))
    name = "forgetting"
    paper = "Toneva et al. 2019, section 3"

    def score(self, table: Table, *, seed: int) -> Scores:
        """1 / (1 + forgetting events), mean events over initialisations."""
        nets = self.proxy.initialisations
        events_EN = np.zeros((nets, len(table)))
        before_EN = np.zeros((nets, len(table)), bool)
        ever_EN = before_EN.copy()
        epochs = 0
        for checkpoint in train_proxy(table, self.proxy, seed=seed):
            right_EN = checkpoint.chance_ENC.argmax(2) == table.y_N
            events_EN += before_EN & ~right_EN
            before_EN = right_EN
            ever_EN |= right_EN
            epochs = checkpoint.epoch
        events_EN[~ever_EN] = epochs
        events_N = events_EN.mean(0)
        return Scores(
            importance_N=1 / (1 + events_N),
            diagnostics={
                "mean_events": float(events_N.mean()),
                "never_right": float((~ever_EN).mean()),
                "epochs": epochs,
            },
        )
