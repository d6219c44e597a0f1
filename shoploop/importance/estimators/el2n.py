"""EL2N: the norm of the error vector early in training, mean over initialisations."""

from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from shoploop.importance.estimators.proxy import ProxyConfig, errors, train_proxy
from shoploop.importance.estimators.table import Table
from shoploop.importance.estimators.weights import Scores


@dataclass(frozen=True, kw_only=True)
class El2n:
    """A large early error marks a sample that is hard or mislabelled."""

    epochs: int = 2
    """After which the error is taken."""

    proxy: ProxyConfig = field(default_factory=ProxyConfig)
    name = "el2n"
    paper = "Paul, Ganguli, Dziugaite 2021, definition 2.1"

    def score(self, table: Table, *, seed: int) -> Scores:
        """1 - EL2N / √2, which is its largest value."""
        *_, checkpoint = islice(train_proxy(table, self.proxy, seed=seed), self.epochs)
        norm_N = np.linalg.norm(errors(checkpoint, table), axis=2).mean(0).astype(np.float64)
        return Scores(
            importance_N=np.clip(1 - norm_N / np.sqrt(2), 0, 1),
            diagnostics={"mean_el2n": float(norm_N.mean()), "epochs": checkpoint.epoch},
        )
