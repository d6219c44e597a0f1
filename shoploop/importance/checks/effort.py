"""How much the self-check looks at, and on which days it judges; known without loading what it computes with."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """How much the self-check looks at; in full it is ``shoploop bench importance``."""

    judged_share: float = 0.25
    """Of the days with training requests, the last ones, on which is judged."""

    flipped: int = 300
    """Requests whose labels are flipped for a while, and as many to judge removal on."""

    learned: int = 800
    judged: int = 1200
    fewest: int = 40
    """Requests on either side below which nothing can be shown."""

    beside: int = 2_000
    """Training requests from which on it goes on in a process of its own, where there is a second core."""


def first_judged_day(days: npt.NDArray[np.integer[Any]], check: CheckConfig) -> int:
    """The first day that is judged on.

    Args:
        days: Those with a training request, each once, sorted.
        check: Says how many of them.
    """
    return int(days[-max(1, round(len(days) * check.judged_share))]) if len(days) else 0
