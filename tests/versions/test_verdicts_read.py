"""Only a true or a false boolean is a verdict."""

import json

import pytest

from shoploop.errors import ArtifactForeign
from shoploop.versions.verdicts import read_verdict

GOOD = {"passed": False, "rule": "NotWorse", "reason": "It is worse.", "difference": -0.1, "interval": None}


@pytest.mark.parametrize("passed", [True, False])
def test_a_verdict_is_read_as_it_was_given(passed):
    found = read_verdict(json.dumps(GOOD | {"passed": passed}).encode(), "gate.json")
    assert found.passed is passed
    assert found.model_dump()["difference"] == -0.1


@pytest.mark.parametrize(
    "body",
    [
        "", "no JSON", "[]", "{}", json.dumps(GOOD)[:-1], json.dumps(GOOD | {"passed": "False"}),
        json.dumps(GOOD | {"passed": 1}), json.dumps(GOOD | {"passed": None}), json.dumps(GOOD | {"rule": "Sometimes"}),
    ],
)  # fmt: skip
def test_what_is_no_verdict_is_refused_by_name(body):
    with pytest.raises(ArtifactForeign, match=r"gate\.json holds no verdict of the gate"):
        read_verdict(body.encode(), "gate.json")
