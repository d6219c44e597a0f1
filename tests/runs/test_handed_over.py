"""A run that is handed over to a server of Kubeflow Pipelines and waited for, whatever the server answers meanwhile."""

import json

import httpx
import pytest
import small_pipeline
from fake_kubeflow import FakeKubeflow

from shoploop.api.pod_result import VersionMade, written
from shoploop.api.v1alpha1 import Recommender
from shoploop.controller.cleanup import clean
from shoploop.controller.decide.conditions import KUBEFLOW
from shoploop.controller.decide.handed_over import KIND, told
from shoploop.errors import NotFound, ShoploopError
from shoploop.runs import StepFailed, new_run
from shoploop.runs.kubeflow import errors, handing_over
from shoploop.runs.kubeflow.client import KubeflowClient
from shoploop.runs.kubeflow.handing_over import HandedOver
from shoploop.runs.launchers.kubeflow_pipelines import KubeflowPipelines
from shoploop.runs.planning import keep_link, read_link
from shoploop.store import Store, layout

MADE = VersionMade(
    version="v00000000000a", source="d" * 64, rule="NotWorse", passed=True, reason="It is better.", digest="b" * 64
)


class Killed(BaseException):
    """The pod is told to end."""


class World:
    """A server, a store, and what happens while somebody waits."""

    def __init__(self, folder):
        self.server, self.store = FakeKubeflow(), Store((folder / "store").as_uri())
        spec = {
            "data": {"dataset": "completejourney"},
            "store": {"uri": self.store.uri},
            "runner": {"volumes": [{"claim": "c", "path": str(folder)}]},
        }
        self.run = new_run(Recommender.model_validate({"metadata": {"name": "shop"}, "spec": spec}))
        self.lines, self.happens = [], []

    def launcher(self):
        transport = httpx.MockTransport(self.server.answer)
        client = KubeflowClient("http://kubeflow", transport=transport, deadline_seconds=0, sleep=lambda _: None)
        return KubeflowPipelines(client, self.store, compiled=lambda _: small_pipeline.text())

    def wait(self, *happens):
        """Waits for the run; each time that nothing is to be done, the next of ``happens`` does."""
        left = iter(happens)
        return HandedOver(
            self.launcher(), self.run, tell=self.lines.append, sleep=lambda _: next(left, self.succeed)()
        ).carry()

    @property
    def job(self):
        return read_link(self.store, self.run.key)["job"]

    def succeed(self):
        self.store.put(layout.run_result(self.run.key), written(MADE).encode())
        self.server.advance(self.job, "SUCCEEDED")

    def troubles(self):
        return [line["trouble"]["reason"] for line in self.lines if "trouble" in line]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_run_is_begun_and_followed_to_the_version_that_it_made(world):
    assert world.wait(lambda: world.server.advance(world.job, "RUNNING", done=2)) == MADE
    assert [line["done"] for line in world.lines] == [0, 2, 10]
    assert world.lines[-1]["page"] == f"http://kubeflow/#/runs/details/{world.job}"
    assert len(world.server.runs) == 1


def test_what_is_told_is_what_the_operator_reads(world):
    world.wait()
    said = told("\n".join(["something else", *map(json.dumps, world.lines)]))
    assert (said.status.id, said.status.done, said.trouble) == (world.job, 10, None)
    assert handing_over.KIND == KIND
    assert told("") is told("[]\n{}\n7") is None


BAD_ANSWERS = [
    (401, "KubeflowLogin"),
    (302, "KubeflowLogin"),
    (403, "KubeflowForbidden"),
    (404, "KubeflowMissing"),
    (429, "KubeflowBusy"),
    (500, "KubeflowFailed"),
    (503, "KubeflowBusy"),
    ("html", "KubeflowUnreadable"),
    ("half", "KubeflowUnreadable"),
    (httpx.ConnectError("nobody"), "KubeflowUnreachable"),
]


@pytest.mark.parametrize(("fault", "reason"), BAD_ANSWERS, ids=str)
def test_a_bad_answer_before_a_run_begins_is_told_and_waited_out(fault, reason, world):
    world.server.break_next(fault)
    assert world.wait(lambda: None) == MADE
    assert world.troubles() == [reason] and reason in KUBEFLOW
    assert len(world.server.runs) == 1


@pytest.mark.parametrize(("fault", "reason"), [bad for bad in BAD_ANSWERS if bad[0] != 404], ids=str)
def test_a_bad_answer_about_a_run_that_goes_on_is_told_and_waited_out(fault, reason, world):
    """But for 404: that run was deleted."""
    assert world.wait(lambda: world.server.break_next(fault)) == MADE
    assert world.troubles() == [reason]
    assert len(world.server.runs) == 1


