"""The shop as a trained version and as a ranker.

The model's score grows with the days on which the user bought the item: ann gets milk (20 days) and then apples (10).
"""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import polars as pl
import torch

from shop import Shop
from shoploop.candidates.fetching import CandidateConfig
from shoploop.features.contract import Contract, resolve
from shoploop.features.history import history_of
from shoploop.features.item import ItemMatrix, ItemStatistics
from shoploop.features.offers import Offers
from shoploop.features.online import OnlineFeatures, OnlineUser
from shoploop.features.shop import ShopRow, ShopStatistics
from shoploop.features.user import user_rows, user_stats
from shoploop.models.behaviour import Behaviour
from shoploop.models.fusion import FusedModel
from shoploop.models.sequence import SequenceModel
from shoploop.ranking.popularity import read_popularity, write_popularity
from shoploop.ranking.ranker import Ranker
from shoploop.ranking.settings import RankerSettings
from shoploop.ranking.visits import read_visits, write_visits
from shoploop.schemas import ENDS
from shoploop.store import Store
from shoploop.surfaces.search.asked import item_texts
from shoploop.versions import promotions
from shoploop.versions.artifact import Version, write_version
from shoploop.versions.trained import TrainedModel

SHOP = Shop()


def contract() -> Contract:
    """Of the shop's tables: all features, and the users' tier."""
    tables = SHOP.tables()
    return resolve(interactions=tables["interactions"], items=tables["items"], users=tables["users"])


def trained_model(*, alpha_logit: float = 20.0) -> TrainedModel:
    """A model whose score is ``own_days``, the log of one plus the days on which the user bought the item; with an
    ``alpha_logit`` of -20 it is the sequence module's, which learned nothing."""
    catalog, features = SHOP.catalog(), contract()
    torch.manual_seed(0)
    model = FusedModel(
        FusedModel.Config(
            behaviour=Behaviour.Config(features=len(features.pair_features), hidden=()),
            sequence=SequenceModel.Config(items=len(catalog), factors=catalog.factors_ID.shape[1]),
        )
    )
    with torch.no_grad():
        line = model.behaviour.layers[-1]
        line.weight.zero_()
        line.bias.zero_()
        line.weight[0, features.pair_features.index("own_days")] = 1.0
        model.alpha_logits.fill_(alpha_logit)  # α = 1: the DNN alone decides
        model.sequence.factors_IF.copy_(torch.from_numpy(catalog.factors_ID))
    return TrainedModel(
        model=model.prepare(),
        catalog=catalog,
        contract=features,
        vocabulary=SHOP.vocabulary,
        candidates=CandidateConfig(),
        texts=tuple(item_texts(SHOP.described(), SHOP.names)),
    )


def write_model(folder: Path) -> Version:
    """That model as a version."""
    trained = trained_model()
    return write_version(
        folder,
        tensors=trained.tensors(),
        config=trained.config(),
        contract=trained.contract.to_json(),
        items=pl.DataFrame({"item": trained.vocabulary.items}).to_arrow(),
        lineage={"parent": None},
        metrics={},
    )


def publish_twins(store: Store, name: str, folder: Path) -> tuple[str, str]:
    """Two versions of that model in a store, the first of which serves."""
    first = write_model(folder / "one")
    second = write_version(
        folder / "two", tensors=first.tensors, config=first.config, contract=first.contract, items=first.items,
        lineage={"parent": first.id}, metrics={},
    )  # fmt: skip
    for each in ("one", "two"):
        promotions.publish_version(store, name, folder / each)
    promotions.promote(store, name, first.id, reason="first", by="a test")
    return first.id, second.id


class MemoryJoins:
    """What ``Joins`` answers, computed by the same functions instead of read from Feast."""

    def __init__(self, log):
        self.log, self.statistics, self.shops_of = log, ItemStatistics(log), ShopStatistics(log)
        self.days_at_once = []  # of items

    def users(self, users, days):
        return user_rows(user_stats(self.log), users, days)

    def items(self, vocabulary, days):
        self.days_at_once.append(len(days))
        return {day: self.statistics.on(day) for day in days}

    def shops(self, shops, days):
        return {day: self.shops_of.rows_on(day) for day in days}

    def offers(self, vocabulary, contract):
        return Offers.of_features(Path("features"), contract, vocabulary)  # which is not there


class MemoryFeatures:
    """What ``OnlineFeatures`` answers, computed from the log by the same functions instead of read from Feast."""

    def __init__(self) -> None:
        self.log = SHOP.log()
        self.vocabulary = SHOP.vocabulary
        self.contract = contract()
        self.serving_day = SHOP.split.serving

    def user(self, user: str, *, patience: object = None) -> OnlineUser | None:
        if user not in self.log.users:
            return None
        [stats] = user_rows(user_stats(self.log), [user], [self.serving_day])
        history = history_of(self.log, self.log.users.index(user), before=self.serving_day)
        return OnlineUser(stats=stats, history=history)

    def histories(self, users):
        return {user: found.history for user in users if (found := self.user(user))}

    def items(self) -> ItemMatrix:
        return ItemStatistics(self.log).on(self.serving_day)

    def shops(self) -> dict[str, ShopRow]:
        return ShopStatistics(self.log).rows_on(self.serving_day)

    def offers(self) -> None:
        return None

    def in_shops(self) -> None:
        return None


def make_ranker(
    folder: Path,
    *,
    clock: Callable[[], float] | None = None,
    alpha_logit: float = 20.0,
    trained: TrainedModel | None = None,
    features: OnlineFeatures | None = None,
    ends: Mapping[str, date] | None = None,
    **settings: object,
) -> Ranker:
    """A ranker of that model or another over :class:`MemoryFeatures` or other features, without a deadline unless a test is
    about it."""
    tables = SHOP.tables()
    items = tables["items"]
    if ends is not None:
        items = items.with_columns(pl.col("item").replace_strict(ends, default=None, return_dtype=pl.Date).alias(ENDS))
    write_popularity(tables["interactions"], folder)
    write_visits(tables["interactions"], folder, shops=tables["shops"])
    defaults = {"version": "v123", "deadline_milliseconds": 60_000, "warm_up_users": ("ann", "bob")}
    return Ranker(
        version="v123",
        trained=trained or trained_model(alpha_logit=alpha_logit),
        features=features or MemoryFeatures(),
        popular=read_popularity(folder),
        visits=read_visits(folder),
        items=items,
        settings=RankerSettings(**defaults | settings),
        **({"clock": clock} if clock else {}),
    )
