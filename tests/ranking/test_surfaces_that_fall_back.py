"""What is answered where the gate did not let the model: a simple method, on that surface alone, and the answer says so."""

from datetime import UTC, datetime, time

import numpy as np
import pytest
from shop import Shop
from shop.serving import make_ranker

from shoploop.models.fusion import FusedModel
from shoploop.ranking.answer import RankRequest, RecommendRequest, SearchRequest, ShopsRequest
from shoploop.ranking.explaining import Shown, ShownItem, explain
from shoploop.ranking.settings import RankerSettings
from shoploop.ranking.simple import ANSWERED_AS, SIMPLE, simple_scores
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

SERVING_DAY = Shop().serving_day
NOON = datetime.combine(SERVING_DAY, time(12), UTC)


@pytest.fixture(scope="module")
def trained(searching_shop):
    return TrainedModel.of_version(load_version(searching_shop / "model"))


@pytest.fixture
def make(trained, tmp_path):
    return lambda **falls_back: make_ranker(tmp_path, trained=trained, falls_back=falls_back)


@pytest.fixture
def asked(monkeypatch):
    """The surfaces that a model is asked for, in order."""
    seen, score = [], FusedModel.score

    def watched(self, request, *, part, surface="items"):
        seen.append(surface)
        return score(self, request, part=part, surface=surface)

    monkeypatch.setattr(FusedModel, "score", watched)
    return seen


def answers(ranker, user="ann"):
    return {
        "items": ranker.recommend(RecommendRequest(user=user, k=5), now=NOON),
        "search": ranker.search(SearchRequest(query="sweet", user=user), now=NOON),
        "shops": ranker.shops(ShopsRequest(user=user), now=NOON),
    }


def test_a_version_whose_recommendations_were_refused_recommends_by_a_simple_method_and_searches_by_the_model(
    make, asked
):
    found = answers(make(items="personal"))
    assert {name: answer.method for name, answer in found.items()} == {
        "items": "frequency", "search": "fused", "shops": "fused"
    }  # fmt: skip
    assert "items" not in asked and {"search", "shops"} <= set(asked)
    # ann bought milk on 20 days and apples on 10
    assert [ranked.item for ranked in found["items"].items[:2]] == ["milk", "apples"]
    assert not any(ranked.origin.modelled for ranked in found["items"].items)


@pytest.mark.parametrize(
    ("surface", "how", "method"), [("search", "text", "text"), ("shops", "frequency", "frequency")]
)
def test_another_surface_falls_back_alone(make, asked, surface, how, method):
    found = answers(make(**{surface: how}))
    assert surface not in asked
    assert {name for name, answer in found.items() if answer.method == "fused"} == {"items", "search", "shops"} - {
        surface
    }
    assert found[surface].method == method


def test_what_was_packaged_before_surfaces_had_verdicts_answers_by_the_model(make, tmp_path):
    RankerSettings(version="v123").write(tmp_path)
    written = (tmp_path / "settings.json").read_text().replace('"falls_back": {},', "")
    assert "falls_back" not in written
    (tmp_path / "settings.json").write_text(written)
    assert RankerSettings.read(tmp_path).falls_back == {}
    assert {answer.method for answer in answers(make()).values()} == {"fused"}


def test_what_a_package_says_of_surfaces_is_read_as_it_was_written(tmp_path):
    settings = RankerSettings(version="v123", falls_back={"items": "ease"})
    settings.write(tmp_path)
    assert RankerSettings.read(tmp_path) == settings


@pytest.mark.parametrize("method", SIMPLE)
def test_every_simple_method_answers_with_the_scores_that_it_was_measured_with(make, method):
    ranker = make(items=method)
    answer = ranker.recommend(RecommendRequest(user="ann", k=5), now=NOON)
    assert answer.method == ANSWERED_AS[method]
    known = ranker.known
    visitor = known.visitor("ann", (), NOON)
    candidates = known.candidates(visitor.user, visitor.day)
    names = known.trained.contract.pair_features
    features_NK = known.input(visitor.user, candidates.items_N, visitor.day, candidates).features_NK
    scores_N = simple_scores(method, features_NK, names)
    best = np.lexsort((candidates.items_N, -scores_N))[:5]
    assert [ranked.item for ranked in answer.items] == [ranker.known_items[code] for code in candidates.items_N[best]]
    assert all(ranked.score >= 0 for ranked in answer.items)  # a shop's boosts multiply them


def test_given_items_are_ranked_by_the_simple_method_too(make, asked):
    answer = make(items="personal").rank(RankRequest(user="ann", items=["soap", "apples", "milk"]), now=NOON)
    assert (answer.method, [ranked.item for ranked in answer.items]) == ("frequency", ["milk", "apples", "soap"])
    assert asked == []


def test_best_sellers_for_somebody_who_is_known_give_no_reasons_of_their_own(make):
    answer = make(items="popular").recommend(RecommendRequest(user="ann", k=1), now=NOON)
    assert (answer.method, answer.items[0].item) == ("popularity", "apples")
    assert "you" not in answer.items[0].reason.split()


def test_who_is_not_known_gets_what_sells_as_ever(make):
    assert make(items="ease").recommend(RecommendRequest(user="nobody"), now=NOON).method == "popularity"


@pytest.mark.parametrize("remembered", [True, False])
def test_what_a_simple_method_recommended_is_not_explained_by_the_model(make, asked, remembered):
    ranker = make(items="personal")
    answer = ranker.recommend(RecommendRequest(user="ann", k=3), now=NOON)
    items = tuple(ShownItem.of(each) if remembered else ShownItem(item=each.item) for each in answer.items)
    method = answer.method if remembered else None
    told = explain(ranker.known, Shown(request_id="1", user="ann", now=NOON, items=items, method=method), 1)
    assert told.parts is None and told.features == [] and asked == []
    assert told.reason == answer.items[0].reason


def test_warming_up_works_and_drift_is_not_told_of_scores_that_nobody_gets(make):
    ranker = make(items="decay")
    ranker.warm_up()
    assert ranker.recommend(RecommendRequest(user="ann"), now=NOON).method == "decay"
