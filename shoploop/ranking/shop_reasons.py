"""Why a shop is likely to be the next, in a sentence that the shopper would recognise as true. Pure; reads no model.

Legend: H visits of a user, P shops.
"""

from collections.abc import Sequence

import numpy as np

from shoploop.ranking.reasons import ago, in_days, last_since
from shoploop.surfaces.shops.features import weekday
from shoploop.surfaces.shops.memory import ShopRecall, row_of
from shoploop.surfaces.shops.visits import VisitHistory

WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")

FEWEST_OF_WEEKDAY, MOSTLY = 3, 0.5
"""Visits on a weekday from which on it has a habit, and the share of them that a shop must have more than of all visits."""

CLAIMED_SHARE = 0.02
"""Of what another shop's visitors visit, from which on that is said."""

RHYTHM = 3
"""Visits from which on a rhythm is claimed."""


def shop_reason(
    shop: int,
    *,
    history: VisitHistory,
    day: int,
    recall: ShopRecall,
    titles: Sequence[str | None],
    names: Sequence[str],
    today: int | None = None,
    since: int | None = None,
) -> str:
    """The reason for one shop.

    Args:
        shop: Code.
        history: The user's visits before ``day``.
        day: That is answered for, days since 1970-01-01 (UTC).
        recall: What is known of the shops.
        titles: By code; None where a shop has none.
        names: Ids by code.
        today: Day of the request, which is the one before ``day`` for who was somewhere on it; unset, ``day``.
        since: Days since the last visit of those that are new, if any: their days in the history may have moved.
    """
    mine_H = history.shops_H == shop
    visits = history.days_H[mine_H]
    if len(visits):
        since = last_since(visits, today=day if today is None else today, since=since)
        on_H = weekday(history.days_H) == weekday(day)
        of_weekday = float(mine_H[on_H].mean()) if on_H.sum() >= FEWEST_OF_WEEKDAY else 0.0
        if of_weekday > MOSTLY and of_weekday > mine_H.mean():
            return f"where you mostly are on {WEEKDAYS[int(weekday(day))]}"
        if len(visits) >= RHYTHM:
            every = max(round((int(visits[-1]) - int(visits[0])) / (len(visits) - 1)), 1)
            return f"you are here about every {in_days(every)}, last {ago(since)}"
        if mine_H[-1]:
            return f"you were here last, {ago(since)}"
        return f"you were here {'once' if len(visits) == 1 else 'twice'}, last {ago(since)}"
    if len(history):
        own, counts = np.unique(history.shops_H, return_counts=True)
        for known in own[np.argsort(-counts, kind="stable")]:
            if row_of(recall.near_PP, int(known))[shop] >= CLAIMED_SHARE:
                return f"visited by others who go to {titles[int(known)] or names[int(known)]}"
    return "visited by many this month" if recall.lately_P[shop] > 0 else "new to you"
