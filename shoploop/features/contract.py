"""The names, types and order of every feature: the one place where they are written down.

A contract is resolved per dataset (a shop without prices has no price features), written beside the features and into
every model version; its hash decides whether a model may run on the features at hand.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.errors import SchemaMismatch
from shoploop.features.habits import PARTITIONS, Partition
from shoploop.schemas import POSITIVE_KINDS

Needs = Literal[
    "category", "price", "shop", "weekday", "weekend",
    "offers", "offers_2", "offers_3", "offers_in_shops", "offers_in_shops_2", "offers_in_shops_3", "in_shop",
]  # fmt: skip

FORMAT = 1
"""Raised whenever a feature's meaning changes under an unchanged name."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One number or id of a statistics table, or of a pair."""

    name: str
    dtype: Literal["float32", "int32", "string"] = "float32"
    needs: Needs | None = None
    """What the data must have for the feature to exist; of ``weekday`` and ``weekend`` that choices hang on such kinds of
    day (:mod:`shoploop.features.habits`); of offers so many kinds of them (:mod:`shoploop.features.offers`), which name
    shops; of ``in_shop`` that requests name the shop that the shopper is in (:mod:`shoploop.features.in_shop`)."""

    about: str


def _feature(
    name: str, about: str, *, dtype: Literal["float32", "int32", "string"] = "float32", needs: Needs | None = None
) -> Feature:
    return Feature(name=name, dtype=dtype, needs=needs, about=about)


USER_STATS = (
    _feature("days_active", "days with a purchase"),
    _feature("purchases", "purchases, an item counting once a day"),
    _feature("distinct_items", "different items bought"),
    _feature("mean_basket_size", "different items per day with a purchase"),
    _feature("mean_gap_days", "days between two days with a purchase; 0 where there is only one"),
    _feature("repeat_share", "share of purchases of items bought before"),
    _feature("mean_price", "money per piece, mean over purchases of known price; 0 where unknown"),
    _feature("first_day", "first day with a purchase, days since 1970-01-01", dtype="int32"),
    _feature("last_day", "last day with a purchase, days since 1970-01-01", dtype="int32"),
    _feature("usual_shop", "shop visited on the most days; empty where unknown", dtype="string"),
    _feature(
        "visited_shops",
        "share of the visits to each shop, the latest counting most (30 days), as JSON; empty where unknown",
        dtype="string",
        needs="offers_in_shops",
    ),
)
"""Per user and day; a row stamped t covers the days before t."""

ITEM_STATS = (
    _feature("rate_1", "share of yesterday's baskets (user and day) that hold the item"),
    _feature("rate_3", "the same of the last 3 days"),
    _feature("rate_7", "the same of 7 days"),
    _feature("rate_28", "the same of 28 days"),
    _feature("rate_91", "the same of 91 days"),
    _feature("purchases_28", "baskets of the last 28 days that hold the item"),
    _feature("buyers_28", "different users who bought it in the last 28 days"),
    _feature("purchases_total", "baskets so far that hold the item"),
    _feature("buyers_total", "different users so far"),
    _feature("mean_gap_days", "days between two purchases by one user, mean so far; 0 where nobody bought it twice"),
    _feature("mean_price", "money per piece, mean of the last 91 days; 0 where unknown"),
    _feature("price_change", "log of the mean price of the last 7 days over that of 91; 0 where unknown"),
    _feature("days_since_sold", "days since its last purchase by anyone; 999 where never"),
    _feature("days_known", "days since its first purchase by anyone; 0 where never"),
)
"""Per item and day, same rule."""

SHOP_STATS = (
    _feature("visits_7", "baskets of the last 7 days"),
    _feature("visits_28", "baskets of the last 28 days"),
    _feature("visitors_28", "different users of the last 28 days"),
    _feature("items_28", "different items sold in the last 28 days"),
    _feature("mean_basket_size_28", "different items per basket of the last 28 days"),
)
"""Per shop and day, same rule."""

