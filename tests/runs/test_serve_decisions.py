"""Who serves, written into the store by a pod for an operator that reaches none: once, whoever is killed."""

import pytest
from shop.serving import publish_twins

from shoploop.runs import pod_verbs
from shoploop.store import Store
from shoploop.versions import candidacy, promotions

NAME = "small"


@pytest.fixture
def store(tmp_path):
    store = Store(str(tmp_path / "store"))
    store.first, store.second = publish_twins(store, NAME, tmp_path)
    return store


def decide(store, *words, by="the operator, Job 1"):
    where = ["--recommender", NAME, "--store", store.uri, "--reason", "as a test asks", "--by", by]
    return pod_verbs.main(["serve", "--verb", *words, *where])


def served(store):
    return [entry.version for entry in promotions.promotions(store, NAME)]


def test_a_promotion_is_written_once_however_often_its_pod_is_killed_behind_it(store):
    assert [decide(store, "promote", "--version", store.second) for _ in range(2)] == [0, 0]
    assert served(store) == [store.first, store.second]
    assert promotions.promotions(store, NAME)[-1].by == "the operator, Job 1"
    assert decide(store, "rollback", by="kubectl annotate, Job 2") == 0
    assert decide(store, "promote", "--version", store.second) == 0, "its second pod comes late"
    assert served(store)[-1] == store.first


def test_a_promotion_that_was_decided_before_somebody_else_decided_is_not_made(store):
    promotions.promote(store, NAME, store.second, reason="x", by="somebody")
    assert decide(store, "promote", "--version", store.first, "--after", "1") == 0
    assert served(store)[-1] == store.second


def test_a_candidate_begins_beside_the_version_that_serves_and_ends_by_its_number(store):
    assert decide(store, "candidate", "--version", store.second, "--percent", "10") == 0
    now = candidacy.current(store, NAME)
    assert (now.version, now.percent) == (store.second, 10)
    assert decide(store, "end", "--number", str(now.number + 7), by="a predictor, Job 3") == 0, (
        "that one is over already"
    )
    assert candidacy.current(store, NAME) == now
    assert decide(store, "end", "--number", str(now.number), by="a predictor, Job 4") == 0
    assert candidacy.current(store, NAME) is None


def test_where_no_promotion_says_so_the_version_that_serves_is_written_first(store):
    for key in list(store.list(f"recommenders/{NAME}/promotions/")):
        store.delete(key)
    steps = ("--step", "5:30", "--step", "50:60")
    assert decide(store, "candidate", "--version", store.second, "--serving", store.first, *steps) == 0
    assert served(store) == [store.first]
    assert candidacy.current(store, NAME).steps == ((5, 30), (50, 60))


def test_a_pin_ends_the_candidacy_too(store):
    decide(store, "candidate", "--version", store.second, "--percent", "10")
    assert decide(store, "promote", "--version", store.first, "--alone", by="the operator, Job 5") == 0
    assert candidacy.current(store, NAME) is None and served(store) == [store.first]


@pytest.mark.parametrize("words", [("promote", "--version", "v00000000ffff"), ("rollback",), ("end",)])
def test_what_cannot_be_done_is_named(store, words, capsys):
    assert decide(store, *words) == 2
    assert capsys.readouterr().err.startswith("shoploop: ")
