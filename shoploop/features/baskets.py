"""The part of a history that the Transformer reads: its last baskets. Plain arrays; this module must not import torch.

Legend: L last baskets, E purchases in them.
"""

from dataclasses import dataclass

import numpy as np

from shoploop.features.history import History
from shoploop.features.log import Int32

BASKETS = 40
"""Last baskets that the Transformer reads."""

NO_AGE = -1
"""Age of a place without a basket."""


@dataclass(frozen=True, kw_only=True)
class BasketSequence:
    """The last baskets of a history."""

    items_E: Int32
    baskets_E: Int32
    """Which basket each item was in; 0 is the latest."""

    ages_L: Int32
    """Days from the basket to the request, latest first; ``NO_AGE`` pads."""

    @classmethod
    def of(cls, history: History, *, day: int) -> "BasketSequence":
        """Cuts the history at ``day`` and keeps its last ``BASKETS`` baskets."""
        history = history.before(day)
        ages_L = np.full(BASKETS, NO_AGE, np.int32)
        if len(history) == 0:
            return cls(items_E=np.empty(0, np.int32), baskets_E=np.empty(0, np.int32), ages_L=ages_L)
        latest_first_H = history.since_H
        keep = latest_first_H < BASKETS
        ages_L[latest_first_H[keep]] = day - history.days_H[keep]
        return cls(items_E=history.items_H[keep], baskets_E=latest_first_H[keep].astype(np.int32), ages_L=ages_L)
