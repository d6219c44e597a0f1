"""A shop of a few items whose right answers are plain to the eye, as tables, as a ranker in memory and as a version.

ann buys milk every week and bread every other week, bob buys tea; everybody buys apples, and in the shop "north" all
buy soap. The model's score is the number of days on which the user bought the item.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import torch

from shoploop.candidates.fetching import CandidateConfig
from shoploop.features.catalog import CatalogConfig, fit_catalog
from shoploop.features.contract import Contract, resolve
from shoploop.features.history import History, history_of
from shoploop.features.item import ItemMatrix, ItemStatistics
from shoploop.features.log import PurchaseLog, Vocabulary, choose_vocabulary, purchases
from shoploop.features.online import OnlineUser
from shoploop.features.shop import ShopRow, ShopStatistics
from shoploop.features.user import user_rows, user_stats
from shoploop.models.behaviour import Behaviour
from shoploop.models.fusion import FusedModel
from shoploop.models.sequence import SequenceModel
from shoploop.ranking.popularity import read_popularity, write_popularity
from shoploop.ranking.ranker import Ranker
from shoploop.ranking.settings import RankerSettings
from shoploop.schemas import INTERACTIONS, ITEMS, SHOPS, USERS
from shoploop.versions.artifact import Version, write_version
from shoploop.versions.trained import TrainedModel

TITLES = {
    "milk": "Milk", "bread": "Bread", "tea": "Tea", "apples": "Apples", "soap": "Soap", "rice": "Rice", "salt": None,
}  # fmt: skip
FIRST = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAYS = 70
SERVING_DAY = (FIRST + timedelta(days=DAYS)).date()
"""The day after the data's last."""


def tables() -> dict[str, pl.DataFrame]:
    """The canonical tables."""
    rows = []

    def buy(user: str, item: str, day: int, shop: str) -> None:
        time = FIRST + timedelta(days=day)
        rows.append((user, item, time, "purchase", 1.0, 2.5, shop, f"{user}-{day}"))

    for day in range(0, DAYS, 7):
        buy("ann", "milk", day, "south")
        if day % 14 == 0:
            buy("ann", "bread", day, "south")
        buy("bob", "tea", day, "north")
    for number in range(8):
        for day in range(number, DAYS, 10):
            buy(f"other{number}", "apples", day, "south" if number % 2 else "north")
            if day % 20 == number:
                buy(f"other{number}", ("rice", "salt")[number % 2], day, "south" if number % 2 else "north")
            if number % 2 == 0:
                buy(f"other{number}", "soap", day, "north")
    buy("bob", "milk", DAYS - 1, "north")
    schema = list(INTERACTIONS.schema.names)
    interactions = pl.DataFrame(rows, schema=schema, orient="row").cast({"time": pl.Datetime("us", "UTC")})
    item_rows = [(item, title, ["food", item], None, 2.5, None) for item, title in TITLES.items()]
    items = pl.DataFrame(item_rows, schema=pl.from_arrow(ITEMS.schema.empty_table()).schema, orient="row")
    users = pl.DataFrame({"user": interactions["user"].unique().sort()})
    shops = pl.DataFrame({"shop": ["north", "south"], "title": ["North", "South"]})
    return {"interactions": interactions.sort("time"), "items": items, "users": users, "shops": shops}


def write_data(folder: Path) -> Path:
    """The canonical tables as the load step leaves them."""
    folder.mkdir(parents=True)
    for name, table in tables().items():
        table.write_parquet(folder / f"{name}.parquet")
    assert {USERS.name, SHOPS.name} <= tables().keys()
    return folder


def trained_model(contract: Contract, vocabulary: Vocabulary, log: PurchaseLog) -> TrainedModel:
    """A model whose score is ``own_days``, the log of one plus the days on which the user bought the item."""
    config = CatalogConfig(factors=4, neighbours=3, ease_items=20, hazard_requests=50)
    catalog = fit_catalog(log, tables()["items"], config)
    torch.manual_seed(0)
    model = FusedModel(
        FusedModel.Config(
            behaviour=Behaviour.Config(features=len(contract.pair_features), hidden=()),
            sequence=SequenceModel.Config(items=len(catalog), factors=catalog.factors_ID.shape[1]),
        )
    )
    with torch.no_grad():
        line = model.behaviour.layers[-1]
        line.weight.zero_()
        line.bias.zero_()
        line.weight[0, contract.pair_features.index("own_days")] = 1.0
        model.alpha_logits.fill_(20.0)  # α = 1: the DNN alone decides
        model.sequence.factors_IF.copy_(torch.from_numpy(catalog.factors_ID))
    return TrainedModel(
        model=model.prepare(), catalog=catalog, contract=contract, vocabulary=vocabulary, candidates=CandidateConfig()
    )


def write_model(folder: Path, trained: TrainedModel) -> Version:
    items = pl.DataFrame({"item": list(trained.vocabulary.items)}).to_arrow()
    return write_version(
        folder,
        tensors=trained.tensors(),
        config=trained.config(),
        contract=trained.contract.to_json(),
        items=items,
        lineage={"parent": None},
        metrics={},
    )


class MemoryFeatures:
    """What ``OnlineFeatures`` answers, computed from the tables by the same functions instead of read from Feast."""

    def __init__(self) -> None:
        self.tables = tables()
        bought = purchases(self.tables["interactions"])
        self.serving_day = int(bought["day"].max()) + 1
        self.vocabulary = choose_vocabulary(bought, before=self.serving_day)
        self.log = PurchaseLog.of(bought, self.vocabulary)
        self.contract = resolve(
            interactions=self.tables["interactions"], items=self.tables["items"], users=self.tables["users"]
        )

    def user(self, user: str) -> OnlineUser | None:
        if user not in self.log.users:
            return None
        history: History = history_of(self.log, self.log.users.index(user), before=self.serving_day)
        [stats] = user_rows(user_stats(self.log), [user], [self.serving_day])
        return OnlineUser(stats=stats, history=history)

    def items(self) -> ItemMatrix:
        return ItemStatistics(self.log).on(self.serving_day)

    def shops(self) -> dict[str, ShopRow]:
        return ShopStatistics(self.log).rows_on(self.serving_day)


def make_ranker(folder: Path, *, clock=None, **settings) -> Ranker:
    """A ranker over :class:`MemoryFeatures`, without a deadline unless a test is about it."""
    features = MemoryFeatures()
    write_popularity(features.tables["interactions"], folder)
    defaults = {"version": "v123", "deadline_milliseconds": 60_000, "warm_up_users": ("ann", "bob")}
    return Ranker(
        version="v123",
        trained=trained_model(features.contract, features.vocabulary, features.log),
        features=features,
        popular=read_popularity(folder),
        items=features.tables["items"],
        settings=RankerSettings(**defaults | settings),
        **({"clock": clock} if clock else {}),
    )
