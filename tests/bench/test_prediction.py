"""The benchmarks' protocols on logs in which one sees who is asked what, and the contest on the shared shop."""

import gzip
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from own_rows import events, log_of
from shop import FIRST, Shop

from shoploop.bench.prediction import datasets, next_click, next_item, tafeng
from shoploop.bench.prediction.ablation import ablation
from shoploop.bench.prediction.contest import METRICS, candidates, contest
from shoploop.bench.prediction.next_basket import without_last
from shoploop.bench.prediction.parts import parts_of
from shoploop.bench.prediction.problem import Problem, ProtocolViolated
from shoploop.bench.prediction.reasons import reasons, without
from shoploop.candidates.fetching import SOURCES
from shoploop.errors import NotFound, SpecInvalid
from shoploop.features.contract import resolve
from shoploop.features.history import History, bought_on
from shoploop.samples.sample_set import Request

pytestmark = pytest.mark.usefixtures("one_thread")

DAY = 86_400


def written(folder, rows):
    """(part, user, item, day) each."""
    for part in ("train", "valid", "test"):
        lines = [f"{user}\t{item}\t{day * DAY}\n" for of, user, item, day in rows if of == part]
        (folder / f"{part}.txt.gz").write_bytes(gzip.compress("".join(lines).encode()))
    return folder


@pytest.fixture
def reviews(tmp_path):
    """Ann's last two items come on one day, bob's do not."""
    rows = [
        ("train", "ann", "a", 100), ("train", "ann", "b", 101), ("valid", "ann", "c", 110), ("test", "ann", "d", 110),
        ("train", "bob", "a", 100), ("train", "bob", "c", 102), ("valid", "bob", "b", 103), ("test", "bob", "e", 120),
    ]  # fmt: skip
    return next_item.read_reviews(written(tmp_path, rows))


def test_nothing_is_fitted_on_anybodys_last_two_items(reviews):
    problem = next_item.leave_last_out(reviews, "small")
    past = {problem.log.vocabulary.items[code] for code in problem.past.item_R}
    assert past == {"a", "b", "c"} and len(problem.past) == 4
    assert problem.counts == {"users": 2, "items": 5, "distinct_times": 1, "judged": 2}


def test_the_last_item_is_asked_for_with_all_before_it_known_also_what_came_at_the_same_time(reviews):
    problem = next_item.leave_last_out(reviews, "small")
    ann, bob = problem.targets
    assert (ann.day, bob.day) == (111, 120)
    known = problem.log.item_R[(problem.log.user_R == ann.user) & (problem.log.day_R < ann.day)]
    assert [problem.log.vocabulary.items[code] for code in known] == ["a", "b", "c"]
    assert problem.slices["distinct_times"].tolist() == [False, True]


def test_next_to_last_items_are_for_validation_where_nothing_of_the_past_came_with_them(tmp_path):
    rows = [
        ("train", "ann", "d", 99), ("train", "ann", "a", 100), ("valid", "ann", "b", 101), ("test", "ann", "c", 101),
        ("train", "bob", "d", 99), ("train", "bob", "a", 100), ("valid", "bob", "c", 100), ("test", "bob", "b", 120),
    ]  # fmt: skip
    problem = next_item.leave_last_out(next_item.read_reviews(written(tmp_path, rows)), "small")
    asked = [(problem.log.users[request.user], request.day) for request in problem.validation]
    assert asked == [("ann", 101)]
    (bought,) = bought_on(problem.log, problem.validation[0].user, day=101)
    assert problem.log.vocabulary.items[bought] == "b"


def test_reviews_that_are_not_there_are_missed_by_name(tmp_path):
    with pytest.raises(NotFound, match=r"train\.txt\.gz"):
        next_item.read_reviews(tmp_path)


def test_ta_fengs_last_basket_of_the_test_users_is_asked_for(tmp_path):
    def put(name, document):
        (tmp_path / f"{name}.json.gz").write_bytes(gzip.compress(json.dumps(document).encode()))

    put("history", {"1": [[-1], [0, 1], [2], [0], [-1]], "2": [[-1], [3], [0], [-1]]})
    put("future", {"1": [[-1], [1, 2], [-1]], "2": [[-1], [3], [-1]]})
    put("keyset_0", {"item_num": 4, "train": ["2"], "val": [], "test": ["1"]})
    problem = tafeng.of_folder(tmp_path)
    (target,) = problem.targets
    assert problem.log.users[target.user] == "1"
    assert len(problem.past) == 6 and problem.past.last_day == target.day - 7
    assert problem.counts == {"users": 1, "items": 4}