PAIR_FEATURES = (
    # the user's own purchases of the item
    _feature("own_days", "log(1 + days on which the user bought the item)"),
    _feature("own_share", "share of the user's baskets that hold it"),
    _feature("own_recent_share", "share of the baskets since its first purchase that hold it"),
    _feature("own_since_days", "log(1 + days since the last purchase); of 400 days where never bought"),
    _feature("own_since_baskets", "log(1 + baskets since the last purchase); of 200 where never bought"),
    _feature("own_first_days", "log(1 + days since the first purchase); 0 where never bought"),
    _feature("own_decay_days_30", "purchases of the item, each fading with its age: sum of exp(-age / 30 days)"),
    _feature("own_decay_days_90", "purchases of the item, fading slower: sum of exp(-age / 90 days)"),
    _feature("own_decay_days_180", "purchases of the item, fading slowest: sum of exp(-age / 180 days)"),
    _feature("own_decay_baskets_80", "purchases of the item, each fading by 0.8 with every basket since"),
    _feature("own_decay_baskets_90", "purchases of the item, each fading by 0.9 with every basket since"),
    _feature("own_decay_baskets_95", "purchases of the item, each fading by 0.95 with every basket since"),
    _feature("own_decay_rate_90", "share of the user's baskets that hold the item, the latest counting most (90 days)"),
    _feature(
        "own_decay_rate_baskets_90",
        "share of the user's baskets that hold the item, the latest counting most (0.9 a basket)",
    ),
    _feature("own_focus", "purchases of the item, each over the size of its basket"),
    _feature(
        "own_focus_decay", "purchases of the item, each over its basket's size, fading by 0.95 with every basket since"
    ),
    _feature("own_in_last", "1 where the last basket holds it"),
    _feature("own_in_last_5", "share of the last 5 baskets that hold it"),
    _feature("own_in_last_10", "share of the last 10 baskets that hold it"),
    _feature("own_gap_days", "log(1 + mean days between its purchases); 0 where bought less than twice"),
    _feature("own_gap_spread", "standard deviation of these gaps over their mean; 0 where bought less than 3 times"),
    _feature("own_due", "days since the last purchase over the mean gap, at most 10; 0 where bought less than twice"),
    _feature("own_due_item", "days since the last purchase over the item's mean gap among all users, at most 10"),
    _feature("own_hazard", "log odds that a bought item of its kind is bought again after this many days"),
    _feature("own_hazard_share", "chance that it is bought again after so many days, times its share of baskets"),
    _feature("own_weekday_share", "share of its purchases on the request's weekday"),
    _feature(
        "own_weekday_rate",
        "share of the user's baskets of the request's weekday that hold it, the latest counting most (90 days), drawn to "
        "own_decay_rate_90 where they are few",
        needs="weekday",
    ),
    _feature(
        "own_weekend_rate",
        "the same of baskets of such days: workdays, or Saturdays and Sundays",
        needs="weekend",
    ),
    _feature("own_quantity", "log(1 + mean pieces per purchase)"),
    # the user's purchases of the same kind of item
    _feature("kind_days", "log(1 + days on which the user bought the item's kind)", needs="category"),
    _feature("kind_since_days", "log(1 + days since the user last bought the kind)", needs="category"),
    _feature(
        "kind_decay_days_90",
        "days with a purchase of the kind, each fading with its age: sum of exp(-age / 90 days)",
        needs="category",
    ),
    _feature(
        "kind_decay_baskets_90",
        "days with a purchase of the kind, each fading by 0.9 with every basket since",
        needs="category",
    ),
    _feature("kind_due", "days since the last purchase of the kind over the mean gap, at most 10", needs="category"),
    _feature("kind_loyalty", "share of the user's purchases of that kind that were this item", needs="category"),
    _feature("kind_items", "log(1 + different items of that kind that the user bought)", needs="category"),
    _feature("group_days", "log(1 + days on which the user bought the wider group)", needs="category"),
    _feature(
        "group_decay_baskets_90",
        "days with a purchase of the wider group, each fading by 0.9 with every basket since",
        needs="category",
    ),
    _feature("group_since_days", "log(1 + days since the user last bought the wider group)", needs="category"),
    # what goes with what
    _feature("taste_all", "EASE score of the item given all the user's purchases (Steck 2019)"),
    _feature("taste_recent", "EASE score of the item given the purchases, each fading by 0.8 with every basket since"),
    _feature("factor_recent", "cosine of the item's factors and those of the last 5 baskets"),
    _feature("factor_all", "cosine of the item's factors and those of the whole history"),
    _feature("after_last", "log of the chance that it is bought at a visit after what the last one held"),
    _feature("after_recent", "log of the same for the last 10 visits, each counting 0.9 to the number of visits since"),
    _feature("lately_last", "after_last where purchases of the last weeks count most"),
    _feature("lately_recent", "after_recent where purchases of the last weeks count most"),
    # the item
    _feature("item_rate_1", "log of the item's share of baskets, yesterday"),
    _feature("item_rate_3", "log of the item's share of baskets, 3 days"),
    _feature("item_rate_7", "log of the item's share of baskets, 7 days"),
    _feature("item_rate_28", "log of the item's share of baskets, 28 days"),
    _feature("item_rate_91", "log of the item's share of baskets, 91 days"),
    _feature("item_trend", "log of the item's share of baskets of 7 days over that of 91 days"),
    _feature("item_repeat", "share of its purchases by users who had bought it before"),
    _feature("item_gap_days", "log(1 + mean days between one user's purchases)"),
    _feature("item_buyers_28", "log(1 + different users, 28 days)"),
    _feature("item_since_days", "log(1 + days since anyone bought it)"),
    _feature("item_known_days", "log(1 + days since anyone first bought it)"),
    _feature("item_price", "log(1 + mean price)", needs="price"),
    _feature("item_price_change", "log of this week's price over the usual one", needs="price"),
    _feature("item_price_ratio", "log of the price over the mean of what the user buys", needs="price"),
    _feature("kind_rank", "the item's share of its kind's purchases, 28 days", needs="category"),
    # the user and the day
    _feature("user_days", "log(1 + days with a purchase)"),
    _feature("user_basket_size", "log(1 + mean basket size)"),
    _feature("user_gap_days", "log(1 + mean days between baskets)"),
    _feature("user_since_days", "log(1 + days since the last basket)"),
    _feature("user_since_ratio", "days since the last basket over the mean gap, at most 10"),
    _feature("user_repeat_share", "share of purchases that repeat"),
    _feature("user_variety", "different items over purchases"),
    _feature("weekend", "1 on Saturday and Sunday (UTC)"),
    _feature("shop_visits", "log(1 + baskets of 28 days in the user's usual shop)", needs="shop"),
    _feature("shop_basket_size", "log(1 + mean basket size of 28 days there)", needs="shop"),
    # what is on offer on the day itself, which is known before it
    _feature(
        "item_offer", "share of the baskets of 28 days in whose shops the item is on offer on the day", needs="offers"
    ),
    _feature("item_offer_2", "the same of the second kind of offers", needs="offers_2"),
    _feature("item_offer_3", "the same of the third kind of offers", needs="offers_3"),
    _feature("item_offer_change", "item_offer less what it was 7 days before", needs="offers"),
    _feature("item_offer_change_2", "the same of the second kind of offers", needs="offers_2"),
    _feature("item_offer_change_3", "the same of the third kind of offers", needs="offers_3"),
    _feature(
        "user_offer",
        "share of the user's visits, the latest counting most (30 days), in whose shops the item is on offer on the day",
        needs="offers_in_shops",
    ),
    _feature("user_offer_2", "the same of the second kind of offers", needs="offers_in_shops_2"),
    _feature("user_offer_3", "the same of the third kind of offers", needs="offers_in_shops_3"),
    _feature(
        "user_offer_shops", "share of these visits in shops that have any offer on the day", needs="offers_in_shops"
    ),
    # the shop that the request names; all 0 where it names none
    _feature("here_28", "log(1 + purchases of the item there, 28 days)", needs="in_shop"),
    _feature("here_over_28", "log of these over what they would be were the shop like all, 28 days", needs="in_shop"),
    _feature("here_91", "log(1 + purchases of the item there, 91 days)", needs="in_shop"),
    _feature("here_over_91", "log of these over what they would be were the shop like all, 91 days", needs="in_shop"),
    _feature("here_ever", "log(1 + all purchases of the item there)", needs="in_shop"),
    _feature("here_named", "1 where the request names a shop in which somebody has bought", needs="in_shop"),
)
"""Per request and candidate, in the order of the model's input."""

