import json

import pytest

from shoploop.api.v1alpha1 import GateSpec
from shoploop.errors import SpecInvalid
from shoploop.evaluation.gate import decide, gate


def bounds(baseline=(0.01, 0.005), incumbent=None):
    """Each rival as (difference, lower bound)."""
    rivals = {"baseline": ("decay", baseline)} | ({"incumbent": ("incumbent", incumbent)} if incumbent else {})
    return {"metric": "ndcg@10", "confidence": 0.95} | {
        role: {"than": than, "difference": difference, "interval": [low, 2 * difference - low]}
        for role, (than, (difference, low)) in rivals.items()
    }


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
