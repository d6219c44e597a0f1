"""Metamorphic laws: what says nothing of anybody's taste must not change what anybody is recommended.

A change is made to the files; what is loaded, sampled, ranked and answered of them must stay what it was. Of a renaming
candidates and rates stay exactly the same, and only items that sell equally well change places among each other, for ties are
broken by id. An item's place in a model is its place in the alphabet, too: a training of renamed items begins from other
random numbers, as with another seed.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from fuzzing import WANTED
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minimal_logs import bought, carry, ranker_of

from shoploop.candidates.fetching import fetch_candidates
from shoploop.features.catalog import CatalogConfig, fit_catalog
from shoploop.features.catalogs import following
from shoploop.features.history import history_of
from shoploop.features.item import ItemStatistics
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.ranking.answer import RankRequest, RecommendRequest
from shoploop.ranking.popularity import read_popularity, write_popularity

pytestmark = [pytest.mark.usefixtures("one_thread", "narrow_network"), pytest.mark.timeout(3600)]

UTC_SHAPE = "%Y-%m-%dT%H:%M:%SZ"

few = settings(
    max_examples=max(3, WANTED // 400),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
seeds = st.integers(0, 2**16)


class Files:
    """The files of a shop, as one may change them."""

    def __init__(self) -> None:
        table = bought(users=64, days=60, every=6, seed=3).with_columns(
            kind=pl.lit("purchase"),
            quantity=pl.lit("1"),
            price=(pl.col("item").cast(pl.Int64) % 7 * 13 + 99) / 100,
            shop=pl.when(pl.col("user").cast(pl.Int64) % 2 == 0).then(pl.lit("north")).otherwise(pl.lit("south")),
            title=pl.format("Thing {}", "item"),
        )
        self.events = table.with_columns(pl.col("price").cast(pl.String), time=pl.col("time").dt.strftime(UTC_SHAPE))
        tiers = [None, "gold", "silver"]
        people = sorted(self.events["user"].unique())
        self.users = pl.DataFrame({"user": people, "tier": [tiers[n % 3] for n in range(len(people))]})
        self.parts = 1
        self.lines: list[str] = []
        self.source: dict[str, Any] = {}

    def write(self, folder: Path) -> dict[str, Any]:
        """Writes the files; returns the spec's section ``data``."""
        (folder / "events").mkdir(parents=True)
        for part in range(self.parts):
            rows = self.events[part :: self.parts] if part % 2 else self.events[part :: self.parts].reverse()
            text = rows.write_csv()
            (folder / "events" / f"part-{part}.csv").write_text(
                text + "".join(f"{line}\n" for line in self.lines if part == 0)
            )
        self.users.write_csv(folder / "users.csv")
        return {
            "tables": {
                "interactions": {"uri": str(folder / "events"), **self.source},
                "users": {"uri": str(folder / "users.csv")},
            }
        }


def reordered(files: Files, seed: int) -> None:
    files.events = files.events.sample(fraction=1.0, shuffle=True, seed=seed)
    files.users = files.users.sample(fraction=1.0, shuffle=True, seed=seed)


def split(files: Files, seed: int) -> None:
    files.parts = 2 + seed % 7


def with_another_zone(files: Files, seed: int) -> None:
    """The same moments as a clock shows them elsewhere, without a sign of where; no clock is set back in these days."""
    zone = ["Asia/Tokyo", "Pacific/Kiritimati", "America/Phoenix", "Asia/Kathmandu", "Etc/GMT+12"][seed % 5]
    local = pl.col("time").str.to_datetime(UTC_SHAPE, time_zone="UTC").dt.convert_time_zone(zone)
    files.events = files.events.with_columns(time=local.dt.strftime("%Y-%m-%d %H:%M:%S"))
    files.source = files.source | {"timeZone": zone}


def with_users_who_buy_nothing(files: Files, seed: int) -> None:
    """Some are only in the table of users, and of a tier that nobody else has; one has looked at something."""
    strangers = [f"{word}-{seed}" for word in ("0first", "only", "zz-last")]
    files.users = pl.concat([files.users, pl.DataFrame({"user": strangers, "tier": ["platinum", None, "gold"]})])
    looked = files.events[seed % files.events.height].with_columns(user=pl.lit(strangers[1]), kind=pl.lit("view"))
    files.events = pl.concat([files.events, looked])