def test_a_dataset_that_nobody_knows_is_refused_by_name():
    with pytest.raises(SpecInvalid, match="nonesuch"):
        datasets.problem_of("nonesuch")


def test_data_that_lie_elsewhere_are_asked_for_by_the_variable(monkeypatch):
    monkeypatch.delenv("SHOPLOOP_BENCH_DATA", raising=False)
    with pytest.raises(NotFound, match="SHOPLOOP_BENCH_DATA"):
        datasets.problem_of("amazon-beauty")


@pytest.fixture(scope="module")
def problem():
    """The last visit of each of sixty shoppers who buy the item of their own at every visit."""
    shop = Shop(users=60)
    log, last = shop.log(), FIRST + shop.days
    days = [np.unique(log.day_R[log.user_R == user]) for user in range(60)]
    targets = [Request(user=user, day=int(of[-1])) for user, of in enumerate(days)]
    labels = [Request(user=user, day=int(day)) for user, of in enumerate(days) for day in of[-6:-1]]
    first = np.array([request.day for request in targets])
    interactions, items = shop.interactions(), shop.described()
    return Problem(
        dataset="shop",
        log=log,
        past=log.where(log.day_R < first[log.user_R]),
        before_labels=log.where(log.day_R < last - 20),
        targets=targets,
        labels=labels,
        contract=resolve(interactions=interactions, items=items, users=pl.DataFrame({"user": [""]})),
        items=items,
        counts={"users": 60},
        slices={"even": np.arange(60) % 2 == 0, "odd": np.arange(60) % 2 == 1},
    )


@pytest.fixture(scope="module")
def measured(problem):
    return contest(problem, seeds=(0, 1))


def test_every_method_is_measured_with_an_interval_and_held_against_the_fused_score(measured):
    methods = set(measured["methods"])
    assert {"fused", "dnn", "transformer", "fixed_alpha", "lambdamart", "item_knn", "ease", "popular_decayed"} < methods
    assert all({"recall@10", "ndcg@10", "hit@10", "interval"} <= set(row) for row in measured["methods"].values())
    assert {each["than"] for each in measured["comparisons"]} == methods - {"fused"}
    assert measured["seeds"] == [0, 1] and len(measured["alpha"]) == 2
    json.dumps(measured, allow_nan=False)


def test_of_several_target_days_each_counts_and_users_are_drawn_with_all_of_theirs(problem):
    later, before = np.arange(60) / 60, np.zeros(60)

    def known(made, seed, say):
        value = later if made.problem is problem else before
        return {"fused": dict.fromkeys(METRICS, value), "popular": dict.fromkeys(METRICS, before)}, {}, np.arange(60)

    found = contest(problem, seeds=(0,), once=known, earlier=[replace(problem, slices={})])
    assert found["targets"] == 120
    assert found["methods"]["fused"]["ndcg@10"] == pytest.approx(later.mean() / 2)
    assert found["slices"]["even"]["fused"]["ndcg@10"] == pytest.approx(later[::2].mean())
    low, high = found["methods"]["fused"]["interval"]["ndcg@10"]
    # of 60 means of two visits, not of 120 visits
    assert (high - low) / 2 == pytest.approx(1.96 * later.std() / 2 / 60**0.5, rel=0.25)


def test_a_visit_that_did_not_happen_yet_is_left_out_with_all_after_it():
    rows = events([("ann", "a", 1), ("ann", "b", 2), ("ann", "c", 2), ("ann", "d", 5), ("bob", "a", 4)])
    assert without_last(rows, 0).equals(rows)
    assert without_last(rows, 1)["item"].to_list() == ["a", "b", "c"]
    assert without_last(rows, 2)["item"].to_list() == ["a"]


def test_habits_are_found_and_best_sellers_find_them_less_well(measured):
    ndcg = {name: row["ndcg@10"] for name, row in measured["methods"].items()}
    assert ndcg["fused"] > 0.9 and ndcg["personal"] > 0.9 > ndcg["popular"]


def test_targets_are_told_apart_by_how_long_histories_are_and_how_much_was_bought(problem):
    ann, bob = [("ann", "a", 1), ("ann", "b", 2), ("ann", "a", 3), ("ann", "b", 3)], [("bob", "a", 1), ("bob", "a", 3)]
    log = log_of([*ann, *bob])
    both = replace(problem, log=log, targets=[Request(user=user, day=FIRST + 3) for user in (0, 1)], slices={})
    assert {name: part.tolist() for name, part in parts_of(both).items()} == {
        "short_histories": [True, True],
        "small_baskets": [False, True],
        "large_baskets": [True, False],
    }


