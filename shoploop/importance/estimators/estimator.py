"""What every estimator offers."""

from typing import Protocol

from shoploop.importance.estimators.table import Table
from shoploop.importance.estimators.weights import Scores


class Importance(Protocol):
    """How much each sample of a table deserves to be believed."""

    @property
    def name(self) -> str:
        """As in ``interface.ESTIMATORS``."""

    @property
    def paper(self) -> str:
        """Whom it follows."""

    def score(self, table: Table, *, seed: int) -> Scores:
        """An importance for each sample, higher for a more credible one; the same bytes under the same seed."""
