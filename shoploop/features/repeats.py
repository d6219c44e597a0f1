"""Whether people buy what they have bought before: what a log is, seen from itself.

Where they do, their own history tells most of what comes next, and taste moves slowly. Where everybody goes on to what is new
to them, what sells on a day and what is bought together tell it, and both move.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.integer[Any]]

MOST_REPEATS = 0.2
"""Share of purchases that are of an item that its user has bought before, from which on the log is one of repeats."""


def repeat_share(user_R: Codes, item_R: Codes) -> float:
    """Share of the purchases that are of an item that their user has bought on an earlier day."""
    if not len(user_R):
        return 0.0
    pairs = user_R.astype(np.int64) * (int(item_R.max()) + 1) + item_R
    return 1.0 - len(np.unique(pairs)) / len(user_R)


def is_of_repeats(user_R: Codes, item_R: Codes) -> bool:
    """Whether the log is one of repeats.

    Args:
        user_R: The user of each purchase, as a number.
        item_R: Its item, as a number: once a user and day.
    """
    return repeat_share(user_R, item_R) >= MOST_REPEATS