def test_every_answer_that_passes_has_a_reason_of_its_own():
    known = {kind.__name__ for kind in errors.KubeflowError.__subclasses__()}
    assert set(KUBEFLOW) == known - {"KubeflowRefused"}


def test_a_run_whose_answer_got_lost_is_taken_up_and_not_begun_again(world):
    launcher = world.launcher()
    launcher.launch(world.run)
    world.store.delete(layout.run_link(world.run.key))  # the pod was killed before it could note it
    assert world.wait() == MADE
    assert len(world.server.runs) == 1


def test_a_pod_that_is_killed_is_followed_by_one_that_goes_on_waiting(world):
    world.launcher().launch(world.run)
    assert world.wait() == MADE
    assert len(world.server.runs) == 1


def test_who_is_told_to_end_ends_the_run_too(world):
    def kill():
        raise Killed

    launcher = world.launcher()
    handed = HandedOver(launcher, world.run, tell=world.lines.append, sleep=lambda _: kill())
    launcher._await_end = lambda job: world.server.advance(job, "FAILED")
    with pytest.raises(Killed):
        handed.carry()
    assert world.server.runs[world.job]["state"] == "FAILED"
    assert read_link(world.store, world.run.key)["cancelled"]


@pytest.fixture
def emptied(world):
    """Somebody waits for a run, and its store is emptied under it; what the server then has of it."""

    def make(*, killed):
        launcher, asked = world.launcher(), []
        launcher._await_end = asked.append

        def empty(_):
            world.job_before = world.job
            clean(world.store, "shop")
            if killed:
                raise Killed

        with pytest.raises(Killed if killed else NotFound):
            HandedOver(launcher, world.run, tell=world.lines.append, sleep=empty).carry()
        assert asked == [world.job_before], "its pods are waited for"
        assert list(world.store.list("")) == [], "nothing is written into an empty store"
        return world.server.runs[world.job_before]["state"]

    return make


def test_a_run_whose_store_was_emptied_is_ended_by_who_is_told_to_end(emptied):
    assert emptied(killed=True) == "CANCELING"


def test_a_run_whose_store_was_emptied_does_not_go_on_with_nobody_waiting(emptied):
    assert emptied(killed=False) == "CANCELING"


def test_a_run_that_was_begun_and_never_noted_is_ended_by_its_name(world, monkeypatch):
    def kill(*_, **__):
        raise Killed

    launcher = world.launcher()
    launcher._await_end = lambda job: None
    monkeypatch.setattr("shoploop.runs.launchers.kubeflow_pipelines.keep_link", kill)
    with pytest.raises(Killed):
        HandedOver(launcher, world.run, tell=world.lines.append).carry()
    assert [run["state"] for run in world.server.runs.values()] == ["CANCELING"]


def test_who_ends_before_a_run_begins_ends_nothing(world):
    launcher = world.launcher()

    def kill(_):
        raise Killed

    launcher.compiled = kill
    with pytest.raises(Killed):
        HandedOver(launcher, world.run, tell=world.lines.append).carry()
    assert not world.server.runs


def test_a_run_that_was_ended_with_its_pod_goes_on_with_the_next_pod(world):
    launcher = world.launcher()
    launcher.launch(world.run)
    launcher.client.terminate(world.job)
    world.server.advance(world.job, "FAILED")
    keep_link(world.store, world.run.key, world.job, endpoint="http://kubeflow", cancelled=True)
    assert world.wait() == MADE


def test_a_run_that_failed_says_which_step_and_where(world):
    with pytest.raises(StepFailed, match=r"build_samples failed.*http://kubeflow/#/runs/details"):
        world.wait(lambda: world.server.advance(world.job, "FAILED", done=3))


def test_a_run_that_somebody_has_deleted_has_failed(world):
    with pytest.raises(StepFailed, match="Somebody has deleted run"):
        world.wait(lambda: world.launcher().client.delete_run(world.job))


def test_what_the_server_refuses_is_not_asked_again(world):
    world.server.break_next(400)
    with pytest.raises(errors.KubeflowRefused):
        world.wait()
    assert not world.troubles()


def test_a_run_that_ended_well_without_a_result_is_an_error(world):
    with pytest.raises(ShoploopError, match="what it made is not in the store"):
        world.wait(lambda: world.server.advance(world.job, "SUCCEEDED"))
