"""From a table of offers to an answer: loaded, learned from, packaged, and read by a predictor on days that were to come.

Milk is in the south's mailer from day 30 to the day served on, which is day 60, and apples in all shops' from day 62 on.
"""

import json
import shutil
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from shop import FIRST, TRAINING, Shop
from shop.stored import write_files

from shoploop.api.v1alpha1 import DataSpec
from shoploop.data.step import load_data
from shoploop.features.contract import Contract
from shoploop.features.history import history_of
from shoploop.features.joins import Joins
from shoploop.features.materialize import materialize_features
from shoploop.features.offers import stage_offers
from shoploop.features.pairs import pair_parts
from shoploop.packaging.staging import stage_ranker
from shoploop.ranking.answer import RecommendRequest
from shoploop.ranking.ranker import Ranker
from shoploop.ranking.settings import RankerSettings
from shoploop.samples.step import build_samples, read_log
from shoploop.training.step import train_fused
from shoploop.versions.artifact import load_version

SHOP = Shop()
SERVING = FIRST + SHOP.days


def at(day):
    return datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folders, as far as the ranker of a package."""
    folder = tmp_path_factory.mktemp("run")
    rows = [("milk", 30, 60, "south"), ("apples", 62, 70, ""), ("nuts", 1, 3, "north")]
    lines = [
        f"{item},{at(FIRST + first):%Y-%m-%d},{at(FIRST + last):%Y-%m-%d},{shop}" for item, first, last, shop in rows
    ]
    (folder / "offers.csv").write_text("\n".join(["item,from,until,shop", *lines]))
    tables = write_files(folder, SHOP) | {"offers": {"uri": str(folder / "offers.csv")}}
    load_data(out=folder / "data", data_spec=DataSpec(tables=tables))
    folders = {name: folder / name for name in ("data", "features", "samples")}
    materialize_features(data=folders["data"], out=folders["features"], training_spec=TRAINING)
    build_samples(data=folders["data"], features=folders["features"], out=folders["samples"], training_spec=TRAINING)
    train_fused(**folders, out=folder / "model", training_spec=TRAINING)
    stage_ranker(
        folder / "ranker", data=folders["data"], features=folders["features"], model=folder / "model",
        settings=RankerSettings(version=load_version(folder / "model").id, deadline_milliseconds=60_000, warm_up_users=()),
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def ranker(run):
    return Ranker.load(run / "ranker")


def served(ranker, user, day):
    """The features of all items, by name."""
    visitor = ranker.known.visitor(user, (), at(day))
    codes_N = np.arange(len(SHOP.names), dtype=np.int32)
    features_NK = ranker.known.input(visitor.user, codes_N, visitor.day).features_NK
    names = ranker.known.trained.contract.pair_features
    return {name: dict(zip(SHOP.names, features_NK[:, k], strict=True)) for k, name in enumerate(names)}


def test_a_sample_holds_what_was_on_offer_on_its_day(run):
    candidates = pl.read_parquet(run / "samples" / "candidates.parquet").filter(pl.col("item") == "milk")
    asked = pl.read_parquet(run / "samples" / "requests.parquet", columns=["request", "user", "day"])
    milk = candidates.join(asked, on="request")
    assert set(milk["item_offer"].round(1)) == {0.5}, "about half of the baskets are the south's"
    assert milk.filter(pl.col("user") == "ann")["user_offer"].unique().to_list() == [1.0]
    assert milk.filter(pl.col("user") == "bob")["user_offer"].unique().to_list() in ([], [0.0])


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_the_predictor_reads_of_each_item_what_training_does(run, ranker, user):
    """Parity, with all that is asked of Feast: on the day served on, every feature is that of a sample of that day."""
    trained = ranker.known.trained
    log, joins = read_log(run / "data", trained.vocabulary, sessions=False), Joins(run / "features")
    [stats], shops = joins.users([user], [SERVING]), joins.shops(log.shops, [SERVING])[SERVING]
    assert stats.visited_shops
    offline_NK = pair_parts(
        history=history_of(log, log.users.index(user), before=SERVING),
        candidates_N=np.arange(len(SHOP.names), dtype=np.int32),
        day=SERVING, items=joins.items(trained.vocabulary, [SERVING])[SERVING], catalog=trained.catalog, user=stats,
        shop=shops.get(stats.usual_shop), habits=trained.contract.habits,
        offers=joins.offers(trained.vocabulary, trained.contract).on(SERVING, shops),
    ).whole(trained.contract)  # fmt: skip
    online = served(ranker, user, SERVING)
    for k, name in enumerate(trained.contract.pair_features):
        np.testing.assert_allclose(list(online[name].values()), offline_NK[:, k], rtol=1e-5, err_msg=name)
    assert online["user_offer"]["milk"] == (user == "ann")


@pytest.mark.parametrize("day, on_offer", [(60, {"milk"}), (61, set()), (62, {"apples"})])
def test_days_after_the_datas_end_have_their_own_offers(ranker, day, on_offer):
    assert {item for item, share in served(ranker, "ann", FIRST + day)["user_offer"].items() if share} == on_offer


def test_a_package_holds_no_offer_that_is_long_over(run):
    def last_days(folder):
        return pl.read_parquet(folder / "offers.parquet")["until"].sort().to_list()

    assert last_days(run / "features") == [FIRST + 3, FIRST + 60, FIRST + 70]
    assert last_days(run / "ranker" / "features") == [FIRST + 60, FIRST + 70]


def test_a_renewed_version_that_knows_of_no_offers_takes_none_along(run, tmp_path):
    shutil.copytree(run / "features", tmp_path / "features", symlinks=True)
    file = tmp_path / "features" / "contract.json"
    contract = Contract.from_json(json.loads(file.read_text()))
    for kept, taken in ((contract, True), (contract.without_offers(), False)):
        file.write_text(json.dumps(kept.to_json()))
        stage_offers(tmp_path / "features", tmp_path)
        assert (tmp_path / "offers.parquet").exists() is taken
        (tmp_path / "offers.parquet").unlink(missing_ok=True)


def test_it_answers(ranker):
    answer = ranker.recommend(RecommendRequest(user="ann", k=3), now=at(FIRST + 62))
    assert answer.method == "fused" and len(answer.items) == 3
