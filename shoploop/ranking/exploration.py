"""A little chance in a list, of which every probability is known: in a share of the answers two items change places.

From the positions that may move one is drawn, from the ranks of the pool another; what stands there is exchanged. So no list
differs in more than two places from what the model would show, and the probability that the item of rank r comes to position
p has a closed form (:func:`propensities`).

Legend: R ranks of the pool, K positions.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Design:
    """How one answer was drawn."""

    share: float
    """Probability that a pair is drawn at all."""

    keep: int
    """Positions, from the first, that never move."""

    shown: int
    """K."""

    pool: int
    """R; at least K."""


@dataclass(frozen=True, kw_only=True)
class Explored:
    """What an answer was before chance came to it, and what chance could do."""

    design: Design
    ranking: tuple[str, ...]
    """The pool's items, best first."""

    ranks: tuple[int, ...]
    """Of the items that are shown, by position."""

    propensities: tuple[float, ...]
    """Of the same: with which probability the item came to its position."""


@lru_cache(maxsize=1024)
def propensities(design: Design) -> Array:
    """Probability that the item of each rank is shown at each position, (R, K); not to be written to.

    A position p and a rank r are drawn uniformly from those at and beyond ``keep``. An item inside the list is moved to
    another position in two ways, by its position or by its rank; one from beyond the list in one way.
    """
    positions, ranks = design.shown - design.keep, design.pool - design.keep
    found_RK = np.zeros((design.pool, design.shown))
    np.fill_diagonal(found_RK, 1.0)
    if positions > 0 and ranks > 1:
        one = design.share / (positions * ranks)
        moving = slice(design.keep, design.shown)
        found_RK[moving, moving] = 2 * one
        found_RK[design.shown :, moving] = one
        at = np.arange(design.keep, design.shown)
        found_RK[at, at] = 1 - one * (positions + ranks - 2)
    found_RK.flags.writeable = False
    return found_RK


def draw(design: Design, *, seed: int, request_id: str) -> list[int]:
    """The ranks to show, by position: the same for the same seed and request."""
    shown = list(range(design.shown))
    positions, ranks = design.shown - design.keep, design.pool - design.keep
    if positions <= 0 or ranks <= 1:
        return shown
    digest = hashlib.blake2b(f"{seed}:{request_id}".encode(), digest_size=24).digest()
    chance, first, second = (int.from_bytes(digest[at : at + 8]) / 2**64 for at in (0, 8, 16))
    if chance < design.share:
        position, rank = design.keep + int(first * positions), design.keep + int(second * ranks)
        shown[position], moved = rank, position
        if rank < design.shown and rank != position:
            shown[rank] = moved
    return shown


def explore(
    best: Sequence[T], names: Sequence[str], *, design: Design, seed: int, request_id: str
) -> tuple[list[T], Explored]:
    """The list to show, and how it came about.

    Args:
        best: The pool, best first.
        names: Its items' ids.
        design: With ``pool`` the length of ``best``.
        seed: Of the shop's spec.
        request_id: Names the answer.
    """
    ranks = draw(design, seed=seed, request_id=request_id)
    of_RK = propensities(design)
    explored = Explored(
        design=design,
        ranking=tuple(names),
        ranks=tuple(ranks),
        propensities=tuple(float(of_RK[rank, position]) for position, rank in enumerate(ranks)),
    )
    return [best[rank] for rank in ranks], explored
