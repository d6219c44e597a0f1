"""Whether what somebody takes hangs on the kind of day: seen in the log, as prices and shops are.

At a canteen one drink is of workdays and another of weekends; at a grocer's most baskets are of whatever day it is, and a
feature that says otherwise costs a little. So the feature itself is held against the share of all visits, on visits that
it has not seen, and is in the contract only where it tells more (docs/decisions/0110).

Legend: V visits of a user before a request, R rows of these, M different items of them, Q visits that are asked about.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from shoploop.features.history import History, bought_on, history_of
from shoploop.features.log import PurchaseLog

Array = npt.NDArray[np.float64]

Partition = Literal["weekday", "weekend"]
"""A way to part days into kinds."""

PARTITIONS: tuple[Partition, ...] = get_args(Partition)

KIND_OF_DAY: Mapping[Partition, Callable[[Any], Any]] = {
    # 1970-01-01 was a Thursday
    "weekday": lambda day: (day + 3) % 7,
    "weekend": lambda day: (day + 3) % 7 >= 5,
}
"""The kind of days, or of one, counted since 1970-01-01 (UTC). What else should be parted is a line here, and a feature."""

USUAL_VISITS = 2.0
"""What a user's share of all visits counts for where those of one kind of day are few; as in the choice of a shop (record
0079), from where it is taken."""

FADE_DAYS = 90.0
"""A visit counts e times less for each so many days since, as in ``own_decay_rate_90``."""

FEWEST_BEFORE = 4
"""Earlier visits of whom is asked about: of fewer no kind of day has been seen twice."""

MOST_ASKED, FEWEST_ASKED = 2_000, 100
"""Visits that are asked about: more only take longer, fewer say nothing."""

NORMAL_95 = 1.96


def rate_on_such_days(
    partition: Partition,
    *,
    day: int,
    days_V: npt.NDArray[np.integer[Any]],
    fade_V: Array,
    visit_R: npt.NDArray[np.integer[Any]],
    place_R: npt.NDArray[np.integer[Any]],
    usual_M: Array,
) -> Array:
    """The share of a user's visits of the kind of ``day`` that held each item, drawn to the share of all visits, (M,).

    Args:
        partition: How days are parted.
        day: Day of the request, days since 1970-01-01 (UTC).
        days_V: Day of each visit.
        fade_V: What each visit counts.
        visit_R: Each row's visit.
        place_R: Each row's item.
        usual_M: The share of all visits.
    """
    kind = KIND_OF_DAY[partition]
    such_V = fade_V * (kind(days_V) == kind(day))
    held_M = np.bincount(place_R, weights=such_V[visit_R], minlength=len(usual_M))
    rate_M: Array = (held_M + USUAL_VISITS * usual_M) / (such_V.sum() + USUAL_VISITS)
    return rate_M


def habits(log: PurchaseLog, *, before: int) -> dict[Partition, dict[str, float]]:
    """What is gained by asking which kind of day it is, of each partition: :func:`tells` says whether it is enough.

    Of visits spread over all users, those of whom has been there :data:`FEWEST_BEFORE` times, the items that the user had
    bought before are given a chance each: by the share of all earlier visits that held them, and by that of such days. The
    gain is the mean difference of the logarithm of what was bought again; its interval counts users, not visits.

    Args:
        log: The purchases.
        before: Day from which on nothing may be known: what is judged later must not choose features.

    Returns:
        ``gain`` (natural logarithm, a purchase), ``low`` and ``high`` (95 %) and ``visits`` by partition; none where fewer
        than :data:`FEWEST_ASKED` visits can be asked about, or those of one user alone.
    """
    _, first = log.baskets()
    user_V, day_V = log.user_R[first], log.day_R[first]
    earlier_V = np.arange(len(user_V)) - np.searchsorted(user_V, user_V)
    usable = np.flatnonzero((earlier_V >= FEWEST_BEFORE) & (day_V < before))
    # by user and day, so that evenly spread ones are of all users and all of their time
    asked = usable[np.linspace(0, len(usable) - 1, min(len(usable), MOST_ASKED)).astype(np.int64)]
    users, gains = [], []
    for visit in asked:
        user, day = int(user_V[visit]), int(day_V[visit])
        gain = _gain(history_of(log, user, before=day), bought_on(log, user, day=day), day)
        if gain is not None:
            users.append(user)
            gains.append(gain)
    if len(users) < FEWEST_ASKED or len(set(users)) < 2:  # one user's visits are one thing seen: they have no interval
        return {}
    found = {}
    for partition, gain_Q in zip(PARTITIONS, np.array(gains).T, strict=True):
        mean, wide = float(gain_Q.mean()), NORMAL_95 * _standard_error(gain_Q, np.array(users))
        found[partition] = {"gain": mean, "low": mean - wide, "high": mean + wide, "visits": float(len(users))}
    return found


def tells(found: Mapping[Partition, Mapping[str, float]]) -> frozenset[Partition]:
    """The partitions of :func:`habits` whose gain is above 0, with the whole interval."""
    return frozenset(partition for partition, numbers in found.items() if numbers["low"] > 0)


def _gain(history: History, bought: npt.NDArray[np.int32], day: int) -> list[float] | None:
    """Of one visit by partition; None where it has nothing to tell."""
    items_M, place_R = np.unique(history.items_H, return_inverse=True)
    again_M = np.isin(items_M, bought)
    if len(items_M) < 2 or not again_M.any():
        return None
    visit_R = history.visits_H
    days_V = history.days_H[np.flatnonzero(np.diff(visit_R, prepend=-1))]
    fade_V = np.exp(-(day - days_V) / FADE_DAYS)
    usual_M = np.bincount(place_R, weights=fade_V[visit_R]) / fade_V.sum()
    plain_M = np.log(usual_M / usual_M.sum())
    gains = []
    for partition in PARTITIONS:
        rate_M = rate_on_such_days(
            partition, day=day, days_V=days_V, fade_V=fade_V, visit_R=visit_R, place_R=place_R, usual_M=usual_M
        )
        gains.append(float((np.log(rate_M / rate_M.sum()) - plain_M)[again_M].mean()))
    return gains


def _standard_error(values_Q: Array, users_Q: npt.NDArray[np.int64]) -> float:
    """Of the mean, where a user's visits are alike: sums by user are what is independent (Liang and Zeger 1986)."""
    _, place_Q = np.unique(users_Q, return_inverse=True)
    sums_U = np.bincount(place_Q, weights=values_Q - values_Q.mean())
    return float(np.sqrt(np.square(sums_U).sum()) / len(values_Q))
