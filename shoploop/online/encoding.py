"""h_u of those who asked, where one that cannot be made costs nobody else theirs.

Legend: B who asked, D width.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from shoploop.errors import StoreError
from shoploop.events.log import LogUnavailable
from shoploop.features.log import Float32
from shoploop.ranking.asked import Asked

TRIES = 3
"""Of one that cannot be encoded; then it has none."""


class States(Protocol):
    """Of :class:`shoploop.ranking.states.UserStates`."""

    def of(self, asked: Sequence[Asked]) -> Float32:
        """h_u of each, (B, D)."""


def encoded(
    states: States,
    asked: Sequence[Asked],
    places: range,
    *,
    width: int,
    failed: Callable[[int], str],
    tries: int = TRIES,
) -> Float32:
    """h_u of who stands at these places, (len(places), D); NaN where it cannot be made, which is then said.

    One that fails is tried again, since it may not have been its fault.

    Args:
        states: Who encodes.
        asked: Everybody.
        places: Whose.
        width: D.
        failed: What to say of the one at a place.
        tries: How often one that stands alone is tried.

    Raises:
        LogUnavailable, StoreError: nobody's fault; ask again.
    """
    try:
        return states.of(asked[places.start : places.stop])
    except (LogUnavailable, StoreError):
        raise
    except Exception:  # one event must not stop all that come after it
        if len(places) > 1:
            middle = len(places) // 2
            halves = places[:middle], places[middle:]
            return np.concatenate([encoded(states, asked, half, width=width, failed=failed) for half in halves])
        if tries > 1:
            return encoded(states, asked, places, width=width, failed=failed, tries=tries - 1)
        logging.getLogger(__name__).exception("%s", failed(places.start))
        return np.full((1, width), np.nan, np.float32)
