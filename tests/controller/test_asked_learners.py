"""What the operator hears from a learner, from something else at its address, and from nobody."""

import pytest

from shoploop.api.learner_state import LearnerState
from shoploop.compute.answering import serve
from shoploop.controller.learners import ask

STATE = LearnerState(version="v1", commit=3, served=3, settled=9, behind=0, lag_seconds=0.5)
SAID = {
    "/status": STATE.model_dump_json(by_alias=True, exclude_none=True),
    "/page": "<html>",
    "/newer": '{"version": "v1", "commit": 3, "served": 3, "settled": 9, "behind": 0, "lagSeconds": 0.5, "mood": "good"}',
    "/other": '{"version": "v1", "commit": "many"}',
}


@pytest.fixture(scope="module")
def address():
    server = serve(0, lambda path: (200, "application/json", SAID[path].encode()) if path in SAID else None)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_learner_is_understood(address):
    assert ask("shop", "grocery", url=f"{address}/status") == STATE
    assert ask("shop", "grocery", url=f"{address}/newer") == STATE


@pytest.mark.parametrize("path", ["/page", "/other"])
def test_what_is_no_learner_is_told(address, path):
    assert "is no learner's state" in ask("shop", "grocery", url=address + path)


def test_who_does_not_answer_is_named(address):
    assert "/gone does not answer" in ask("shop", "grocery", url=f"{address}/gone")
    assert "http://127.0.0.1:9/status does not answer" in ask("shop", "grocery", url="http://127.0.0.1:9/status")
