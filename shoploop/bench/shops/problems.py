"""A dataset cut by the protocol of the choice of a shop: visits to learn from, and visits that are judged day by day.

One visit is a user and a day, at the shop of which most was bought. Every visit from the first judged day on is judged, with
what was known before its day; which visits are to come is known (somebody asks), the shop is not.

Legend: V visits.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from shoploop.bench.prediction.next_basket import tables_of
from shoploop.errors import SpecInvalid, TooFewEvents
from shoploop.features.log import purchases
from shoploop.surfaces.shops.visits import Visits, visits_of

EPOCH = date(1970, 1, 1)
FIRST_JUDGED = {"completejourney": date(2017, 11, 1)}
LEARNED_DAYS = 200
"""Before the first judged day; what lies before these is history alone."""


@dataclass(frozen=True, kw_only=True)
class ShopProblem:
    """One dataset and its protocol, applied."""

    dataset: str
    visits: Visits
    """All, the judged ones with them: histories and memory are cut by day."""

    learn: npt.NDArray[np.int64]
    """Places of the visits that may be learned from."""

    judged: npt.NDArray[np.int64]
    """Places of those that are judged."""

    @classmethod
    def of(cls, dataset: str, visits: Visits, *, test: int) -> "ShopProblem":
        """Cuts visits at the first judged day.

        Raises:
            TooFewEvents: nothing lies before it, or nothing from it on.
        """
        learn = np.flatnonzero((visits.day_V < test) & (visits.day_V >= test - LEARNED_DAYS))
        judged = np.flatnonzero(visits.day_V >= test)
        if not len(learn) or not len(judged):
            raise TooFewEvents(
                f"{dataset} has {len(learn)} visits to learn from and {len(judged)} to judge; at least one of each is "
                "needed. Use a dataset of more days."
            )
        return cls(dataset=dataset, visits=visits, learn=learn, judged=judged)


def problem_of(dataset: str) -> ShopProblem:
    """A dataset under its protocol.

    Raises:
        SpecInvalid: no benchmark knows it.
    """
    if dataset not in FIRST_JUDGED:
        raise SpecInvalid(
            f"No benchmark of shops knows the dataset {dataset}. It knows {', '.join(FIRST_JUDGED)}: others name no shops."
        )
    interactions, _, _ = tables_of(dataset)
    test = (FIRST_JUDGED[dataset] - EPOCH).days
    return ShopProblem.of(dataset, visits_of(purchases(interactions)), test=test)
