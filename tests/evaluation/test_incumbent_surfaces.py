"""The version that serves is asked the same queries and the same next shops as the new one."""

import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest
import torch
from shop import FIRST, Shop
from shop.searches import COLUMNS
from shop.serving import MemoryJoins

from shoploop.evaluation.incumbent import NotComparable, opened
from shoploop.evaluation.incumbent_surfaces import on_queries, on_visits, that_chooses_shops, that_searches
from shoploop.evaluation.searching import evaluate_search
from shoploop.evaluation.shopping import evaluate_shops
from shoploop.features.contract import Contract
from shoploop.samples.files import read_days, read_samples
from shoploop.samples.search_step import SEARCH
from shoploop.samples.shop_step import SHOPS
from shoploop.samples.shops import SHOP_COLUMNS
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel
from shoploop.versions.vocabulary import on_shops

pytestmark = pytest.mark.usefixtures("one_thread")

LOG = Shop().log()


@pytest.fixture
def serving(searching_shop, tmp_path):
    """The folder of the version that serves, which has the weights of the new one."""
    return shutil.copytree(searching_shop / "model", tmp_path / load_version(searching_shop / "model").id)


def opened_beside(searching_shop, serving):
    visits = read_samples(searching_shop / "samples", Contract(), "evaluation")
    further = read_days(searching_shop / "samples" / SEARCH, "evaluation")
    return opened(serving, visits, LOG, MemoryJoins(LOG), further=further)


def asking(searching_shop, served):
    return partial(on_queries, served=served, data=searching_shop / "data", windows=Shop().split, seed=0)


def test_the_same_version_answers_queries_alike_and_differs_by_nothing(searching_shop, serving):
    served = that_searches(opened_beside(searching_shop, serving))
    model = TrainedModel.of_version(load_version(searching_shop / "model")).model
    folder, pairs = searching_shop / "samples" / SEARCH, Contract().pair_features
    found = evaluate_search(folder, pairs, model, seed=0, incumbent=asking(searching_shop, served))
    told = found["gate"]["incumbent"]
    assert (told["compared"], told["why_not"], told["difference"]) == (True, None, pytest.approx(0, abs=1e-6))
    assert found["methods"]["incumbent"]["ndcg@10"] == pytest.approx(found["methods"]["fused"]["ndcg@10"])
    assert "incumbent" in {row["than"] for row in found["comparisons"]}


def test_a_search_that_forgot_what_it_learned_is_found_to_be_worse(searching_shop, serving):
    served = that_searches(opened_beside(searching_shop, serving))
    queries = read_samples(searching_shop / "samples" / SEARCH, COLUMNS, "evaluation")
    knows = asking(searching_shop, served)(queries)["ndcg@10"]
    with torch.no_grad():
        served.trained.model.searching().query.multiply_scores(-1.0)
        served.trained.model.alpha_logits.fill_(20.0)
    assert np.nanmean(asking(searching_shop, served)(queries)["ndcg@10"]) < np.nanmean(knows) - 0.1


def test_the_same_version_chooses_the_same_shops_also_where_codes_have_moved(searching_shop, serving):
    served = that_chooses_shops(opened_beside(searching_shop, serving))
    trained = TrainedModel.of_version(load_version(searching_shop / "model"))
    choose = partial(on_visits, served=served, shops=trained.shops)
    folder = searching_shop / "samples" / SHOPS
    told = evaluate_shops(folder, trained.model, seed=0, incumbent=choose)["gate"]["incumbent"]
    assert (told["compared"], told["difference"]) == (True, pytest.approx(0, abs=1e-6))

    # codes as a later run would have them: one shop more, before all others
    visits = read_samples(folder, SHOP_COLUMNS, "evaluation")
    moved = replace(visits, items_R=visits.items_R + 1, shops_QL=np.where(visits.shops_QL < 0, -1, visits.shops_QL + 1))
    later = on_visits(moved, served=served, shops=("a new one", *trained.shops))
    np.testing.assert_array_equal(later["mrr"], choose(visits)["mrr"])


def test_of_a_shop_that_it_never_knew_a_version_knows_nothing_of_its_own(searching_shop):
    trained = TrainedModel.of_version(load_version(searching_shop / "model"))
    moved = on_shops(trained, ("a new one", *reversed(trained.shops)))
    assert not moved.model.shopping().shop.weight[0].any() and moved.model.shopping().bias_P[0] == 0
    first = trained.model.shopping().shop.weight[0]
    np.testing.assert_array_equal(moved.model.shopping().shop.weight[-1].detach(), first.detach())
    assert on_shops(trained, trained.shops) is trained


def test_where_it_answers_by_a_simple_method_or_cannot_be_read_there_is_nothing_to_hold_against(
    searching_shop, serving
):
    (serving / "falls_back.json").write_text(json.dumps({"search": "text"}))
    served = opened_beside(searching_shop, serving)
    assert that_searches(served) is None and that_chooses_shops(served) is served
    (serving / "weights.safetensors").write_bytes(b"no")
    assert that_chooses_shops(opened_beside(searching_shop, serving)) is None
    assert that_searches(None) is None


def test_a_version_that_does_not_search_is_not_asked(trained_shop, tmp_path):
    serving = shutil.copytree(trained_shop / "model", tmp_path / load_version(trained_shop / "model").id)
    served = opened_beside(trained_shop, serving)
    assert that_searches(served) is None and that_chooses_shops(served) is None


def test_queries_of_days_that_it_has_learned_from_do_not_count(searching_shop, serving):
    served = that_searches(opened_beside(searching_shop, serving))
    queries = read_samples(searching_shop / "samples" / SEARCH, COLUMNS, "evaluation")
    days = np.sort(queries.days_Q)
    some = asking(searching_shop, replace(served, learned=int(days[len(days) // 2])))(queries)["ndcg@10"]
    assert np.isnan(some[queries.days_Q <= days[len(days) // 2]]).all() and np.isfinite(some).any()

    found = evaluate_search(
        searching_shop / "samples" / SEARCH,
        Contract().pair_features,
        TrainedModel.of_version(load_version(searching_shop / "model")).model,
        seed=0,
        incumbent=asking(searching_shop, replace(served, learned=FIRST + 58)),
    )
    told = found["gate"]["incumbent"]
    assert not told["compared"] and "queries of this evaluation lie later; 10 are needed" in told["why_not"]
    assert "incumbent" not in found["methods"]
    with pytest.raises(NotComparable, match="visits to shops"):
        shops = tuple(pl.read_parquet(searching_shop / "samples" / SHOPS / "shops.parquet")["shop"])
        on_visits(
            read_samples(searching_shop / "samples" / SHOPS, SHOP_COLUMNS, "evaluation"),
            served=replace(served, learned=FIRST + 58),
            shops=shops,
        )
