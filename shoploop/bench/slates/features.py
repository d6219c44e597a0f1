"""What is known of an item in a slate when the slate is shown: prices, the session before it, what others did.

Of the session and of the user's earlier ones it is what came before the slate; of others what they did before the first
judged day, without the user's own part where the slate is of these days itself. What places tell stands apart
(:data:`PLACES`): it says how an item was shown, not what it is.

Legend: R impressions, N items of a slate, K features.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from shoploop.bench.slates.others import Others
from shoploop.bench.slates.problems import KINDS, NO_ITEM, SlateProblem
from shoploop.bench.slates.sessions import LONG_AGO, Moment, moments
from shoploop.features.baskets import BASKETS, NO_AGE
from shoploop.samples.sample_set import SampleSet

PLACES = ("place", "below_last", "next_below_last", "below_deepest", "place_before")
"""Columns that know places: the slate's own, how far below the last touched and the lowest touched item it is, and the place
in the slate before."""

TOUCHES = tuple(f"touched_{name}" for name in ("image", "info", "rating", "deals", "click", "search"))
"""In the order of :data:`shoploop.bench.slates.problems.KINDS`."""

ITEM = (
    *("price", "price_to_mean", "price_rank", "cheapest", "price_to_last", "price_to_clicked", "price_changed"),
    *("touched", *TOUCHES, "touched_share", "touched_recency", "touched_steps_ago", "touched_seconds_ago"),
    *("last", "last_click", "first_touched", "touched_in_a_row", "touched_since_click"),
    *("shown_before", "shown_not_touched", "touched_in_earlier_session", "clicked_in_earlier_session"),
    *("others_clicks", "others_shown", "others_over_expected", "others_touched"),
    *("others_with_touched", "others_after_last"),
)
"""Columns of an item as it is, wherever it stands."""

AROUND = (
    *("items", "step", "touched_items", "touched_here", "last_here", "seconds_since", "since_asked"),
    *("by_price", "other_order", "slates_before"),
)
"""Columns that are the same for all items of a slate."""

COLUMNS = (*PLACES, *ITEM, *AROUND)

SMOOTHING = 1.0
"""Clicks that are added, above and below, where clicks are divided by expected ones."""

Array = npt.NDArray[np.float64]
Columns = dict[str, npt.ArrayLike]


def assemble_slates(problem: SlateProblem, say: Callable[[str], None] = lambda what: None) -> SampleSet:
    """Samples of all slates, in their order, each as it could be known when it was shown."""
    slates, others = problem.slates, Others(problem)
    features_RK = np.zeros((len(slates.item_R), len(COLUMNS)), np.float32)
    for done, moment in enumerate(moments(slates, problem.deeds)):
        columns = _columns(problem, moment, others)
        rows = slates.rows(moment.slate)
        for at, name in enumerate(COLUMNS):
            features_RK[rows, at] = columns[name]
        if done % 4000 == 3999:
            say(f"samples: {done + 1} of {len(slates)} slates")
    return SampleSet(
        users_Q=slates.user_Q,
        days_Q=slates.day_Q,
        offsets_Q1=slates.offsets_Q1,
        items_R=slates.item_R,
        labels_R=slates.clicked_R,
        sources_R=np.zeros(len(slates.item_R), np.uint8),
        features_RK=features_RK,
        truth_offsets_Q1=np.arange(len(slates) + 1, dtype=np.int64),
        truth_T=slates.item_R[slates.clicked_R],
        event_offsets_Q1=np.zeros(len(slates) + 1, np.int64),
        event_items_E=np.empty(0, np.int32),
        event_baskets_E=np.empty(0, np.int32),
        ages_QL=np.full((len(slates), BASKETS), NO_AGE, np.int32),
    )


def _columns(problem: SlateProblem, moment: Moment, others: Others) -> Mapping[str, npt.ArrayLike]:
    slates = problem.slates
    rows = slates.rows(moment.slate)
    items: list[int] = slates.item_R[rows].tolist()
    place_N = slates.place_R[rows].astype(np.float64)
    price_N = _log(slates.price_R[rows].astype(np.float64))
    user, second = int(slates.user_Q[moment.slate]), int(slates.second_Q[moment.slate])
    step = int(slates.step_Q[moment.slate])
    return {
        **_of_places(moment, items, place_N),
        **_of_prices(moment, items, price_N),
        **_of_session(moment, items, step=step, second=second),
        **_of_others(moment, items, user, others),
        **_around(moment, items, step=step, second=second),
    }


def _of_places(moment: Moment, items: list[int], place_N: Array) -> Columns:
    session = moment.session
    touched_N = np.array([item in session.touched for item in items])
    last_N = np.array([item == session.last for item in items])
    below_last_N = place_N - place_N[last_N][0] if last_N.any() else np.zeros(len(items))
    return {
        "place": place_N,
        "below_last": below_last_N,
        "next_below_last": below_last_N == 1,
        "below_deepest": place_N - place_N[touched_N].max() if touched_N.any() else 0.0,
        "place_before": [1 / (1 + session.shown[item].place) if item in session.shown else 0.0 for item in items],
    }


def _of_prices(moment: Moment, items: list[int], price_N: Array) -> Columns:
    """``price_N`` is the prices' logarithm."""
    session = moment.session
    rank_N = np.searchsorted(np.sort(price_N), price_N)
    before_N = [_log(session.shown[item].price) if item in session.shown else np.nan for item in items]
    last: float | None = None
    if session.last in items:
        last = float(price_N[items.index(session.last)])
    elif session.last in session.shown:
        last = float(_log(session.shown[session.last].price))
    return {
        "price": price_N,
        "price_to_mean": price_N - price_N.mean(),
        "price_rank": rank_N / max(len(items) - 1, 1),
        "cheapest": rank_N == 0,
        "price_to_last": 0.0 if last is None else price_N - last,
        "price_to_clicked": price_N - _log(session.clicked_prices).mean() if session.clicked_prices else 0.0,
        "price_changed": np.nan_to_num(price_N - np.array(before_N, np.float64)),
    }


