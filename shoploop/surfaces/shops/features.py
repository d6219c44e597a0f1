"""What the model knows of a user and a shop on a day, and which shops are scored. One code for training and predictor.

Legend: P shops, H visits of the user before the day, N candidates, S features.
"""

import numpy as np
import numpy.typing as npt

from shoploop.features.log import Float32, Int32
from shoploop.surfaces.shops.memory import ShopRecall, row_of
from shoploop.surfaces.shops.visits import VisitHistory

HALF_LIVES_DAYS = (7, 14, 30, 60, 120, 365)
"""Ages at which a visit counts half: what a shopper does this week, this month, and always did."""

WEEKDAY_HALF_LIVES_DAYS = (30, 90)
CHANGES_HALF_LIFE_DAYS = 90.0
LAST_VISITS = (3, 5, 10)

NEAR, POPULAR = 8, 5
"""Candidates beside the user's own shops: those of who shares these, and the most visited."""

NEVER_DAYS = 400.0
"""Days since a visit where there was none."""

SHOP_FEATURES = (
    ("last", "1 where the last visit was"),
    ("before_last", "1 where the visit before it was"),
    *((f"of_last_{n}", f"share of the last {n} visits") for n in LAST_VISITS),
    ("visits", "log of the user's visits there"),
    ("share", "share of the user's visits"),
    ("days_since", "log of the days since the user's last visit there"),
    ("due", "the same over the usual days between two visits there, log; 0 where there were fewer than two"),
    *((f"decay_{days}", f"share of the user's visits, each half at {days} days") for days in HALF_LIVES_DAYS),
    *((f"log_decay_{days}", "the same as a log of visits") for days in (14, 60)),
    ("below_best_30", "log of the share at 30 days over the best shop's"),
    *(
        (f"weekday_{days}", f"visits there on the day's weekday over all visits, each half at {days} days")
        for days in WEEKDAY_HALF_LIVES_DAYS
    ),
    *(
        (
            f"habit_{days}",
            f"log of the share at {days} days with visits on the weekday three times, over the best shop's",
        )
        for days in WEEKDAY_HALF_LIVES_DAYS
    ),
    ("of_weekday", "share of the visits on this weekday, half at 90 days"),
    ("of_weekend", "share of the visits on days of this kind, workdays or weekend, half at 90 days"),
    ("week_ago", "1 where the user was there seven days ago"),
    ("own_next", "share of what came after the user's visits at the last shop, half at 90 days"),
    ("below_best_next", "log of it over the best shop's"),
    ("own_next_visits", "log of how many these are"),
    ("own_next_two", "share of what came after the same two shops in this order"),
    ("own_next_gap", "share of what came after a like number of days since the visit before"),
    ("everyones_next", "share of what comes after the last shop, of all users"),
    ("near", "share of the visits of who shares the user's shops"),
    ("lately", "log of its share of all visits in 28 days"),
    ("size", "log of the items that the user buys there at a time, less that of all the user's visits"),
    ("shops", "log of the user's different shops"),
    ("changes", "share of the user's visits at another shop than the one before, half at 90 days"),
    ("changes_10", "the same of the last ten"),
    ("streak", "log of the visits in a row at the last shop"),
    ("since_last", "log of the days since the last visit"),
    ("last_size", "log of the items of the last visit, less that of all the user's visits"),
    ("all_visits", "log of the user's visits"),
    ("best_30", "share at 30 days of the best shop"),
    ("weekend", "1 on Saturday and Sunday"),
)
"""Name and what it says, in the order of the columns."""

NAMES = tuple(name for name, _ in SHOP_FEATURES)

_FRIDAY = 4  # of a week that begins with Monday, 0
_THURSDAY = 3
"""Weekday of 1970-01-01."""


def weekday(day: npt.NDArray[np.integer] | int) -> npt.NDArray[np.integer]:
    """Monday is 0."""
    return (np.asarray(day) + _THURSDAY) % 7


