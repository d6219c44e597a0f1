"""Visits with their candidate shops, labels and features, point in time: what the choice of a shop is learned and judged on.

A sample set is that of recommendations, with shops in the place of items and without baskets.

Legend: Q visits, R rows (a visit and a candidate shop), S features, N candidates.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from shoploop.features.baskets import BASKETS, NO_AGE
from shoploop.features.log import Int32
from shoploop.samples.sample_set import SampleSet
from shoploop.surfaces.shops.features import shop_candidates, shop_features
from shoploop.surfaces.shops.memory import ShopMemory
from shoploop.surfaces.shops.visits import Visits


def assemble_shops(
    visits: Visits,
    chosen_Q: npt.NDArray[np.integer],
    memory: ShopMemory,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SampleSet:
    """Makes the samples of some visits, each as it could be foreseen when its day began, in the order of days.

    Args:
        visits: All; each request sees those before its day.
        chosen_Q: Their places.
        memory: What is remembered of these visits.
        progress: Told visits done and in all.
    """
    chosen_Q = chosen_Q[np.lexsort((chosen_Q, visits.day_V[chosen_Q]))]
    items: list[Int32] = []
    features = []
    day, recall = None, None
    for done, place in enumerate(chosen_Q):
        if recall is None or visits.day_V[place] != day:
            day = int(visits.day_V[place])
            recall = memory.as_of(day)
        history = visits.history(int(visits.user_V[place]), before=int(visits.day_V[place]))
        candidates_N = shop_candidates(history, recall)
        items.append(candidates_N)
        features.append(shop_features(history, candidates_N, day=int(visits.day_V[place]), recall=recall))
        if done % 1000 == 999:
            progress(done + 1, len(chosen_Q))
    truth_Q = visits.shop_V[chosen_Q]
    sizes_Q = np.array([len(each) for each in items], np.int64)
    items_R = np.concatenate([np.empty(0, np.int32), *items])
    nothing_Q1 = np.zeros(len(chosen_Q) + 1, np.int64)
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
        event_offsets_Q1=nothing_Q1,
        event_items_E=np.empty(0, np.int32),
        event_baskets_E=np.empty(0, np.int32),
        ages_QL=np.full((len(chosen_Q), BASKETS), NO_AGE, np.int32),
    )