def _of_session(moment: Moment, items: list[int], *, step: int, second: int) -> Columns:
    session, earlier = moment.session, moment.earlier
    known = [session.touched.get(item) for item in items]
    times_NJ = np.array([[0] * len(KINDS) if k is None else k.kinds for k in known], np.float64)
    rank = {item: at for at, item in enumerate(session.latest())}
    first = next(iter(session.touched), NO_ITEM)
    return {
        "touched": np.log1p(times_NJ.sum(axis=1)),
        **{name: np.log1p(times_NJ[:, at]) for at, name in enumerate(TOUCHES)},
        "touched_share": times_NJ.sum(axis=1) / max(session.touches, 1),
        "touched_recency": [1 / (1 + rank[item]) if item in rank else 0.0 for item in items],
        "touched_steps_ago": [0.0 if k is None else 1 / (1 + step - k.step) for k in known],
        "touched_seconds_ago": [0.0 if k is None else 1 / (1 + np.log1p(max(second - k.second, 0))) for k in known],
        "last": [item == session.last for item in items],
        "last_click": [item == session.last_click for item in items],
        "first_touched": [item == first for item in items],
        "touched_in_a_row": [np.log1p(session.in_a_row) if item == session.last else 0.0 for item in items],
        "touched_since_click": [k is not None and k.order > session.touches_at_click for k in known],
        "shown_before": [np.log1p(session.shown[item].times) if item in session.shown else 0.0 for item in items],
        "shown_not_touched": [item in session.shown and item not in session.touched for item in items],
        "touched_in_earlier_session": [item in earlier for item in items],
        "clicked_in_earlier_session": [earlier.get(item, False) for item in items],
    }


def _of_others(moment: Moment, items: list[int], user: int, others: Others) -> Columns:
    clicks_N, shown_N, expected_N, touched_N = others.counts(user, items).T
    with_touched, after_last = others.going_with(user, items, moment.session.latest())
    return {
        "others_clicks": np.log1p(clicks_N),
        "others_shown": np.log1p(shown_N),
        "others_over_expected": np.log((clicks_N + SMOOTHING) / (expected_N + SMOOTHING)),
        "others_touched": np.log1p(touched_N),
        "others_with_touched": np.log1p(with_touched),
        "others_after_last": np.log1p(after_last),
    }


def _around(moment: Moment, items: list[int], *, step: int, second: int) -> Columns:
    session = moment.session
    return {
        "items": len(items),
        "step": np.log1p(step),
        "touched_items": np.log1p(len(session.touched)),
        "touched_here": sum(item in session.touched for item in items),
        "last_here": session.last in items,
        "seconds_since": np.log1p(max(second - session.second, 0)),
        "since_asked": min(session.since_asked, LONG_AGO),
        "by_price": session.by_price,
        "other_order": session.other_order,
        "slates_before": np.log1p(session.slates),
    }


def _log(price: npt.ArrayLike) -> Array:
    """Of a price, which is taken for 1 where it is less."""
    found: Array = np.log(np.maximum(np.asarray(price, np.float64), 1.0))
    return found
