"""A message stands in one condition; the others that it holds for name that one."""

import pytest
from worlds import condition, message

from shoploop.controller.decide.conditions import SEE, spelt_out, told_once

FAILED = {
    "id": "r1", "trigger": "Spec", "cause": "x", "phase": "Failed", "startedAt": "2026-03-01T00:00:00Z",
    "finishedAt": "2026-03-01T00:10:00Z", "reason": "JobFailed", "message": "No bucket has that name.",
}  # fmt: skip


@pytest.fixture
def failed(make_recommender):
    from shoploop.api.v1alpha1 import RecommenderSpec
    from shoploop.controller.decide import manifests as runs

    def make(**more):
        recommender = make_recommender()
        spec = RecommenderSpec.model_validate(recommender["spec"])
        hashes = {"specHash": runs.spec_hash(spec), "podHash": runs.pod_hash(spec)}
        return recommender | {"status": {"run": FAILED | hashes} | more}

    return make


def test_a_failed_run_is_told_by_one_condition(failed, plan):
    made = plan(failed())
    telling = [c["type"] for c in made.status["conditions"] if "No bucket has that name." in c["message"]]
    assert telling == ["Ready"]
    assert message(made, "RunSucceeded") == message(made, "Degraded") == SEE.format(type="Ready")
    assert condition(made, "RunSucceeded") == ("False", "RunFailed")
    assert condition(made, "Degraded") == ("True", "RunFailed")


def test_events_tell_the_whole_message(failed, plan):
    events = {event.reason: event.message for event in plan(failed()).events}
    assert not any(message.startswith("The condition") for message in events.values())


def test_a_condition_that_named_another_tells_its_own_once_that_one_says_something_else(failed, plan):
    before = plan(failed()).status
    blocked = failed(conditions=before["conditions"])
    blocked["spec"] = blocked["spec"] | {"data": {"tables": {"interactions": {"uri": "events.csv"}}}}
    made = plan(blocked)
    assert condition(made, "Ready")[1] == "DataClaimMissing"
    assert "No bucket has that name." in message(made, "RunSucceeded")
    assert message(made, "Degraded") == SEE.format(type="Ready")


def test_nothing_changes_when_nothing_does(failed, plan):
    first = plan(failed()).status
    again = plan(failed(conditions=first["conditions"])).status
    assert again["conditions"] == first["conditions"]


def test_telling_once_loses_no_message():
    whole = [
        {"type": type_, "message": message, "reason": "R"} for type_, message in (("A", "x"), ("B", "y"), ("C", "x"))
    ]
    told = told_once(whole)
    assert [c["message"] for c in told] == ["x", "y", SEE.format(type="A")]
    assert spelt_out(told) == whole


def test_the_condition_that_is_named_as_the_reason_tells_it_itself():
    whole = [{"type": type_, "message": "x", "reason": "ReleaseHeld"} for type_ in ("Ready", "ReleaseHeld")]
    told = told_once(whole)
    assert [c["message"] for c in told] == [SEE.format(type="ReleaseHeld"), "x"]
    assert spelt_out(told) == whole