def test_a_slice_is_measured_on_its_own_users_alone(measured):
    assert measured["slices"]["even"]["users"] == 30
    parts = [measured["slices"][part]["popular"]["ndcg@10"] for part in ("even", "odd")]
    assert parts[0] != parts[1] and sum(parts) / 2 == pytest.approx(measured["methods"]["popular"]["ndcg@10"])


def test_an_ablation_measures_each_part_of_one_training_also_by_the_length_of_histories(problem, monkeypatch):
    monkeypatch.setattr("shoploop.bench.prediction.parts.SHORT_DAYS", 1000)
    found = ablation(problem)
    assert set(found["methods"]) == {"dnn", "transformer", "fixed_alpha", "fused", "contextual_alpha"}
    assert {each["than"] for each in found["comparisons"]} == set(found["methods"]) - {"fused"}
    assert found["slices"]["short_histories"]["users"] == 60 and found["slices"]["even"]["users"] == 30
    assert found["methods"]["contextual_alpha"]["ndcg@10"] > 0.9


def test_candidates_tell_what_each_source_reaches_and_what_only_it_reaches(problem):
    found = candidates(problem)
    assert found["recall"] == 1.0, "twelve items are all candidates"
    assert set(found["sources"]) == set(SOURCES) and set(found["budget"]) == set(SOURCES) - {"history"}
    assert found["sources"]["history"]["alone"] == 1.0 and found["sources"]["kinds"]["marginal"] == 0.0


def test_candidates_are_measured_with_as_many_places_as_are_asked_for(problem, monkeypatch):
    monkeypatch.setattr("shoploop.candidates.allocation.TELLING", 0)
    assert sum(candidates(problem, places=100)["budget"].values()) == 100, "best sellers, for a new visitor"


def test_other_counts_than_the_protocols_are_other_data(problem):
    with pytest.raises(ProtocolViolated, match="60"):
        problem.checked({"users": 61})


@pytest.fixture(scope="module")
def reasoned(problem):
    return reasons(problem, users=20, visits=150)


def test_a_score_falls_further_without_what_its_reason_names_than_without_something_else(reasoned):
    recommended = reasoned["lists"]["all"]
    assert reasoned["passed"] and recommended["ratio_to_moves"] > 3
    assert recommended["named"]["mean"] > 0 and recommended["difference"]["interval"][0] > 0
    assert sum(recommended["shares"].values()) == pytest.approx(1.0, abs=0.001)
    json.dumps(reasoned, allow_nan=False)


def test_what_was_never_bought_has_no_reason_of_being_bought(reasoned):
    assert "own" not in reasoned["lists"]["not_bought"]["shares"]


def test_an_item_that_is_deleted_leaves_the_rest_of_the_history():
    history = History.of(np.array([1, 2, 2], np.int32), np.array([5, 5, 6], np.int32), np.ones(3, np.float32))
    left = without(history, 1)
    assert left.items_H.tolist() == [2, 2] and left.sizes_H.tolist() == [1, 1]


def test_each_click_of_a_session_but_the_first_is_asked_for_with_those_before_it_known():
    clicks = pl.DataFrame(
        [("train-1", "train", "a", 0.0), ("train-1", "train", "b", 60.0), ("train-2", "train", "c", 1801.0),
         ("train-2", "train", "a", 1802.0), ("test-1", "test", "a", 86_400.0), ("test-1", "test", "b", 86_401.0),
         ("test-1", "test", "a", 86_402.0), ("test-2", "test", "new", 86_400.0), ("test-2", "test", "b", 86_401.0)],
        schema=["user", "part", "item", "seconds"], orient="row",
    )  # fmt: skip
    problem = next_click.of_clicks(clicks, "small")
    log, names = problem.log, problem.log.vocabulary.items
    assert problem.counts == {"sessions": 1, "items": 3, "clicks": 2, "judged": 2}, "of the second one click is left"
    second, third = problem.targets
    assert third.day - second.day == 1 and log.users[second.user] == "test-1"
    known = log.item_R[(log.user_R == third.user) & (log.day_R < third.day)]
    assert [names[code] for code in known] == ["a", "b"]
    assert problem.past.last_day < second.day and len(problem.past) == 4
    # half an hour is told as a day: the second session began one later than the first
    assert sorted({int(day) for day in problem.past.day_R}) == [next_click.FIRST_DAY + at for at in (0, 1, 2)]
