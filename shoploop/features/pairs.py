"""Features of a user and a candidate: one function, called alike when samples are built and by the predictor.

It sees a history that is cut at the request's day and the statistics of that day; it must not read a table or a clock.

Legend: N candidates, K features of the contract, C some of them, H history rows, I items.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploop.features.catalog import Catalog
from shoploop.features.contract import PAIR_FEATURES, Contract
from shoploop.features.habits import KIND_OF_DAY, PARTITIONS, Partition
from shoploop.features.history import History
from shoploop.features.in_shop import Here, nowhere
from shoploop.features.item import NAMES, RATE_DAYS, ItemMatrix
from shoploop.features.log import Float32, Int32
from shoploop.features.offers import OnOffer
from shoploop.features.own_history import (
    MOST_OVERDUE,
    NEVER_DAYS,
    OF_GROUP,
    OF_KIND,
    OF_OWN_PURCHASES,
    Bought,
    ByCode,
    OwnHistory,
    loyalty,
)
from shoploop.features.shop import ShopRow
from shoploop.features.user import UserRow

Array = npt.NDArray[np.float64]
FOLLOWED_VISITS, FOLLOWED_DECAY = 10, 0.9
"""Last visits whose followers count, and what one counts less for each visit since."""

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


@dataclass(frozen=True, kw_only=True)
class PairParts:
    """What is known of each candidate of a request, each number as often as it differs."""

    candidates_N: Int32
    own: Bought
    """:data:`~shoploop.features.own_history.OF_OWN_PURCHASES`."""

    pairs_N: dict[str, Array]
    """Features that differ from candidate to candidate and from user to user, (N,)."""

    kinds: ByCode
    """:data:`~shoploop.features.own_history.OF_KIND`."""

    groups: ByCode
    """:data:`~shoploop.features.own_history.OF_GROUP`."""

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
            if name in OF_OWN_PURCHASES:
                self.own.lay(name, values_KN[position])
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
    offers: OnOffer | None = None,
    here: Here | None = None,
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
        offers: What is on offer on ``day``; None where the contract knows of no offers.
        here: What sells in the shop that the request names; None where it names none.
    """
    history = history.before(day)
    read = OwnHistory(history, day, habits)
    own, kinds = read.bought(candidates_N, items, catalog), read.kinds(candidates_N, catalog)
    pairs_N = {"kind_loyalty": loyalty(own, kinds)}
    pairs_N |= _taste(history, candidates_N, catalog)
    pairs_N |= _after(after or follower_scores(history, catalog), candidates_N)
    pairs_N["item_price_ratio"] = _price_ratio(candidates_N, items, user)
    if offers is not None:
        pairs_N |= offers.features(candidates_N, user)
    pairs_N |= nowhere(candidates_N) if here is None else here.features(candidates_N)
    return PairParts(
        candidates_N=candidates_N,
        own=own,
        pairs_N=pairs_N,
        kinds=kinds,
        groups=read.groups(candidates_N, catalog),
        request=_request(day, user, shop or ShopRow()),
        items=items,
        catalog=catalog,
    )


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
