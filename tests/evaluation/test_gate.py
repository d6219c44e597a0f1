import json

import pytest

from shoploop.api.v1alpha1 import GateSpec
from shoploop.errors import SpecInvalid
from shoploop.evaluation.gate import decide, gate

SERVES = {"version": "v0123456789ab", "compared": True, "why_not": None}
DAMAGED = {"version": "v0123456789ab", "compared": False, "why_not": "weights.safetensors has 3 bytes."}


def against(than, difference, low):
    return {"than": than, "difference": difference, "interval": [low, 2 * difference - low]}


def bounds(baseline=(0.01, 0.005), incumbent=None):
    """Each rival as (difference, lower bound); an incumbent that cannot be compared as what it is."""
    if isinstance(incumbent, tuple):
        incumbent = SERVES | against("incumbent", *incumbent)
    return {
        "metric": "ndcg@10", "confidence": 0.95, "baseline": against("decay", *baseline), "incumbent": incumbent
    }  # fmt: skip


def test_a_first_version_better_than_the_best_baseline_passes():
    verdict = decide(bounds(), GateSpec())
    assert verdict["passed"] and verdict["against"] == "decay"
    assert "+0.0100" in verdict["reason"] and "+0.0050" in verdict["reason"]


def test_a_first_version_that_may_be_no_better_is_refused_whatever_the_margin():
    verdict = decide(bounds(baseline=(0.01, -0.001)), GateSpec(margin=0.5))
    assert not verdict["passed"]
    assert "first version must be better" in verdict["reason"] and "does not serve" in verdict["reason"]


@pytest.mark.parametrize(
    "rule, low, passes",
    [("NotWorse", -0.001, True), ("NotWorse", -0.003, False), ("Better", -0.001, False), ("Better", 0.001, True)],
)
def test_a_later_version_is_held_against_the_one_that_serves(rule, low, passes):
    verdict = decide(bounds(baseline=(-0.1, -0.2), incumbent=(0.004, low)), GateSpec(rule=rule, margin=0.002))
    assert verdict["passed"] is passes and verdict["against"] == "incumbent"


@pytest.mark.parametrize(
    ("rule", "passes", "asked"), [("NotWorse", True, "at least 0 was"), ("Better", False, "above 0 was")]
)
def test_a_version_that_is_the_same_on_every_visit_is_not_worse_and_not_better(rule, passes, asked):
    verdict = decide(bounds(incumbent=(0.0, 0.0)), GateSpec(rule=rule, margin=0.0))
    assert verdict["passed"] is passes and asked in verdict["reason"]


def test_that_the_version_that_serves_could_not_be_read_stands_beside_it():
    found = decide(bounds(incumbent=DAMAGED | {"unread": True}), GateSpec())
    assert (found["incumbent"], found["incumbent_unread"]) == (DAMAGED, True)
    assert "incumbent_unread" not in decide(bounds(incumbent=DAMAGED | {"unread": False}), GateSpec())


def test_a_verdict_says_on_how_many_visits_where_that_is_not_all():
    found = bounds(incumbent=(0.02, 0.01))
    assert "visits" not in decide(found, GateSpec())
    found["incumbent"]["visits"] = [120, 1_300]
    verdict = decide(found, GateSpec())
    assert verdict["visits"] == [120, 1_300]
    assert "from the version that serves, on 120 of 1,300 visits, by +0.0200" in verdict["reason"]


def test_a_verdict_tells_with_which_version_it_compared():
    assert decide(bounds(), GateSpec())["incumbent"] is None
    assert decide(bounds(incumbent=(0.01, 0.005)), GateSpec())["incumbent"] == SERVES


@pytest.mark.parametrize("rule", ["NotWorse", "Better"])
@pytest.mark.parametrize(("low", "passes"), [(0.001, True), (0.0, False), (-0.001, False)])
def test_beside_a_version_that_cannot_be_compared_one_must_be_better_than_the_best_baseline(rule, low, passes):
    verdict = decide(bounds(baseline=(0.01, low), incumbent=DAMAGED), GateSpec(rule=rule, margin=0.5))
    assert (verdict["passed"], verdict["against"], verdict["margin"]) == (passes, "decay", 0.0)
    assert verdict["incumbent"] == DAMAGED


@pytest.mark.parametrize("rule", ["NotWorse", "Better", "Always"])
@pytest.mark.parametrize("low", [0.001, -0.001])
def test_that_the_version_that_serves_was_not_compared_is_told_whatever_the_verdict(rule, low):
    reason = decide(bounds(baseline=(0.01, low), incumbent=DAMAGED), GateSpec(rule=rule))["reason"]
    assert "Version v0123456789ab serves and could not be compared: weights.safetensors has 3 bytes." in reason
    assert ("judged as a first version" in reason) is (rule != "Always")
    assert "The first version" not in reason


def test_a_comparison_without_its_bounds_never_passes():
    with pytest.raises(KeyError):
        decide(bounds(incumbent=SERVES), GateSpec(rule="Always"))


def test_always_lets_a_worse_version_serve_and_says_so():
    verdict = decide(bounds(baseline=(-0.1, -0.2)), GateSpec(rule="Always"))
    assert verdict["passed"] and "rule Always" in verdict["reason"]


def test_bounds_of_another_metric_are_refused():
    with pytest.raises(SpecInvalid, match="asks for hit@10"):
        decide(bounds(), GateSpec(metric="hit@10"))


def test_the_step_writes_the_verdict_it_returns(tmp_path):
    (tmp_path / "evaluation.json").write_text(json.dumps({"gate": bounds()}))
    verdict = gate(evaluation=tmp_path, out=tmp_path / "gate", gate_spec=GateSpec())
    assert json.loads((tmp_path / "gate" / "gate.json").read_text()) == verdict


BETTER_TREES = {"than": "lambdamart", "difference": -0.01, "interval": [-0.02, -0.001]}
EQUAL_DNN = {"than": "dnn", "difference": -0.001, "interval": [-0.004, 0.002]}


def test_a_first_version_that_is_worse_than_the_trees_of_its_run_is_refused():
    verdict = decide(bounds() | {"rivals": [BETTER_TREES, EQUAL_DNN]}, GateSpec())
    assert not verdict["passed"] and verdict["behind"] == ["lambdamart"]
    assert "lambdamart of the same run is better" in verdict["reason"]


def test_a_rival_that_may_be_as_good_is_no_reason_to_refuse():
    verdict = decide(bounds() | {"rivals": [EQUAL_DNN]}, GateSpec())
    assert verdict["passed"] and verdict["behind"] == []


def test_a_later_version_that_is_worse_than_a_rival_serves_where_it_is_not_worse_than_what_serves_and_the_verdict_says_so():
    verdict = decide(bounds(incumbent=(0.01, 0.005)) | {"rivals": [BETTER_TREES]}, GateSpec())
    assert verdict["passed"] and "lambdamart of the same run is better" in verdict["reason"]