def with_junk(files: Files, seed: int) -> None:
    """One row in a thousand is none: without a user, an item or a time, of another century, or with more columns."""
    rows = files.events.sample(max(1, files.events.height // 1000), seed=seed)
    spoilt = [
        {"user": ["", "NULL", "nan"][seed % 3]},
        {"item": ""},
        {"time": ["", "yesterday", "2024-13-45"][seed % 3]},
        {"time": "2099-01-01"},
        {"time": "1970-01-01"},
    ][seed % 5]
    junk = rows.with_columns(pl.lit(value).alias(name) for name, value in spoilt.items())
    files.events = pl.concat([files.events, junk])
    files.lines = ["x," * 12] if seed % 2 else []


LAWS = {law.__name__: law for law in (reordered, split, with_another_zone, with_users_who_buy_nothing, with_junk)}


def candidates_and_best_sellers(folder: Path) -> dict[str, Any]:
    """What is loaded of the shop, in terms of what everybody is shown: best sellers, and candidates by source."""
    events = pl.read_parquet(folder / "data" / "interactions.parquet")
    items = pl.read_parquet(folder / "data" / "items.parquet")
    bought_rows = purchases(events)
    log = PurchaseLog.of(bought_rows, Vocabulary(tuple(sorted(bought_rows["item"].unique()))))
    last = int(log.day_R.max())
    config = CatalogConfig(factors=4, neighbours=5)
    catalog = following(fit_catalog(log, items, config), log, [last + 1], config).serving
    found = {}
    for code, user in enumerate(log.users):
        history = history_of(log, code, before=last + 1)
        fetched = fetch_candidates(history, day=last + 1, items=ItemStatistics(log).on(last + 1), catalog=catalog)
        names = [log.vocabulary.items[item] for item in fetched.items_N]
        found[user] = dict(zip(names, fetched.sources_N.tolist(), strict=True))
    folder.joinpath("popular").mkdir()
    write_popularity(events, folder / "popular")
    popular = read_popularity(folder / "popular")
    return {
        "candidates": found,
        "popular": {shop: list(zip(best.items, best.rates, strict=True)) for shop, best in popular.items()},
        "titles": dict(items.select("item", "title").iter_rows()),
    }


def loaded(files: Files, folder: Path) -> dict[str, Any]:
    carry(folder, files.write(folder), until="load_data")
    return candidates_and_best_sellers(folder)


@pytest.fixture(scope="module")
def as_it_is(tmp_path_factory):
    return loaded(Files(), tmp_path_factory.mktemp("shop") / "as-it-is")


@pytest.mark.parametrize("name", LAWS)
def test_best_sellers_and_candidates_stay(as_it_is, tmp_path_factory, name):
    @few
    @given(seed=seeds)
    def law(seed):
        files = Files()
        LAWS[name](files, seed)
        assert loaded(files, tmp_path_factory.mktemp("shop") / "changed") == as_it_is

    law()


def renamed(files: Files, people: dict[str, str], things: dict[str, str]) -> None:
    files.events = files.events.with_columns(pl.col("user").replace(people), pl.col("item").replace(things))
    files.users = files.users.with_columns(pl.col("user").replace(people))


@few
@given(seed=seeds)
def test_any_renaming_renames_what_is_recommended(as_it_is, tmp_path_factory, seed):
    """Candidates and rates are exactly the same; only best sellers that sell equally well change places."""
    files, random = Files(), np.random.default_rng(seed)
    people, things = (
        dict(zip(ids, [f"{word}{number}" for number in random.permutation(len(ids))], strict=True))
        for word, ids in (("Ä", sorted(files.events["user"].unique())), ("", sorted(files.events["item"].unique())))
    )
    renamed(files, people, things)
    found = loaded(files, tmp_path_factory.mktemp("shop") / "renamed")
    assert found["candidates"] == {
        people[user]: {things[item]: source for item, source in its.items()}
        for user, its in as_it_is["candidates"].items()
    }
    for shop, best in as_it_is["popular"].items():
        assert sorted(found["popular"][shop]) == sorted((things[item], rate) for item, rate in best)
        assert [rate for _, rate in found["popular"][shop]] == [rate for _, rate in best]


def answers(folder: Path) -> dict[str, Any]:
    """What a trained ranker says to some shoppers, to nobody, and of a list."""
    ranker = ranker_of(folder)
    shown = {}
    for user in ("1", "2", "7", "33", "nobody"):
        answer = ranker.recommend(RecommendRequest(user=user, k=12))
        order = ranker.rank(RankRequest(user=user, items=["1003", "1017", "1030", "unheard-of"]))
        shown[user] = [
            [answer.method, answer.as_of, *((item.item, item.score, item.reason) for item in answer.items)],
            [(item.item, item.score) for item in order.items],
        ]
    return shown


TRAINED = {"training": {"epochs": 1}, "augmentation": {"mode": "Never"}, "importance": {"estimator": "None"}}


def test_a_trained_ranker_says_the_same_to_everybody_whatever_of_it_is_changed(tmp_path):
    plain, changed = Files(), Files()
    carry(tmp_path / "plain", plain.write(tmp_path / "plain"), until="train_fused", settings=TRAINED)
    for law in LAWS.values():
        law(changed, 3)
    carry(tmp_path / "changed", changed.write(tmp_path / "changed"), until="train_fused", settings=TRAINED)
    assert json.dumps(answers(tmp_path / "changed"), indent=1) == json.dumps(answers(tmp_path / "plain"), indent=1)