OF_OFFERS = frozenset(f.name for f in PAIR_FEATURES if f.needs is not None and f.needs.startswith("offers"))
"""Pair features that only a shop with a table of offers has."""

OF_IN_SHOP = frozenset(f.name for f in PAIR_FEATURES if f.needs == "in_shop")
"""Pair features of the shop that a request names."""


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """A categorical attribute of users, from a string column of the users table."""

    name: str
    levels: tuple[str, ...]
    """Known values, sorted; any other value and null read as none of them."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The features of one dataset."""

    user_stats: tuple[str, ...] = tuple(f.name for f in USER_STATS if f.needs is None)
    item_stats: tuple[str, ...] = tuple(f.name for f in ITEM_STATS)
    shop_stats: tuple[str, ...] = tuple(f.name for f in SHOP_STATS)
    pair_features: tuple[str, ...] = tuple(f.name for f in PAIR_FEATURES if f.name not in OF_OFFERS | OF_IN_SHOP)
    user_attributes: tuple[Attribute, ...] = ()
    offer_kinds: tuple[str, ...] = ()
    """Which kind of offers the first, second and third feature of them are of; an empty one stands for all others."""

    format: int = FORMAT
    columns_K: npt.NDArray[np.intp] = field(init=False, repr=False, compare=False)
    """Where each of the contract's pair features stands in ``PAIR_FEATURES``."""

    habits: tuple[Partition, ...] = field(init=False, repr=False, compare=False)
    """Kinds of day that the contract has a feature of."""

    def __post_init__(self) -> None:
        position = {f.name: i for i, f in enumerate(PAIR_FEATURES)}
        unknown = [name for name in self.pair_features if name not in position]
        if unknown:
            raise SchemaMismatch(
                f"The feature contract names {', '.join(unknown)}, which this version of shoploop does not compute. "
                "Train again, or use the version that wrote it."
            )
        needed = {PAIR_FEATURES[position[name]].needs for name in self.pair_features}
        object.__setattr__(self, "habits", tuple(partition for partition in PARTITIONS if partition in needed))
        object.__setattr__(self, "columns_K", np.array([position[name] for name in self.pair_features], np.intp))

    @property
    def hash(self) -> str:
        """sha256 of the canonical JSON, 64 hex digits."""
        return contract_hash(self.to_json())

    def without_offers(self) -> "Contract":
        """What is left of it where nobody says what is on offer."""
        return replace(
            self,
            user_stats=tuple(f.name for f in USER_STATS if f.needs is None),
            pair_features=tuple(name for name in self.pair_features if name not in OF_OFFERS),
            offer_kinds=(),
        )

    def to_json(self) -> dict[str, Any]:
        """Without the hash, which a reader recomputes."""
        return {
            "format": self.format,
            "user_stats": list(self.user_stats),
            "item_stats": list(self.item_stats),
            "shop_stats": list(self.shop_stats),
            "pair_features": list(self.pair_features),
            "user_attributes": [asdict(a) | {"levels": list(a.levels)} for a in self.user_attributes],
            # without offers as it was before there were any: the hash is of this
            **({"offer_kinds": list(self.offer_kinds)} if self.offer_kinds else {}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls(
            format=data["format"],
            user_stats=tuple(data["user_stats"]),
            item_stats=tuple(data["item_stats"]),
            shop_stats=tuple(data["shop_stats"]),
            pair_features=tuple(data["pair_features"]),
            user_attributes=tuple(
                Attribute(name=a["name"], levels=tuple(a["levels"])) for a in data["user_attributes"]
            ),
            offer_kinds=tuple(data.get("offer_kinds", ())),
        )


def resolve(
    *,
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    users: pl.DataFrame,
    habits: Collection[Partition] = (),
    offer_kinds: tuple[str, ...] = (),
    offers_name_shops: bool = False,
    in_shop: bool = False,
) -> Contract:
    """The contract of these canonical tables: features whose source they lack are left out.

    ``habits`` are the kinds of day that choices hang on (:func:`shoploop.features.habits.tells`), ``offer_kinds`` those of
    offers (:func:`shoploop.features.offers.kinds`), at most three; ``in_shop`` is whether requests name the shop that the
    shopper is in. Levels of attributes are those of users who bought something: nobody else may add an input, or be one level
    too many.
    """
    bought = interactions.filter(pl.col("kind").is_in(POSITIVE_KINDS))
    named = interactions["shop"].null_count() < len(interactions)
    offered, in_shops = len(offer_kinds), len(offer_kinds) if offers_name_shops and named else 0
    has: dict[Needs, bool] = {
        "category": bool((items["category"].list.len() > 0).any()),
        "price": bool((interactions["price"] > 0).any()),
        "shop": named,
        "weekday": "weekday" in habits,
        "weekend": "weekend" in habits,
        "offers": offered > 0,
        "offers_2": offered > 1,
        "offers_3": offered > 2,
        "offers_in_shops": in_shops > 0,
        "offers_in_shops_2": in_shops > 1,
        "offers_in_shops_3": in_shops > 2,
        "in_shop": in_shop and named,
    }
    return Contract(
        user_stats=tuple(f.name for f in USER_STATS if f.needs is None or has[f.needs]),
        pair_features=tuple(f.name for f in PAIR_FEATURES if f.needs is None or has[f.needs]),
        user_attributes=tuple(_attributes(users.join(bought, on="user", how="semi"))),
        offer_kinds=offer_kinds,
    )


MAX_LEVELS = 50
"""A string column with more values than this is an identifier or free text, not a category."""


def _attributes(users: pl.DataFrame) -> Sequence[Attribute]:
    found = []
    for name in sorted(users.columns):
        if name == "user" or users.schema[name] != pl.String:
            continue
        levels = tuple(sorted(users[name].drop_nulls().unique().to_list()))
        if 1 < len(levels) <= MAX_LEVELS:
            found.append(Attribute(name=name, levels=levels))
    return found


def contract_hash(document: dict[str, Any]) -> str:
    """sha256 of a contract's canonical JSON, 64 hex digits; of one that this version may not understand as well."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
