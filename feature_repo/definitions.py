"""Feast's objects, built from the feature contract of one features folder.

In the copy of this repository that shoploop puts into a features folder, it is the folder above; elsewhere the
environment variable SHOPLOOP_FEATURES names it. Nothing is decided here: names, types and order are
``shoploop.features.contract``'s.
"""

import json
import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Bytes, FeastType, Float32, Int32, String

from shoploop.errors import NotFound
from shoploop.features.contract import ITEM_STATS, SHOP_STATS, USER_STATS, Contract, Feature

TYPES: dict[str, FeastType] = {"float32": Float32, "int32": Int32, "string": String}
ONE_DAY = timedelta(days=1)
"""Statistics of items and shops hold for the day that they are stamped with; an older row must not answer for it."""


def features_folder() -> Path:
    """Where the Parquet files and contract.json lie.

    Raises:
        NotFound: neither SHOPLOOP_FEATURES nor this file's place tells.
    """
    above = Path(__file__).resolve().parents[1]
    folder = above if (above / "contract.json").is_file() else Path(os.environ.get("SHOPLOOP_FEATURES", above))
    if not (folder / "contract.json").is_file():
        raise NotFound(
            f"{folder} holds no contract.json, so Feast's objects cannot be built. Set SHOPLOOP_FEATURES to the "
            "features/ folder of a run, or work in the feast/ folder inside it."
        )
    return folder


def source(name: str) -> FileSource:
    """The Parquet file of a view; relative, so that a features folder can be copied. Joins run inside that folder."""
    return FileSource(name=name, path=f"{name}.parquet", timestamp_field="event_timestamp")


def view(name: str, entity: Entity, fields: Iterable[Field], *, ttl: timedelta | None = None) -> FeatureView:
    return FeatureView(name=name, entities=[entity], schema=list(fields), source=source(name), ttl=ttl, online=True)


def fields(features: Iterable[Feature], names: Iterable[str]) -> list[Field]:
    """The contract's features in its order, with their meaning as description."""
    known = {feature.name: feature for feature in features}
    return [Field(name=n, dtype=TYPES[known[n].dtype], description=known[n].about) for n in names]


folder = features_folder()
contract = Contract.from_json(json.loads((folder / "contract.json").read_text()))

user = Entity(name="user", join_keys=["user"], value_type=ValueType.STRING)
item = Entity(name="item", join_keys=["item"], value_type=ValueType.STRING)
shop = Entity(name="shop", join_keys=["shop"], value_type=ValueType.STRING)

user_stats = view("user_stats", user, fields(USER_STATS, contract.user_stats))
item_stats = view("item_stats", item, fields(ITEM_STATS, contract.item_stats), ttl=ONE_DAY)
shop_stats = view("shop_stats", shop, fields(SHOP_STATS, contract.shop_stats), ttl=ONE_DAY)
user_history = view(
    "user_history",
    user,
    [Field(name="packed", dtype=Bytes, description="purchases as shoploop.features.online packs them")],
)

views = [user_stats, user_history, item_stats, shop_stats]
if contract.user_attributes:
    user_profile = view("user_profile", user, [Field(name=a.name, dtype=String) for a in contract.user_attributes])
    views.append(user_profile)

request = FeatureService(
    name=f"request_{contract.hash[:12]}",
    features=[found for found in views if found.entities == ["user"]],
    description="What a predictor asks for per request; the name ends with the contract's hash.",
)
