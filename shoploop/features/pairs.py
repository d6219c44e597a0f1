"""Features of a user and a candidate: one function, called alike when samples are built and by the predictor.

It sees a history that is cut at the request's day and the statistics of that day; it must not read a table or a clock.

Legend: N candidates, K features of the contract, H history rows, V baskets (days with a purchase), I items.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from shoploop.features.catalog import Catalog, elapsed_bucket
from shoploop.features.contract import PAIR_FEATURES, Contract
from shoploop.features.distinct import distinct
from shoploop.features.history import History
from shoploop.features.item import NAMES, RATE_DAYS, ItemMatrix
from shoploop.features.log import Float32, Int32
from shoploop.features.shop import ShopRow
from shoploop.features.user import UserRow

Array = npt.NDArray[np.float64]
FOLLOWED_VISITS, FOLLOWED_DECAY = 10, 0.9
"""Last visits whose followers count, and what one counts less for each visit since."""

NEVER_DAYS, NEVER_BASKETS, MOST_OVERDUE = 400.0, 200.0, 10.0
RATE_FLOOR, CHANCE_FLOOR = 1e-6, 1e-5

OF_REQUEST = frozenset(
    "user_days user_basket_size user_gap_days user_since_days user_since_ratio user_repeat_share user_variety weekend "
    "shop_visits shop_basket_size".split()
)
"""Features that are the same for all candidates of a request."""

OF_ITEM = frozenset(
    "item_rate_1 item_rate_3 item_rate_7 item_rate_28 item_rate_91 item_trend item_repeat item_gap_days item_buyers_28 "
    "item_since_days item_known_days item_price item_price_change kind_rank".split()
)
"""Features that are an item's for whoever asks on a day."""

OF_WHAT_GOES_WITH_IT = {
    **dict.fromkeys(("taste_all", "taste_recent", "factor_recent", "factor_all"), 0.0),
    **dict.fromkeys(("after_last", "after_recent", "lately_last", "lately_recent"), float(np.log(CHANCE_FLOOR))),
}
"""Features that others' purchases of an item make, and what they are where nobody has bought it."""

BOUGHT = "own_days"
"""Above 0 where the user has bought the candidate."""

OF_OWN_PURCHASES = frozenset(feature.name for feature in PAIR_FEATURES if feature.name.startswith("own_"))
"""Features that are the same for all candidates that the user has never bought."""


def pair_features(
    contract: Contract,
    *,
    history: History,
    candidates_N: Int32,
    day: int,
    items: ItemMatrix,
    catalog: Catalog,
    user: UserRow,
    shop: ShopRow | None = None,
    after: Mapping[str, Array] | None = None,
) -> Float32:
    """What the model knows about each candidate at a request.

    Args:
        contract: Names the features wanted, in their order.
        history: The user's purchases; rows from ``day`` on are ignored.
        candidates_N: Vocabulary codes, each once.
        day: Day of the request, days since 1970-01-01 (UTC).
        items: Statistics of all items as of ``day``.
        catalog: Kinds, neighbours and factors.
        user: Statistics of the user as of ``day``.
        shop: Statistics of the user's usual shop as of ``day``; None where it has none.
        after: :func:`follower_scores` of the same history and catalog, where somebody has them.

    Returns:
        (N, K) float32, finite.
    """
    history = history.before(day)
    columns = _History(history, day).columns(candidates_N, items, catalog)
    columns |= _taste(history, candidates_N, catalog)
    columns |= _after(after or follower_scores(history, catalog), candidates_N)
    columns |= _item(candidates_N, items, catalog, user)
    columns |= _request(day, user, shop or ShopRow())
    values_KN = np.empty(
        (len(contract.columns_K), len(candidates_N)), np.float32
    )  # as it is written, and read by the DNN
    for position, column in enumerate(contract.columns_K):
        values_KN[position] = columns[PAIR_FEATURES[column].name]
    values_NK: Float32 = values_KN.T
    return values_NK


