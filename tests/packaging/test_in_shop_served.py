"""From purchases that name their shop to an answer in a shop: learned from, packaged, and read by a predictor.

Sweet things are bought in the south alone, salty ones in the north.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from shop import FIRST, SWEET, TRAINING, Shop
from shop.stored import write_files

from shoploop.api.training import TaskSpec
from shoploop.api.v1alpha1 import DataSpec
from shoploop.data.step import load_data
from shoploop.features.contract import OF_IN_SHOP
from shoploop.features.in_shop import ShopItems
from shoploop.features.materialize import materialize_features
from shoploop.packaging.staging import stage_ranker
from shoploop.ranking.answer import RecommendRequest, SearchRequest
from shoploop.ranking.explaining import Shown, ShownItem, explain
from shoploop.ranking.ranker import Ranker
from shoploop.ranking.settings import RankerSettings
from shoploop.samples.step import build_samples, read_log
from shoploop.training.step import train_fused
from shoploop.versions.artifact import load_version

SHOP = Shop()
SERVING = FIRST + SHOP.days
NOON = datetime(1970, 1, 1, 12, tzinfo=UTC) + timedelta(days=SERVING)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folders, as far as the ranker of a package."""
    folder = tmp_path_factory.mktemp("run")
    load_data(out=folder / "data", data_spec=DataSpec(tables=write_files(folder, SHOP)))
    spec = TRAINING.model_copy(update={"task": TaskSpec(in_shop=True)})
    folders = {name: folder / name for name in ("data", "features", "samples")}
    materialize_features(data=folders["data"], out=folders["features"], training_spec=spec)
    build_samples(data=folders["data"], features=folders["features"], out=folders["samples"], training_spec=spec)
    train_fused(**folders, out=folder / "model", training_spec=spec)
    stage_ranker(
        folder / "ranker", data=folders["data"], features=folders["features"], model=folder / "model",
        settings=RankerSettings(version=load_version(folder / "model").id, deadline_milliseconds=60_000, warm_up_users=()),
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def ranker(run):
    return Ranker.load(run / "ranker")


def served(ranker, shop):
    """What the model reads of ann and all items in a shop, by the features' names."""
    visitor = ranker.known.visitor("ann", (), NOON)
    codes_N = np.arange(len(SHOP.names), dtype=np.int32)
    read = ranker.known.input(visitor.user, codes_N, visitor.day, shop=shop).features_NK
    names = ranker.known.trained.contract.pair_features
    return {name: read[:, names.index(name)] for name in names}


def test_half_of_what_is_learned_from_names_its_shop_and_what_is_judged_none(run):
    rows = pl.read_parquet(run / "samples" / "candidates.parquet")
    asked = rows.join(pl.read_parquet(run / "samples" / "requests.parquet", columns=["request", "split"]), on="request")
    named = {split: part["here_named"].mean() for (split,), part in asked.group_by("split")}
    assert named["evaluation"] == 0 and 0.3 < named["train"] < 0.7


@pytest.mark.parametrize("shop", ["south", "north", "elsewhere", None])
def test_the_predictor_reads_of_a_shop_what_training_does(run, ranker, shop):
    log = read_log(run / "data", ranker.known.trained.vocabulary, sessions=False)
    here, found = ShopItems(log).on(SERVING).at(shop), served(ranker, shop)
    assert (here is None) is (shop not in ("south", "north"))
    for name in OF_IN_SHOP:
        expected = here.features(np.arange(len(SHOP.names)))[name] if here else np.zeros(len(SHOP.names))
        np.testing.assert_allclose(found[name], expected, rtol=1e-6, err_msg=name)


def test_the_shop_that_is_named_changes_nothing_but_what_is_told_of_it(ranker):
    one, other = served(ranker, "south"), served(ranker, "north")
    assert {name for name in one if not np.array_equal(one[name], other[name])} == OF_IN_SHOP - {"here_named"}


def test_scores_in_a_shop_are_those_of_its_items(ranker):
    def scores(shop):
        answer = ranker.recommend(RecommendRequest(user="ann", k=12, shop=shop), now=NOON)
        assert answer.method == "fused"
        return {one.item: one.score for one in answer.items if one.score is not None}

    south, north, unknown = scores("south"), scores("north"), scores(None)
    assert unknown == scores("elsewhere") and south != north
    sweet = [item for item in SWEET if item in south and item in north]
    salty = [item for item in south if item not in SWEET and item in north]
    assert np.mean([south[item] - north[item] for item in sweet]) > np.mean(
        [south[item] - north[item] for item in salty]
    )


def test_an_explanation_is_of_the_scores_that_were_given_in_the_shop(ranker):
    answer = ranker.recommend(RecommendRequest(user="ann", k=3, shop="north"), now=NOON)
    items = tuple(ShownItem.of(one) for one in answer.items)
    shown = Shown(request_id="1", user="ann", now=NOON, items=items, method=answer.method, shop="north")
    told = explain(ranker.known, shown, 1)
    mixed = told.parts.alpha * told.parts.dnn + (1 - told.parts.alpha) * told.parts.transformer
    assert mixed == pytest.approx(answer.items[0].score, abs=1e-3)


def test_a_search_names_no_shop_and_works(ranker):
    assert ranker.search(SearchRequest(user="ann", query="milk"), now=NOON).items[0].item == "milk"
