"""A pipeline's process: what is heard of it, and how it is waited for."""

import sys

import pytest

from shoploop.runs import make_plan, new_run
from shoploop.runs.launchers import pipeline_process
from shoploop.runs.launchers.pipeline_process import PipelineProcess
from shoploop.steps import Workspace
from shoploop.store import Store

SAYS = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(os.environ["SHOPLOOP_EVENTS"]).write_text(WORDS)
time.sleep(SECONDS)
"""


@pytest.fixture
def begun(tmp_path, toy, recommender):
    """Begins a pipeline that says some words, is deaf to SIGTERM, and ends after some seconds."""
    made = []

    def begin(words: str, *, seconds: float = 0.0) -> PipelineProcess:
        workspace = Workspace(Store(str(tmp_path / "store")), "shop")
        plan = make_plan(new_run(recommender), workspace)
        workspace.path(plan.run.key).mkdir(parents=True)
        program = SAYS.replace("WORDS", repr(words)).replace("SECONDS", str(seconds))
        lock = (tmp_path / "lock").open("w+")
        process = PipelineProcess(plan, workspace, tmp_path / "log.txt", (sys.executable, "-c", program), lock)
        made.append((process, lock))
        return process

    yield begin
    for process, lock in made:
        process._process.kill()
        process._process.wait()
        lock.close()


def test_a_line_that_a_full_disk_has_cut_short_is_left_out(begun):
    heard = []
    assert begun('{"kind": "first"}\n{"kind": "sec\n{"kind": "third"}\n').follow(heard.append) == 0
    assert [said["kind"] for said in heard] == ["first", "third"]


def test_an_error_of_who_hears_is_no_line_that_was_cut_short(begun):
    def hear(said):
        raise ValueError(f"cannot keep {said['kind']}")

    with pytest.raises(ValueError, match="cannot keep first"):
        begun('{"kind": "first"}\n').follow(hear)


@pytest.mark.parametrize("seconds, code", [(0.5, 0), (600, -9)], ids=["ends in time", "has to be killed"])
def test_a_pipeline_is_waited_for_only_while_nobody_can_signal_its_number(begun, monkeypatch, seconds, code):
    monkeypatch.setattr(pipeline_process, "GRACE_SECONDS", 5 if code == 0 else 0.2)
    process = begun('{"kind": "first"}\n', seconds=seconds)
    wait, guarded = process._process.wait, []

    def recorded(*arguments):
        guarded.append(process._reaping.locked())
        return wait(*arguments)

    monkeypatch.setattr(process._process, "wait", recorded)
    with pytest.raises(KeyError):
        process.follow(lambda said: said["missing"])
    assert guarded and all(guarded)
    assert process._process.returncode == code