def shop_candidates(history: VisitHistory, recall: ShopRecall) -> Int32:
    """Codes of the shops to score, sorted: the user's own, those of who shares them, the most visited."""
    own = np.unique(history.shops_H)
    near_P = np.zeros_like(recall.lately_P)
    for shop in own:
        near_P += row_of(recall.near_PP, int(shop))
    found = np.concatenate([own, _best(near_P, NEAR), _best(recall.lately_P, POPULAR)])
    return np.unique(found).astype(np.int32)


def _best(score_P: Float32, most: int) -> npt.NDArray[np.int64]:
    """Codes of the highest that are above 0; of equal ones the first."""
    order = np.argsort(-score_P, kind="stable")[:most]
    return order[score_P[order] > 0]


def shop_features(history: VisitHistory, candidates_N: Int32, *, day: int, recall: ShopRecall) -> Float32:
    """(N, S), finite, in the order of :data:`SHOP_FEATURES`.

    Args:
        history: The user's visits before the day.
        candidates_N: Codes.
        day: Days since 1970-01-01 (UTC).
        recall: Of the shops as of that day.
    """
    shops_H, age_H = history.shops_H, (day - history.days_H).astype(np.float64)
    is_NH = candidates_N[:, None] == shops_H[None, :]
    visits_N = is_NH.sum(axis=1)
    none_N, some = np.zeros(len(candidates_N)), len(shops_H) > 0
    since_N = np.where(is_NH, age_H, NEVER_DAYS).min(axis=1, initial=NEVER_DAYS)
    faded = {days: 0.5 ** (age_H / days) for days in {*HALF_LIVES_DAYS, *WEEKDAY_HALF_LIVES_DAYS, 90}}
    counts = {days: is_NH @ weight_H for days, weight_H in faded.items()}
    decay = {days: counts[days] / max(float(faded[days].sum()), 1e-9) for days in faded}
    weekday_H = weekday(history.days_H) == weekday(day)
    on_weekday = {
        days: (is_NH @ (faded[days] * weekday_H)) / max(float(faded[days].sum()), 1e-9)
        for days in WEEKDAY_HALF_LIVES_DAYS
    }
    kind_H = (weekday(history.days_H) > _FRIDAY) == (weekday(day) > _FRIDAY)
    # what came after each earlier visit is the visit behind it
    after_NH, prior_H = is_NH[:, 1:], shops_H[:-1]
    fade_H = 0.5 ** (age_H[1:] / CHANGES_HALF_LIFE_DAYS)
    same_H = prior_H == shops_H[-1] if some else np.empty(0, bool)
    two_H = np.zeros(len(same_H), bool)
    if len(shops_H) > 2:
        two_H[1:] = same_H[1:] & (shops_H[:-2] == shops_H[-2])
    gap = float(age_H[-1]) if some else NEVER_DAYS
    like_H = np.abs(np.log1p(np.diff(history.days_H)) - np.log1p(gap)) < 0.35
    changed_H = shops_H[1:] != prior_H
    size_H = np.log1p(history.sizes_H.astype(np.float64))
    usual_size = float(size_H.mean()) if some else 0.0
    size_N = np.where(visits_N > 0, (is_NH @ size_H) / np.maximum(visits_N, 1) - usual_size, 0.0)
    next_N = _smoothed(after_NH, fade_H * same_H, decay[90])
    best_30 = float(decay[30].max(initial=0.0))
    streak = int(np.argmax(np.append(shops_H[::-1] != shops_H[-1], True))) if some else 0
    columns: dict[str, npt.NDArray[np.floating] | float] = {
        "last": is_NH[:, -1].astype(float) if some else none_N,
        "before_last": is_NH[:, -2].astype(float) if len(shops_H) > 1 else none_N,
        **{f"of_last_{n}": is_NH[:, -n:].mean(axis=1) if some else none_N for n in LAST_VISITS},
        "visits": np.log1p(visits_N),
        "share": visits_N / max(len(shops_H), 1),
        "days_since": np.log1p(since_N),
        "due": _due(is_NH, history.days_H, since_N, visits_N),
        **{f"decay_{days}": decay[days] for days in HALF_LIVES_DAYS},
        **{f"log_decay_{days}": np.log1p(counts[days]) for days in (14, 60)},
        "below_best_30": _below_best(decay[30]),
        **{f"weekday_{days}": on_weekday[days] for days in WEEKDAY_HALF_LIVES_DAYS},
        **{f"habit_{days}": _below_best(decay[days] + 2 * on_weekday[days]) for days in WEEKDAY_HALF_LIVES_DAYS},
        "of_weekday": _smoothed(is_NH, faded[90] * weekday_H, decay[90]),
        "of_weekend": _smoothed(is_NH, faded[90] * kind_H, decay[90]),
        "week_ago": (is_NH & (age_H == 7)).any(axis=1).astype(float) if some else none_N,
        "own_next": next_N,
        "below_best_next": _below_best(next_N),
        "own_next_visits": float(np.log1p(same_H.sum())),
        "own_next_two": _smoothed(after_NH, fade_H * two_H, decay[90]),
        "own_next_gap": _smoothed(after_NH, fade_H * like_H, decay[90]),
        "everyones_next": row_of(recall.next_PP, int(shops_H[-1]))[candidates_N] if some else none_N,
        "near": _near(decay[90], candidates_N, recall),
        "lately": np.log(recall.lately_P[candidates_N] + 1e-5),
        "size": size_N,
        "shops": float(np.log1p(len(np.unique(shops_H)))),
        "changes": float((fade_H * changed_H).sum() / max(float(fade_H.sum()), 1e-9)),
        "changes_10": float(changed_H[-10:].mean()) if len(changed_H) else 0.0,
        "streak": float(np.log1p(streak)),
        "since_last": float(np.log1p(gap)),
        "last_size": float(size_H[-1]) - usual_size if some else 0.0,
        "all_visits": float(np.log1p(len(shops_H))),
        "best_30": best_30,
        "weekend": float(weekday(day) > _FRIDAY),
    }
    features_NS = np.empty((len(candidates_N), len(NAMES)), np.float32)
    for place, name in enumerate(NAMES):
        features_NS[:, place] = columns[name]
    return features_NS


