"""Who serves, written into the store by a pod for an operator that reaches none: once, whoever is killed."""

import json

import pyarrow as pa
import pytest
import torch
from shop.serving import publish_twins

from shoploop.runs import pod_verbs
from shoploop.runs.letting_serve import PINNED
from shoploop.store import Store, layout
from shoploop.versions import candidacy, promotions
from shoploop.versions.artifact import write_version

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


def planned(store, run, after):
    store.put(layout.run_plan(layout.run(NAME, run)), json.dumps({"after": after}).encode())


def test_what_was_decided_while_a_run_went_on_stands_when_its_verdict_comes(store, tmp_path):
    planned(store, "run-1", after=1)
    verdict = ("--version", store.second, "--run", "run-1")
    promotions.promote(store, NAME, store.second, reason="to be rolled back", by="somebody")
    promotions.rollback(store, NAME, by="somebody")
    assert decide(store, "promote", *verdict) == 0 == decide(store, "candidate", *verdict, "--percent", "10")
    assert served(store)[-1] == store.first and candidacy.current(store, NAME) is None
    planned(store, "run-2", after=3)
    assert decide(store, "promote", "--version", store.second, "--run", "run-2", by="the operator, Job 2") == 0
    assert served(store)[-1] == store.second


def test_the_verdict_of_a_run_without_a_plan_counts_and_a_pin_that_is_gone_does_not(store):
    assert decide(store, "promote", "--version", store.second, "--run", "gone") == 0
    planned(store, "run-1", after=2)
    promotions.promote(store, NAME, store.first, reason=PINNED, by="somebody")
    assert decide(store, "promote", "--version", store.second, "--run", "run-1", by="the operator, Job 2") == 0
    assert served(store) == [store.first, store.second, store.first, store.second]


def test_a_candidate_that_the_spec_asks_for_waits_for_the_steps_of_another_and_a_person_s_does_not(store, tmp_path):
    third = write_version(
        tmp_path / "three", tensors={"x": torch.zeros(1)}, config={}, contract={}, items=pa.table({"item": ["a"]}),
        lineage={}, metrics={},
    ).id  # fmt: skip
    promotions.publish_version(store, NAME, tmp_path / "three")
    assert decide(store, "candidate", "--version", store.second, "--step", "5:30") == 0
    assert decide(store, "candidate", "--version", third, "--step", "5:30", "--waits", by="the operator, Job 2") == 0
    assert candidacy.current(store, NAME).version == store.second
    assert decide(store, "candidate", "--version", third, "--percent", "10", by="kubectl annotate, Job 3") == 0
    assert candidacy.current(store, NAME).version == third


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
