"""How far out what shoppers do may be told: as far as k of them go, since what lies beyond is of one or a few."""

from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.records import Ints


def reached(values: npt.NDArray[Any], user: Ints, *, min_users: int) -> tuple[Any, Any]:
    """The k-th smallest of the shoppers' least values and the k-th greatest of their greatest.

    Of fewer than k shoppers each goes as far as all of them do; of few more the two may have changed places.

    Args:
        values: (B,) one or more of each shopper.
        user: (B,) code of the shopper.
        min_users: k.
    """
    order = np.lexsort((values, user))
    start = np.flatnonzero(np.diff(user[order], prepend=-1))
    least, most = values[order[start]], values[order[np.append(start[1:], len(order)) - 1]]
    k = min(min_users, len(start))
    low, high = np.sort(least)[k - 1], np.sort(most)[-k]
    return min(low, high), max(low, high)