PRIOR_VISITS = 2.0
"""What a user's shares at 90 days count for where visits of one kind are few."""


def _smoothed(
    is_NH: npt.NDArray[np.bool_], weight_H: npt.NDArray[np.float64], usual_N: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Shares of visits of one kind, drawn to the user's shares of all."""
    smoothed: npt.NDArray[np.float64] = (is_NH @ weight_H + PRIOR_VISITS * usual_N) / (weight_H.sum() + PRIOR_VISITS)
    return smoothed


def _below_best(share_N: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    below_N: npt.NDArray[np.float64] = np.log((share_N + 1e-3) / (share_N.max(initial=0.0) + 1e-3))
    return below_N


def _due(
    is_NH: npt.NDArray[np.bool_],
    days_H: Int32,
    since_N: npt.NDArray[np.float64],
    visits_N: npt.NDArray[np.integer],
) -> npt.NDArray[np.float64]:
    first_N = np.where(is_NH, days_H, np.iinfo(np.int32).max).min(axis=1, initial=np.iinfo(np.int32).max)
    last_N = np.where(is_NH, days_H, 0).max(axis=1, initial=0)
    usual_N = (last_N - first_N) / np.maximum(visits_N - 1, 1)
    due_N: npt.NDArray[np.float64] = np.where(visits_N > 1, np.log1p(since_N) - np.log1p(np.abs(usual_N)), 0.0)
    return due_N


def _near(share_N: npt.NDArray[np.float64], candidates_N: Int32, recall: ShopRecall) -> npt.NDArray[np.float64]:
    """The user's own shops are among the candidates, so their shares are all that there is to weigh with."""
    near_N = np.zeros(len(candidates_N))
    for place in np.flatnonzero(share_N > 0):
        near_N += share_N[place] * row_of(recall.near_PP, int(candidates_N[place]))[candidates_N]
    return near_N
