"""Visits with their candidate shops, labels and features, point in time: what the choice of a shop is learned and judged on.

A sample set is that of recommendations, with shops in the place of items.

Legend: Q visits, R rows (a visit and a candidate shop), S features, N candidates.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from shoploop.features.baskets import BASKETS, NO_AGE, BasketSequence
from shoploop.features.history import history_of
from shoploop.features.log import Int32, PurchaseLog
from shoploop.samples.sample_set import SampleSet
from shoploop.surfaces.shops.features import NAMES, shop_candidates, shop_features
from shoploop.surfaces.shops.memory import ShopMemory
from shoploop.surfaces.shops.visits import Visits

SHOP_COLUMNS = tuple(f"shop_{name}" for name in NAMES)
"""Names of a sample's features."""

NOTHING = BasketSequence(
    items_E=np.empty(0, np.int32), baskets_E=np.empty(0, np.int32), ages_L=np.full(BASKETS, NO_AGE, np.int32)
)


def assemble_shops(
    visits: Visits,
    chosen_Q: npt.NDArray[np.integer],
    memory: ShopMemory,
    *,
    log: PurchaseLog | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SampleSet:
    """Makes the samples of some visits, each as it could be foreseen when its day began, in the order of days.

    Args:
        visits: All; each request sees those before its day.
        chosen_Q: Their places.
        memory: What is remembered of these visits.
        log: What was bought, which the Transformer reads; None where nobody asks it.
        progress: Told visits done and in all.
    """
    chosen_Q = chosen_Q[np.lexsort((chosen_Q, visits.day_V[chosen_Q]))]
    code_in_log = {} if log is None else {user: code for code, user in enumerate(log.users)}
    items: list[Int32] = []
    features, baskets, shops = [], [], []
    remembered, recall = None, None
    for done, place in enumerate(chosen_Q):
        user, day = int(visits.user_V[place]), int(visits.day_V[place])
        if recall is None or visits.day_V[place] != remembered:
            remembered = int(visits.day_V[place])
            recall = memory.as_of(remembered)
        history = visits.history(user, before=day)
        candidates_N = shop_candidates(history, recall)
        items.append(candidates_N)
        features.append(shop_features(history, candidates_N, day=day, recall=recall))
        code = code_in_log.get(visits.users[user])
        bought = NOTHING
        if log is not None and code is not None:
            bought = BasketSequence.of(history_of(log, code, before=day), day=day)
        baskets.append(bought)
        shops.append(history.of_baskets(bought.ages_L, day=day))
        if done % 1000 == 999:
            progress(done + 1, len(chosen_Q))
    truth_Q = visits.shop_V[chosen_Q]
    sizes_Q = np.array([len(each) for each in items], np.int64)
    items_R = np.concatenate([np.empty(0, np.int32), *items])
    events_Q = np.array([len(each.items_E) for each in baskets], np.int64)
    return SampleSet(
        users_Q=visits.user_V[chosen_Q],
        days_Q=visits.day_V[chosen_Q],
        offsets_Q1=np.concatenate([[0], np.cumsum(sizes_Q)]).astype(np.int64),
        items_R=items_R,
        labels_R=items_R == np.repeat(truth_Q, sizes_Q),
        sources_R=np.zeros(len(items_R), np.uint8),
        features_RK=np.concatenate(features) if features else np.empty((0, 0), np.float32),
        truth_offsets_Q1=np.arange(len(chosen_Q) + 1, dtype=np.int64),
        truth_T=truth_Q,
        event_offsets_Q1=np.concatenate([[0], np.cumsum(events_Q)]).astype(np.int64),
        event_items_E=np.concatenate([np.empty(0, np.int32), *(each.items_E for each in baskets)]),
        event_baskets_E=np.concatenate([np.empty(0, np.int32), *(each.baskets_E for each in baskets)]),
        ages_QL=_stacked([each.ages_L for each in baskets]),
        shops_QL=_stacked(shops),
    )


def _stacked(rows: list[Int32]) -> Int32:
    return np.stack(rows) if rows else np.empty((0, BASKETS), np.int32)
