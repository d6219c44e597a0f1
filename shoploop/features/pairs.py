"""Features of a user and a candidate: one function, called alike when samples are built and by the predictor.

It sees a history that is cut at the request's day and the statistics of that day; it must not read a table or a clock.

Legend: N candidates, M of them that the user has bought, K features of the contract, C some of them, H history rows,
V baskets (days with a purchase), I items.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploop.features.catalog import Catalog, elapsed_bucket
from shoploop.features.contract import PAIR_FEATURES, Contract
from shoploop.features.distinct import distinct, firsts, ordered
from shoploop.features.habits import KIND_OF_DAY, PARTITIONS, Partition, rate_on_such_days
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

NEVER_BOUGHT = {
    "own_since_days": float(np.log1p(NEVER_DAYS)),
    "own_since_baskets": float(np.log1p(NEVER_BASKETS)),
    "own_hazard": -6.0,
}
"""What they are then; the others are 0."""

OF_KIND = {
    "kind_days": 0.0,
    "kind_since_days": float(np.log1p(NEVER_DAYS)),
    "kind_decay_days_90": 0.0,
    "kind_decay_baskets_90": 0.0,
    "kind_due": 0.0,
    "kind_items": 0.0,
}
"""Features that are the same for all candidates of a kind, and what they are of a kind that the user has never bought."""

OF_GROUP = {
    "group_days": 0.0,
    "group_since_days": float(np.log1p(NEVER_DAYS)),
    "group_decay_baskets_90": 0.0,
}
"""The same of the wider groups."""


@dataclass(frozen=True, kw_only=True)
class ByCode:
    """Features that are the same for all candidates of a kind, or of a wider group."""

    values_C: dict[str, Array]
    """Of each kind that the user has bought, ascending, and last of all others, (C,)."""

    place_N: npt.NDArray[np.intp]
    """Which of these a candidate's is."""

    def table(self, names: Sequence[str]) -> Float32:
        """Some of the features, (len(names), C)."""
        size = len(next(iter(self.values_C.values())))
        return np.array([self.values_C[name] for name in names], np.float32).reshape(len(names), size)

    def of_candidates(self, name: str) -> Array:
        """One of the features, (N,)."""
        values_N: Array = self.values_C[name].take(self.place_N)
        return values_N


@dataclass(frozen=True, kw_only=True)
class PairParts:
    """What is known of each candidate of a request, each number as often as it differs."""

    candidates_N: Int32
    bought_M: npt.NDArray[np.intp]
    """Places of the candidates that the user has bought, ascending."""

    own_M: dict[str, Array]
    """Of these, the features of one's own purchases, (M,); of all others they are :data:`NEVER_BOUGHT`."""

    pairs_N: dict[str, Array]
    """Features that differ from candidate to candidate and from user to user, (N,)."""

    kinds: ByCode
    """:data:`OF_KIND`."""

    groups: ByCode
    """:data:`OF_GROUP`."""

    request: dict[str, float]
    """Those that are the same for all candidates."""

    items: ItemMatrix
    catalog: Catalog

    def rows(self, names: Sequence[str]) -> Float32:
        """Some of :attr:`pairs_N`, (C, N)."""
        values_CN = np.empty((len(names), len(self.candidates_N)), np.float32)
        for row, name in enumerate(names):
            values_CN[row] = self.pairs_N[name]
        return values_CN

    def own(self, names: Sequence[str]) -> Float32:
        """Some features of one's own purchases, (C, 1 + M): first those of what was never bought."""
        values_CM = np.empty((len(names), 1 + len(self.bought_M)), np.float32)
        for row, name in enumerate(names):
            values_CM[row, 0] = NEVER_BOUGHT.get(name, 0.0)
            values_CM[row, 1:] = self.own_M[name]
        return values_CM

    def of_request(self, names: Sequence[str]) -> Float32:
        """Some features of the request, (C, 1)."""
        return np.array([[self.request[name]] for name in names], np.float32).reshape(-1, 1)

    def of_items(self, names: Sequence[str]) -> Float32:
        """Some features that are the items', (C, N)."""
        found = _item(self.candidates_N, self.items, self.catalog)
        return np.array([found[name] for name in names], np.float32).reshape(len(names), len(self.candidates_N))

    def whole(self, contract: Contract) -> Float32:
        """All features of the contract, (N, K) float32, finite."""
        # as it is written, and read by the DNN
        values_KN = np.empty((len(contract.columns_K), len(self.candidates_N)), np.float32)
        of_item = _item(self.candidates_N, self.items, self.catalog)
        for position, column in enumerate(contract.columns_K):
            name = PAIR_FEATURES[column].name
            if name in self.own_M:
                values_KN[position] = NEVER_BOUGHT.get(name, 0.0)
                values_KN[position, self.bought_M] = self.own_M[name]
            elif name in self.request:
                values_KN[position] = self.request[name]
            elif name in OF_KIND or name in OF_GROUP:
                values_KN[position] = (self.kinds if name in OF_KIND else self.groups).of_candidates(name)
            else:
                values_KN[position] = of_item[name] if name in OF_ITEM else self.pairs_N[name]
        values_NK: Float32 = values_KN.T
        return values_NK


