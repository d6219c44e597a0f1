"""On which weekdays virtual visits fall: a shop that is closed on Sundays has none on one, and a weekly one keeps to its day.

Shapes: N records, T baskets, S shifts, W weekdays from Monday.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from shoploop.augmentation.generator.encoding import weekend
from shoploop.augmentation.generator.records import Behaviour, Floats, Ints
from shoploop.features.distinct import distinct

WEEK = 7
_SHIFTS = np.array([0, 1, -1, 2, -2, 3, -3])  # none is the first


def weekday(day: Ints) -> Ints:
    """From 0 on Monday, of days since 1970-01-01, a Thursday."""
    out: Ints = (day + 3) % WEEK
    return out


def log_shares(behaviour: Behaviour, *, min_users: int) -> Floats:
    """(W,) logarithms of the share of visits that fall on each weekday; minus infinity where fewer than k shoppers came.

    Where none has so many, nothing is told, and all are alike.
    """
    of_visit = weekday(behaviour.day)
    users = int(behaviour.user.max()) + 1
    shoppers = np.bincount(distinct(of_visit * users + behaviour.user[behaviour.record]) // users, minlength=WEEK)
    visits = np.bincount(of_visit, minlength=WEEK) * (shoppers >= min_users)
    if not visits.any():
        return np.zeros(WEEK, np.float32)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(visits / visits.sum()), np.float32)


def shifted(
    day: Ints, wanted: npt.NDArray[np.bool_], mask: Floats, log_share: Floats, random: np.random.Generator
) -> Ints:
    """(N, T) days of records, each moved as a whole by up to three days.

    First come shifts with the fewest baskets on closed weekdays; of these the ones with as many baskets on weekends as
    wanted, and most of them those that are wanted to. Of what is left one is drawn as the weekdays' shares have it, each
    weekday of a record counting once: who comes every Thursday chose one day and not eight. A record whose own days are as
    likely as those that were drawn stays. Among the others the shortest shift is not preferred: Mondays and Fridays, next to
    the weekend, would gain.

    Args:
        wanted: (N, T) whether a basket is asked to be of a weekend.
        log_share: (W,) of :func:`log_shares`.
    """
    there = mask > 0
    wanted = wanted & there
    moved = day + _SHIFTS[:, None, None]  # (S, N, T)
    fallen = weekend(moved) & there
    off = np.abs(fallen.sum(2) - wanted.sum(1)) * 10 + (fallen != wanted).sum(2)
    here = np.zeros((*moved.shape[:2], WEEK))
    shift, record, _ = np.nonzero(np.broadcast_to(there, moved.shape))
    np.add.at(here, (shift, record, weekday(moved)[:, there].ravel()), 1)
    open_W = np.isfinite(log_share)
    closed = here[..., ~open_W].sum(2)
    cost = closed * 1000 + off
    fits = cost == cost.min(0)
    known = np.where(open_W, log_share, 0).astype(np.float64)
    score = np.where(fits, ((here > 0) * known).sum(2), -np.inf)
    level = random.random(score.shape)
    drawn = (score - np.log(-np.log(np.clip(level, 1e-12, 1 - 1e-12)))).argmax(0)
    stays = fits[0] & (np.abs(score[0] - score[drawn, np.arange(len(day))]) < 1e-6)
    return np.asarray(day + np.where(stays, 0, _SHIFTS[drawn])[:, None], np.int64)


def on_open_days(made: Behaviour, log_share: Floats, first_day: int, last_day: int) -> Behaviour:
    """Moves visits that are left on closed weekdays to the next open day, and what follows them on as far as it must; at the
    end of the days back. Records without such a visit stay as they are."""
    open_W = np.isfinite(log_share)
    closed = ~open_W[weekday(made.day)]
    if not closed.any():
        return made
    ahead = np.array([next(n for n in range(WEEK) if open_W[(at + n) % WEEK]) for at in range(WEEK)])
    back = np.array([next(n for n in range(WEEK) if open_W[(at - n) % WEEK]) for at in range(WEEK)])
    first, last_open = weekday(np.array([first_day, last_day], np.int64))
    start, stop = first_day + ahead[first], last_day - back[last_open]
    day, position = made.day.copy(), made.position
    moving = np.isin(made.record, made.record[closed])
    for at in range(int(position.max()) + 1):
        here = np.flatnonzero(moving & (position == at))
        earliest = day[here] if at == 0 else np.maximum(day[here], day[here - 1] + 1)
        day[here] = earliest + ahead[weekday(earliest)]
    last = np.append(made.record[1:] != made.record[:-1], True)
    for at in range(int(position.max()), -1, -1):
        here = np.flatnonzero(moving & (position == at))
        after = np.where(last[here], stop, day[np.minimum(here + 1, len(day) - 1)] - 1)
        latest = np.minimum(day[here], after)
        day[here] = latest - back[weekday(latest)]
    # in a range of fewer open days than a record has visits, several fall on its first
    return replace(made, day=np.where(moving, np.clip(day, start, max(start, stop)), day))
