"""All samples alike: what the others are measured against."""

from dataclasses import dataclass

import numpy as np

from shoploop.importance.estimators.table import Table
from shoploop.importance.estimators.weights import Scores


@dataclass(frozen=True, kw_only=True)
class Uniform:
    name = "uniform"
    paper = "none"

    def score(self, table: Table, *, seed: int) -> Scores:
        """1 for every sample."""
        return Scores(importance_N=np.ones(len(table)))