def pair_parts(
    *,
    history: History,
    candidates_N: Int32,
    day: int,
    items: ItemMatrix,
    catalog: Catalog,
    user: UserRow,
    shop: ShopRow | None = None,
    after: Mapping[str, Array] | None = None,
    habits: Collection[Partition] = PARTITIONS,
) -> PairParts:
    """What is known of each candidate at a request: of all features that there are, of which a model reads its contract's.

    Args:
        history: The user's purchases; rows from ``day`` on are ignored.
        candidates_N: Vocabulary codes, each once.
        day: Day of the request, days since 1970-01-01 (UTC).
        items: Statistics of all items as of ``day``.
        catalog: Kinds, neighbours and factors.
        user: Statistics of the user as of ``day``.
        shop: Statistics of the user's usual shop as of ``day``; None where it has none.
        after: :func:`follower_scores` of the same history and catalog, where somebody has them.
        habits: Kinds of day whose features are wanted: the contract's. Few shops have them, and what they cost is seen.
    """
    history = history.before(day)
    read = _History(history, day, habits)
    bought_M, count_M, own_M = read.own(candidates_N, items, catalog)
    kinds, rows_N = read.by_code(candidates_N, catalog.kind_I, "kind", OF_KIND)
    groups, _ = read.by_code(candidates_N, catalog.group_I, "group", OF_GROUP)
    loyalty_N = np.zeros(len(candidates_N))
    loyalty_N[bought_M] = count_M / np.maximum(rows_N[bought_M], 1.0)
    pairs_N = {"kind_loyalty": loyalty_N}
    pairs_N |= _taste(history, candidates_N, catalog)
    pairs_N |= _after(after or follower_scores(history, catalog), candidates_N)
    pairs_N["item_price_ratio"] = _price_ratio(candidates_N, items, user)
    return PairParts(
        candidates_N=candidates_N,
        bought_M=bought_M,
        own_M=own_M,
        pairs_N=pairs_N,
        kinds=kinds,
        groups=groups,
        request=_request(day, user, shop or ShopRow()),
        items=items,
        catalog=catalog,
    )