class _History:
    """The history's rows with what every group of them is counted by."""

    def __init__(self, history: History, day: int):
        self.items_H = history.items_H
        self.days_H = history.days_H
        self.quantities_H = history.quantities_H.astype(np.float64)
        self.age_H = (day - history.days_H).astype(np.float64)
        self.basket_H = history.visits_H.astype(np.int64)
        self.days_V = history.days_H[np.flatnonzero(np.diff(self.basket_H, prepend=-1))]
        self.baskets = len(self.days_V)
        self.since_H = (self.baskets - 1 - self.basket_H).astype(np.float64)
        self.focus_H = 1.0 / np.maximum(history.sizes_H, 1)
        self.day = day

    def columns(self, candidates_N: Int32, items: ItemMatrix, catalog: Catalog) -> dict[str, Array | float]:
        columns = self._own(candidates_N, items, catalog)
        columns |= self._kind(candidates_N, catalog.kind_I, "kind", columns["own_count"])
        columns |= self._kind(candidates_N, catalog.group_I, "group", columns["own_count"])
        return columns

    def _own(self, candidates_N: Int32, items: ItemMatrix, catalog: Catalog) -> dict[str, Array | float]:
        size = len(candidates_N)
        order = np.argsort(candidates_N, kind="stable")
        found_H = np.searchsorted(candidates_N, self.items_H, sorter=order)
        place_H = order[np.minimum(found_H, size - 1)] if size else found_H
        among_H = (candidates_N[place_H] == self.items_H) if size else np.zeros(len(self.items_H), bool)
        row, place = np.flatnonzero(among_H), place_H[among_H]
        age, since, focus = self.age_H[row], self.since_H[row], self.focus_H[row]

        def total(weights: Array | None = None) -> Array:
            return np.bincount(place, weights=weights, minlength=size).astype(np.float64)

        count = total()
        never = count == 0
        some = np.maximum(count, 1)
        # history is sorted by day: the last write is the latest purchase, and the first one of the reversed order
        last, first = np.full(size, NEVER_DAYS), np.zeros(size)
        last_baskets, first_baskets = np.full(size, NEVER_BASKETS), np.zeros(size)
        last[place], last_baskets[place] = age, since
        first[place[::-1]], first_baskets[place[::-1]] = age[::-1], since[::-1]
        gap = np.where(count > 1, (first - last) / np.maximum(count - 1, 1), 0.0)
        decay_30, decay_90, decay_180 = (np.exp(-age / d) for d in (30.0, 90.0, 180.0))
        decays = {b: b**since for b in (0.8, 0.9, 0.95)}
        all_days = np.exp(-(self.day - self.days_V) / 90.0).sum()
        all_baskets = (0.9 ** np.arange(self.baskets)).sum()
        share = count / max(self.baskets, 1)
        kind = catalog.kind_I[candidates_N]
        log_odds = catalog.log_odds_CB[kind, elapsed_bucket(np.minimum(last, NEVER_DAYS).astype(np.int64))]
        chance = 1 / (1 + np.exp(-log_odds.astype(np.float64)))
        item_gap = items["mean_gap_days"][candidates_N].astype(np.float64)
        weekday = (self.days_H[row] - self.day) % 7 == 0
        return {
            "own_count": count,
            "own_days": np.log1p(count),
            "own_share": share,
            "own_recent_share": np.where(never, 0.0, count / (first_baskets + 1)),
            "own_since_days": np.log1p(last),
            "own_since_baskets": np.log1p(last_baskets),
            "own_first_days": np.log1p(first),
            "own_decay_days_30": total(decay_30),
            "own_decay_days_90": total(decay_90),
            "own_decay_days_180": total(decay_180),
            "own_decay_baskets_80": total(decays[0.8]),
            "own_decay_baskets_90": total(decays[0.9]),
            "own_decay_baskets_95": total(decays[0.95]),
            "own_decay_rate_90": total(decay_90) / max(all_days, 1e-9),
            "own_decay_rate_baskets_90": total(decays[0.9]) / max(all_baskets, 1e-9),
            "own_focus": total(focus),
            "own_focus_decay": total(decays[0.95] * focus),
            "own_in_last": total((since < 1).astype(np.float64)),
            "own_in_last_5": total((since < 5).astype(np.float64)) / 5,
            "own_in_last_10": total((since < 10).astype(np.float64)) / 10,
            "own_gap_days": np.log1p(gap),
            "own_gap_spread": _spread(place, self.days_H[row], count, gap),
            "own_due": _ratio(last, gap, count > 1),
            "own_due_item": _ratio(last, item_gap, ~never & (item_gap > 0)),
            "own_hazard": np.where(never, -6.0, log_odds),
            "own_hazard_share": np.where(never, 0.0, chance * share),
            "own_weekday_share": total(weekday.astype(np.float64)) / some,
            "own_quantity": np.log1p(np.maximum(total(self.quantities_H[row]) / some, 0.0)),
        }

    def _kind(self, candidates_N: Int32, code_I: Int32, name: str, own: Array | float) -> dict[str, Array | float]:
        """The same of all items with the candidate's code, a day counting once."""
        code_H = code_I[self.items_H].astype(np.int64)
        kinds, start = np.unique(code_H * (self.baskets + 1) + self.basket_H, return_index=True)
        code, basket = kinds // (self.baskets + 1), kinds % (self.baskets + 1)
        age, since = self.age_H[start], (self.baskets - 1 - basket).astype(np.float64)
        codes, inverse = np.unique(code, return_inverse=True)
        size = len(codes)
        days = np.bincount(inverse, minlength=size).astype(np.float64)
        last, first = np.full(size, NEVER_DAYS), np.zeros(size)
        last[inverse] = age
        first[inverse[::-1]] = age[::-1]
        gap = np.where(days > 1, (first - last) / np.maximum(days - 1, 1), 0.0)
        rows = np.bincount(np.searchsorted(codes, code_H), minlength=size).astype(np.float64)
        wanted = code_I[candidates_N].astype(np.int64)
        at_N = np.minimum(np.searchsorted(codes, wanted), max(size - 1, 0))
        known_N = codes[at_N] == wanted if size else np.zeros(len(wanted), bool)

        def spread(values: npt.NDArray[Any], missing: float = 0.0) -> Array:
            return np.where(known_N, values[at_N], missing) if size else np.full(len(wanted), missing)

        different = distinct(self.items_H)
        variety = np.bincount(np.searchsorted(codes, code_I[different]), minlength=size).astype(np.float64)
        return {
            f"{name}_days": np.log1p(spread(days)),
            f"{name}_since_days": np.log1p(spread(last, NEVER_DAYS)),
            f"{name}_decay_days_90": spread(np.bincount(inverse, weights=np.exp(-age / 90.0), minlength=size)),
            f"{name}_decay_baskets_90": spread(np.bincount(inverse, weights=0.9**since, minlength=size)),
            f"{name}_due": spread(_ratio(last, gap, days > 1)),
            f"{name}_loyalty": own / np.maximum(spread(rows), 1.0),
            f"{name}_items": np.log1p(spread(variety)),
        }


