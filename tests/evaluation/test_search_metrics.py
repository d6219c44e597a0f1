"""How well queries are answered: every part of the model against what needs none."""

import json
from dataclasses import replace

import numpy as np
import pytest
from shop import FIRST, SALTY, SWEET, Shop
from shop.searches import COLUMNS, answers, sources, typed

from shoploop.evaluation.metrics import NAMES
from shoploop.evaluation.scoring import request_metrics, request_ndcg
from shoploop.evaluation.searching import compared, evaluate_search, simple_scores, what_was_bought
from shoploop.features.contract import Contract
from shoploop.models.fusion import PARTS
from shoploop.samples.search_step import SEARCH
from shoploop.surfaces.search.asked import NOBODY, Asked, requests_of, searches_of
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

pytestmark = pytest.mark.usefixtures("one_thread")

SHOP = Shop()
SIMPLE = {"popular", "bm25", "bm25_popular", "words_popular", "words_own", "memory"}


def ndcg(samples, name):
    return request_metrics(samples, simple_scores(samples, COLUMNS)[name])["ndcg@10"]


@pytest.fixture(scope="module")
def asked():
    """ann asks for something sweet, means milk and calls it so too; bob says tea in words that no name has."""
    queries = [
        Asked(user=0, day=FIRST + 57, query="sweet", items=(SWEET.index("milk"),)),
        Asked(user=NOBODY, day=FIRST + 57, query="milk", items=(SWEET.index("milk"),)),
        Asked(user=0, day=FIRST + 57, query="bedtime drink", items=(SWEET.index("milk"),)),
        Asked(user=1, day=FIRST + 57, query="qqqq", items=(6 + SALTY.index("tea"),)),
    ]
    return answers(queries, sources(SHOP))


def test_what_a_simple_score_can_tell_it_tells(asked):
    assert ndcg(asked, "words_own")[0] == 1 > ndcg(asked, "words_popular")[0]
    assert ndcg(asked, "bm25")[1] == ndcg(asked, "words_popular")[1] == 1
    assert ndcg(asked, "memory")[2] == 1 > ndcg(asked, "popular")[2]


def test_what_was_bought_is_judged_apart_from_what_was_only_clicked(asked):
    assert what_was_bought(asked) is None  # nobody says it
    weights_R = np.ones(len(asked.labels_R), np.float32)
    assert what_was_bought(replace(asked, weights_R=weights_R)) is None  # or it is all the same
    first, second, *_ = np.flatnonzero(asked.labels_R)
    weights_R[asked.labels_R] = 0.3
    weights_R[second] = 1.0
    found = what_was_bought(replace(asked, weights_R=weights_R))
    assert [found.truth(q).tolist() for q in range(len(found))] == [[], [SWEET.index("milk")], [], []]
    assert found.labels_R.sum() == 1 and found.labels_R[second] and not found.labels_R[first]
    ndcg = request_ndcg(found, simple_scores(found, COLUMNS)["bm25"])
    assert ndcg[1] == 1 and np.isnan(ndcg[[0, 2, 3]]).all()


def test_slices_are_of_queries_that_nobody_asked_before_and_of_users_who_are_not_known(asked):
    scores = {"fused": simple_scores(asked, COLUMNS)["words_own"], "popular": simple_scores(asked, COLUMNS)["popular"]}
    metrics = {name: request_metrics(asked, values) for name, values in scores.items()}
    slices = compared(asked, COLUMNS, metrics, seed=0)["slices"]
    assert slices["user_not_known"]["queries"] == 1 and slices["user_not_known"]["fused"] == 1
    assert slices["query_not_seen_before"]["queries"] == 1  # "qqqq"; ann shares "sweet" with who is not known


def test_one_user_who_asks_often_is_one_witness_and_strangers_are_each_their_own(asked):
    answered = {name: np.repeat([1.0, 0.0], [30, 10]) for name in (*NAMES, "auc")}

    def width(users):
        many = replace(asked.select([0] * 40), users_Q=np.array(users, np.int32))
        low, high = compared(many, COLUMNS, {"fused": answered}, seed=0)["methods"]["fused"]["interval"]["hit@10"]
        return high - low

    two_people = width([0] * 30 + [1] * 10)
    assert two_people == 1.0  # one of them may be drawn twice: found all, or nothing
    assert width([NOBODY] * 40) == width(range(40)) < 0.5


def test_a_query_without_candidates_is_a_query_that_found_nothing(asked):
    empty = replace(
        asked.select([0]),
        offsets_Q1=np.array([0, 0]),
        items_R=asked.items_R[:0],
        labels_R=asked.labels_R[:0],
        sources_R=asked.sources_R[:0],
        features_RK=asked.features_RK[:0],
    )
    scores = simple_scores(empty, COLUMNS)["popular"]
    metrics = {name: request_metrics(empty, scores) for name in ("fused", "popular")}
    assert metrics["fused"]["ndcg@10"].tolist() == [0]
    assert compared(empty, COLUMNS, metrics, seed=0)["methods"]["fused"]["ndcg@10"] == 0


def test_a_version_is_measured_with_every_part_and_every_rival(searching_shop):
    model = TrainedModel.of_version(load_version(searching_shop / "model")).model
    report = evaluate_search(searching_shop / "samples" / SEARCH, Contract().pair_features, model, seed=0)
    judged = [a for a in requests_of(searches_of(typed(SHOP), SHOP.log())) if a.day >= SHOP.split.evaluation_first]
    assert report["queries"] == len(judged)
    assert set(report["methods"]) == {*SIMPLE, "lambdamart", *PARTS}
    assert set(report["methods"]["fused"]) >= set(NAMES)
    assert {each["than"] for each in report["comparisons"]} == set(report["methods"]) - {"fused"}
    assert report["methods"]["fused"]["ndcg@10"] > 0.9
    assert report["alpha"] == model.alpha["search"]
    json.dumps(report)