class _History:
    """The history's rows with what every group of them is counted by."""

    def __init__(self, history: History, day: int, habits: Collection[Partition]):
        self.items_H = history.items_H
        self.days_H = history.days_H
        self.quantities_H = history.quantities_H.astype(np.float64)
        self.basket_H = history.visits_H.astype(np.int64)
        self.days_V = history.days_H[np.flatnonzero(np.diff(self.basket_H, prepend=-1))]
        self.baskets = len(self.days_V)
        # what is a visit's is computed once a visit
        self.age_V = (day - self.days_V).astype(np.float64)
        self.since_V = np.arange(self.baskets - 1, -1, -1, dtype=np.float64)
        self.decay_days_V = {days: np.exp(-self.age_V / days) for days in (30.0, 90.0, 180.0)}
        self.decay_baskets_V = {base: base**self.since_V for base in (0.8, 0.9, 0.95)}
        self.focus_H = 1.0 / np.maximum(history.sizes_H, 1)
        self.different = distinct(history.items_H)
        self.day = day
        self.habits = habits

    def own(
        self, candidates_N: Int32, items: ItemMatrix, catalog: Catalog
    ) -> tuple[npt.NDArray[np.intp], Array, dict[str, Array]]:
        """Which candidates the user has bought, how often, and what is known of these."""
        bought_M, place, row = self._bought(candidates_N, len(catalog))
        codes_M = candidates_N[bought_M]
        size = len(bought_M)
        visit = self.basket_H[row]
        age, since, focus = self.age_V[visit], self.since_V[visit], self.focus_H[row]

        def total(weights: Array | None = None) -> Array:
            return np.bincount(place, weights=weights, minlength=size).astype(np.float64, copy=False)

        count = total()
        # history is sorted by day: the last write is the latest purchase, and the first one of the reversed order
        last, first, last_baskets, first_baskets = (np.zeros(size) for _ in range(4))
        last[place], last_baskets[place] = age, since
        first[place[::-1]], first_baskets[place[::-1]] = age[::-1], since[::-1]
        gap = np.where(count > 1, (first - last) / np.maximum(count - 1, 1), 0.0)
        decay_90, baskets_90 = total(self.decay_days_V[90.0][visit]), total(self.decay_baskets_V[0.9][visit])
        decay_95 = self.decay_baskets_V[0.95][visit]
        all_days = self.decay_days_V[90.0].sum()
        all_baskets = (0.9 ** np.arange(self.baskets)).sum()
        share = count / max(self.baskets, 1)
        kind = catalog.kind_I[codes_M]
        log_odds = catalog.log_odds_CB[kind, elapsed_bucket(np.minimum(last, NEVER_DAYS).astype(np.int64))]
        chance = 1 / (1 + np.exp(-log_odds.astype(np.float64)))
        item_gap = items["mean_gap_days"][codes_M].astype(np.float64)
        weekday = (self.days_H[row] - self.day) % 7 == 0
        own = {
            "own_days": np.log1p(count),
            "own_share": share,
            "own_recent_share": count / (first_baskets + 1),
            "own_since_days": np.log1p(last),
            "own_since_baskets": np.log1p(last_baskets),
            "own_first_days": np.log1p(first),
            "own_decay_days_30": total(self.decay_days_V[30.0][visit]),
            "own_decay_days_90": decay_90,
            "own_decay_days_180": total(self.decay_days_V[180.0][visit]),
            "own_decay_baskets_80": total(self.decay_baskets_V[0.8][visit]),
            "own_decay_baskets_90": baskets_90,
            "own_decay_baskets_95": total(decay_95),
            "own_decay_rate_90": decay_90 / (all_days or 1.0),  # however long ago, all visits alike
            "own_decay_rate_baskets_90": baskets_90 / max(all_baskets, 1e-9),
            "own_focus": total(focus),
            "own_focus_decay": total(decay_95 * focus),
            "own_in_last": total((since < 1).astype(np.float64)),
            "own_in_last_5": total((since < 5).astype(np.float64)) / 5,
            "own_in_last_10": total((since < 10).astype(np.float64)) / 10,
            "own_gap_days": np.log1p(gap),
            "own_gap_spread": _spread(place, self.days_H[row], count, gap),
            "own_due": _ratio(last, gap, count > 1),
            "own_due_item": _ratio(last, item_gap, item_gap > 0),
            "own_hazard": log_odds,
            "own_hazard_share": chance * share,
            "own_weekday_share": total(weekday.astype(np.float64)) / count,
            "own_quantity": np.log1p(np.maximum(total(self.quantities_H[row]) / count, 0.0)),
        }
        for partition in self.habits:
            own[f"own_{partition}_rate"] = rate_on_such_days(
                partition,
                day=self.day,
                days_V=self.days_V,
                fade_V=self.decay_days_V[90.0],
                visit_R=visit,
                place_R=place,
                usual_M=own["own_decay_rate_90"],
            )
        return bought_M, count, own

    def _bought(
        self, candidates_N: Int32, items: int
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """The places of candidates that the user has bought, and the history's rows that hold one, with which of these.

        Args:
            candidates_N: Items.
            items: How many the vocabulary has.
        """
        size = len(candidates_N)
        place_I = np.full(items, -1, np.int32)
        place_I[candidates_N] = np.arange(size, dtype=np.int32)
        place_H = place_I.take(self.items_H)
        row = np.flatnonzero(place_H >= 0)
        at = place_H.take(row)
        bought_N = np.zeros(size, bool)
        bought_N[at] = True
        number_N = np.cumsum(bought_N) - 1
        return np.flatnonzero(bought_N), number_N[at], row

    def by_code(
        self, candidates_N: Int32, code_I: Int32, name: str, never: Mapping[str, float]
    ) -> tuple[ByCode, Array]:
        """What :meth:`own` says of an item of all items with the candidate's code, a day counting once, and how many rows of
        the history have that code, (N,).

        Args:
            candidates_N: Items.
            code_I: Of each item of the vocabulary.
            name: Of the code, kind or group: what the features' names begin with.
            never: The features, and what each is where nothing with the code was bought.
        """
        code_H = code_I[self.items_H].astype(np.int64)
        # rows by code and then basket, in whose order they come, of which the first of each stands for the day
        ordered_H, order = ordered(code_H)
        new_H = firsts(ordered_H)
        begins = np.flatnonzero(new_H)
        ordered_basket_H = self.basket_H.take(order)
        starts = np.flatnonzero(firsts(ordered_basket_H) | new_H)
        basket = ordered_basket_H.take(starts)
        new = new_H.take(starts)
        codes, inverse = ordered_H.take(begins), np.cumsum(new) - 1
        size = len(codes)
        # the last one stands for codes of which nothing was bought
        place_I = np.full(int(code_I.max(initial=-1)) + 1, size, np.intp)
        place_I[codes] = np.arange(size)
        days = np.bincount(inverse, minlength=size).astype(np.float64)
        age = self.age_V[basket]
        last = np.full(size, NEVER_DAYS)
        last[inverse] = age
        made = {
            "days": np.log1p(days),
            "since_days": np.log1p(last),
            "decay_baskets_90": np.bincount(inverse, self.decay_baskets_V[0.9][basket], size),
        }
        if name == "kind":
            first = np.zeros(size)
            first[inverse[::-1]] = age[::-1]
            gap = np.where(days > 1, (first - last) / np.maximum(days - 1, 1), 0.0)
            variety = np.bincount(place_I[code_I[self.different]], minlength=size).astype(np.float64)
            made |= {
                "decay_days_90": np.bincount(inverse, self.decay_days_V[90.0][basket], size),
                "due": _ratio(last, gap, days > 1),
                "items": np.log1p(variety),
            }
        values_C = {feature: np.append(made[feature.removeprefix(f"{name}_")], never[feature]) for feature in never}
        place_N = place_I.take(code_I.take(candidates_N))
        rows_C = np.append(np.diff(begins, append=len(code_H)), 0).astype(np.float64)
        return ByCode(values_C=values_C, place_N=place_N), rows_C.take(place_N)


def _ratio(days: Array, gap: Array, where: npt.NDArray[np.bool_]) -> Array:
    return np.where(where, np.minimum(days / np.maximum(gap, 0.5), MOST_OVERDUE), 0.0)


def _spread(place: npt.NDArray[np.intp], days: Int32, count: Array, gap: Array) -> Array:
    """Standard deviation over mean of the gaps between a candidate's purchases."""
    place, order = ordered(place)
    days = days[order]
    same = place[1:] == place[:-1]
    gaps = np.diff(days)[same].astype(np.float64)
    squares = np.bincount(place[1:][same], weights=gaps * gaps, minlength=len(count))
    variance = squares / np.maximum(count - 1, 1) - gap * gap
    return np.where(count > 2, np.sqrt(np.maximum(variance, 0.0)) / np.maximum(gap, 0.5), 0.0)


def _taste(history: History, candidates_N: Int32, catalog: Catalog) -> dict[str, Array]:
    """What the other items bought say about a candidate."""
    items_H = history.items_H
    since_H = history.since_H
    # take is indexing in half the time
    near_NM = catalog.neighbours_IM.take(candidates_N, 0).astype(np.intp)  # once: take would twice
    weight_NM = catalog.neighbour_weights_IM.take(candidates_N, 0)
    count_I = np.bincount(items_H, minlength=len(catalog)).astype(np.float32)
    count_I[items_H] = np.log1p(count_I[items_H])
    faded_V = 0.8 ** np.arange(history.visits)
    recent_I = np.bincount(items_H, weights=faded_V[since_H], minlength=len(catalog)).astype(np.float32)
    factors_ND = catalog.factors_ID.take(candidates_N, 0)
    last = items_H[since_H < 5]
    return {
        "taste_all": np.einsum("nm,nm->n", count_I.take(near_NM), weight_NM),
        "taste_recent": np.einsum("nm,nm->n", recent_I.take(near_NM), weight_NM),
        "factor_recent": factors_ND @ _direction(catalog.factors_ID.take(last, 0)),
        "factor_all": factors_ND @ _direction(catalog.factors_ID.take(items_H, 0)),
    }


def _after(after: Mapping[str, Array], candidates_N: Int32) -> dict[str, Array]:
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
            weights = chance_HP[rows].ravel()
            total: Array = np.bincount(near_HP[rows].ravel(), weights=weights, minlength=len(catalog)).astype(
                float, copy=False
            )
            if (all_visits := float(weight_H[rows].sum())) > 1.0:
                total /= all_visits
            found[f"{name}_{which}"] = total
    return found


def _direction(rows: Float32) -> Float32:
    mean = rows.sum(axis=0)
    norm = float(np.linalg.norm(mean))
    direction: Float32 = (mean / norm if norm > 1e-9 else mean).astype(np.float32)
    return direction


def _item(candidates_N: Int32, items: ItemMatrix, catalog: Catalog) -> dict[str, Array]:
    """What is said of an item to everybody."""
    values_SN = np.ascontiguousarray(items.values_IS.take(candidates_N, 0).T, np.float64)

    def stat(name: str) -> Array:
        values_N: Array = values_SN[NAMES.index(name)]
        return values_N

    rates = {w: np.log(stat(f"rate_{w}") + RATE_FLOOR) for w in RATE_DAYS}
    bought, buyers, price = stat("purchases_total"), stat("buyers_total"), stat("mean_price")
    of_kind = np.bincount(
        catalog.kind_I, weights=items["purchases_28"], minlength=int(catalog.kind_I.max(initial=0)) + 1
    )
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
        "kind_rank": stat("purchases_28") / np.maximum(of_kind[catalog.kind_I[candidates_N]], 1.0),
    }


def _price_ratio(candidates_N: Int32, items: ItemMatrix, user: UserRow) -> Array:
    price_N = items.values_IS[candidates_N, NAMES.index("mean_price")].astype(np.float64)
    known_N = (price_N > 0) & (user.mean_price > 0)
    return np.where(known_N, np.log(np.maximum(price_N, 1e-3) / max(user.mean_price, 1e-3)), 0.0)


def _request(day: int, user: UserRow, shop: ShopRow) -> dict[str, float]:
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
        "weekend": float(KIND_OF_DAY["weekend"](day)),
        "shop_visits": float(np.log1p(shop.visits_28)),
        "shop_basket_size": float(np.log1p(shop.mean_basket_size_28)),
    }