def _ratio(days: Array, gap: Array, where: npt.NDArray[np.bool_]) -> Array:
    return np.where(where, np.minimum(days / np.maximum(gap, 0.5), MOST_OVERDUE), 0.0)


def _spread(place: npt.NDArray[np.intp], days: Int32, count: Array, gap: Array) -> Array:
    """Standard deviation over mean of the gaps between a candidate's purchases."""
    order = np.argsort(place, kind="stable")
    place, days = place[order], days[order]
    same = place[1:] == place[:-1]
    gaps = np.diff(days)[same].astype(np.float64)
    squares = np.bincount(place[1:][same], weights=gaps * gaps, minlength=len(count))
    variance = squares / np.maximum(count - 1, 1) - gap * gap
    return np.where(count > 2, np.sqrt(np.maximum(variance, 0.0)) / np.maximum(gap, 0.5), 0.0)


def _taste(history: History, candidates_N: Int32, catalog: Catalog) -> dict[str, Array | float]:
    """What the other items bought say about a candidate."""
    items_H = history.items_H
    since_H = history.since_H
    # take is indexing in half the time
    near_NM = catalog.neighbours_IM.take(candidates_N, 0).astype(np.intp)  # once: take would twice
    weight_NM = catalog.neighbour_weights_IM.take(candidates_N, 0)
    count_I = np.bincount(items_H, minlength=len(catalog)).astype(np.float32)
    recent_I = np.bincount(items_H, weights=0.8**since_H, minlength=len(catalog)).astype(np.float32)
    factors_ND = catalog.factors_ID.take(candidates_N, 0)
    last = items_H[since_H < 5]
    return {
        "taste_all": np.einsum("nm,nm->n", np.log1p(count_I).take(near_NM), weight_NM),
        "taste_recent": np.einsum("nm,nm->n", recent_I.take(near_NM), weight_NM),
        "factor_recent": factors_ND @ _direction(catalog.factors_ID[last]),
        "factor_all": factors_ND @ _direction(catalog.factors_ID.take(items_H, 0)),
    }


def _after(after: Mapping[str, Array], candidates_N: Int32) -> dict[str, Array | float]:
    """What is bought after the items of the last visits."""
    return {name: np.log(scores_I[candidates_N] + CHANCE_FLOOR) for name, scores_I in after.items()}


def follower_scores(history: History, catalog: Catalog) -> dict[str, Array]:
    """How likely each item is to follow what was bought, (I,) by the names of pair features; 0 where nothing says so.

    Args:
        history: The user's purchases before the request.
        catalog: As of the request's day.
    """
    since_H = history.since_H
    recent_H = since_H < FOLLOWED_VISITS
    items_H, since_H = history.items_H[recent_H], since_H[recent_H]
    weight_H: Array = np.power(FOLLOWED_DECAY, since_H.astype(np.float64))
    last_H = since_H == 0
    found = {}
    for name, items_IP, weights_IP in (
        ("after", catalog.after_IP, catalog.after_weights_IP),
        ("lately", catalog.lately_IP, catalog.lately_weights_IP),
    ):
        near_HP, chance_HP = items_IP.take(items_H, 0), weights_IP.take(items_H, 0) * weight_H[:, None]
        for which, rows in (("last", last_H), ("recent", slice(None))):
            total = np.bincount(near_HP[rows].ravel(), weights=chance_HP[rows].ravel(), minlength=len(catalog))
            found[f"{name}_{which}"] = total / max(float(weight_H[rows].sum()), 1.0)
    return found


def _direction(rows: Float32) -> Float32:
    mean = rows.sum(axis=0)
    norm = float(np.linalg.norm(mean))
    direction: Float32 = (mean / norm if norm > 1e-9 else mean).astype(np.float32)
    return direction


def _item(candidates_N: Int32, items: ItemMatrix, catalog: Catalog, user: UserRow) -> dict[str, Array | float]:
    values_SN = np.ascontiguousarray(items.values_IS.take(candidates_N, 0).T, np.float64)

    def stat(name: str) -> Array:
        values_N: Array = values_SN[NAMES.index(name)]
        return values_N

    rates = {w: np.log(stat(f"rate_{w}") + RATE_FLOOR) for w in RATE_DAYS}
    bought, buyers, price = stat("purchases_total"), stat("buyers_total"), stat("mean_price")
    of_kind = np.bincount(
        catalog.kind_I, weights=items["purchases_28"], minlength=int(catalog.kind_I.max(initial=0)) + 1
    )
    known_price = (price > 0) & (user.mean_price > 0)
    price_ratio = np.log(np.maximum(price, 1e-3) / max(user.mean_price, 1e-3))
    return {
        "item_rate_1": rates[1],
        "item_rate_3": rates[3],
        "item_rate_7": rates[7],
        "item_rate_28": rates[28],
        "item_rate_91": rates[91],
        "item_trend": rates[7] - rates[91],
        "item_repeat": 1 - buyers / np.maximum(bought, 1),
        "item_gap_days": np.log1p(stat("mean_gap_days")),
        "item_buyers_28": np.log1p(stat("buyers_28")),
        "item_since_days": np.log1p(stat("days_since_sold")),
        "item_known_days": np.log1p(stat("days_known")),
        "item_price": np.log1p(price),
        "item_price_change": stat("price_change"),
        "item_price_ratio": np.where(known_price, price_ratio, 0.0),
        "kind_rank": stat("purchases_28") / np.maximum(of_kind[catalog.kind_I[candidates_N]], 1.0),
    }


def _request(day: int, user: UserRow, shop: ShopRow) -> dict[str, Array | float]:
    since = NEVER_DAYS if user.last_day is None else float(min(day - user.last_day, NEVER_DAYS))
    gap = user.mean_gap_days
    return {
        "user_days": float(np.log1p(user.days_active)),
        "user_basket_size": float(np.log1p(user.mean_basket_size)),
        "user_gap_days": float(np.log1p(gap)),
        "user_since_days": float(np.log1p(since)),
        "user_since_ratio": min(since / max(gap, 0.5), MOST_OVERDUE) if user.days_active > 1 else 0.0,
        "user_repeat_share": user.repeat_share,
        "user_variety": user.distinct_items / max(user.purchases, 1.0),
        # 1970-01-01 was a Thursday
        "weekend": float((day + 3) % 7 >= 5),
        "shop_visits": float(np.log1p(shop.visits_28)),
        "shop_basket_size": float(np.log1p(shop.mean_basket_size_28)),
    }
