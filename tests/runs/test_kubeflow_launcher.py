"""What the launcher of Kubeflow Pipelines makes of a server that forgets, and of people who do things to its runs there."""

import httpx
import pytest
import small_pipeline
from fake_kubeflow import FakeKubeflow

from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import NotFound, SpecInvalid
from shoploop.runs import StepFailed, follow, new_run, read_record
from shoploop.runs.kubeflow.client import KubeflowClient
from shoploop.runs.kubeflow.errors import KubeflowFailed
from shoploop.runs.kubeflow.task import record_end
from shoploop.runs.launchers.kubeflow_pipelines import KubeflowPipelines
from shoploop.runs.planning import Plan, find_linked, read_link
from shoploop.runs.record import Journal
from shoploop.steps import STEPS, Workspace
from shoploop.store import Store


@pytest.fixture
def fake():
    return FakeKubeflow()


@pytest.fixture
def store(tmp_path):
    return Store((tmp_path / "store").as_uri())


@pytest.fixture
def make(fake, store):
    """A launcher; another one has forgotten all that was not kept."""

    def launcher():
        transport = httpx.MockTransport(fake.answer)
        client = KubeflowClient("http://kubeflow", transport=transport, deadline_seconds=2, sleep=lambda _: None)
        return KubeflowPipelines(client, store, compiled=lambda _: small_pipeline.text())

    return launcher


@pytest.fixture
def recommender(tmp_path):
    spec = {"data": {"dataset": "completejourney"}, "store": {"uri": (tmp_path / "store").as_uri()}}
    spec["runner"] = {
        "volumes": [{"claim": "c", "path": str(tmp_path)}],
        "experiment": "shops",
        "serviceAccount": "runner",
    }
    return Recommender.model_validate({"metadata": {"name": "shop"}, "spec": spec})


@pytest.fixture
def run(make, recommender):
    run = new_run(recommender)
    make().launch(run)
    return run


def begin_record(store, run):
    """What the first task's pod does."""
    plan = Plan(run=run, source="", incumbent=None, keys={step: step for step in STEPS})
    return Journal.begin(Workspace(store, run.name), plan, launcher="Kubeflow Pipelines")


def test_a_run_is_submitted_with_its_parameters_under_its_own_name(fake, run, make):
    (there,) = fake.runs.values()
    assert (there["display_name"], there["service_account"]) == (run.id, "runner")
    given = there["runtime_config"]["parameters"]
    assert (given["run"], given["promotes"], given["epochs"]) == (run.id, False, 4)
    assert given["recommender"]["metadata"] == {"name": "shop"}
    assert [one["display_name"] for one in fake.experiments.values()] == ["shops"]
    second = new_run(run.recommender)
    make().launch(second)
    assert len(fake.pipelines) == 1 and len(fake.versions) == 2 and len(fake.runs) == 2


def test_of_many_nodes_only_steps_are_told_and_those_from_the_cache_are_reused(fake, run, make):
    job = make().job(run)
    fake.advance(job, "RUNNING", done=2)
    look = make().look(run)
    assert look.state == "running"
    assert {name: step.state for name, step in look.steps.items()} == {
        "load_data": "done", "validate_data": "done", "materialize_features": "running"
    }  # fmt: skip
    assert look.steps["load_data"].seconds > 0
    fake.advance(job, "SUCCEEDED", cached=True)
    assert {step.state for step in make().look(run).steps.values()} == {"reused"}


def test_a_run_that_failed_without_a_record_names_the_step_and_its_page(fake, run, make):
    job = make().job(run)
    fake.advance(job, "FAILED", done=3)
    failure = make().look(run).failure
    assert failure.step == "build_samples"
    assert f"http://kubeflow/#/runs/details/{job}" in failure.message


def test_who_asked_for_the_end_is_remembered_though_the_server_says_failed(fake, run, make, store):
    begin_record(store, run).step("load_data", state="running")
    job, launcher = make().job(run), make()
    launcher._await_end = lambda job: fake.advance(job, "FAILED")
    launcher.cancel(run)
    assert fake.runs[job]["state"] == "FAILED"
    assert make().look(run).state == "cancelled"
    assert read_record(store, run.key, run.id).state == "cancelled"


def test_a_run_that_was_terminated_by_somebody_else_has_failed(fake, run, make):
    job = make().job(run)
    make().client.terminate(job)
    fake.advance(job, "FAILED")
    look = make().look(run)
    assert look.state == "failed" and "or somebody terminated it" in look.failure.message


def test_a_run_that_was_deleted_under_us_ends_and_can_be_resumed(fake, run, make):
    make().client.delete_run(make().job(run))
    with pytest.raises(StepFailed, match=r"Somebody has deleted run .* kubeflow resume"):
        follow(make(), run, lambda event: None)
    make().resume(run)
    (again,) = fake.runs.values()
    assert again["runtime_config"]["parameters"]["run"] == run.id
    assert make().look(run).state == "running"


def test_a_failed_run_is_retried_where_it_is_and_begun_anew_where_the_server_cannot(fake, run, make):
    job = make().job(run)
    fake.advance(job, "FAILED", done=3)
    make().resume(run)
    assert fake.runs[job]["state"] == "RUNNING" and len(fake.runs) == 1
    fake.advance(job, "FAILED", done=3)
    fake.break_next(None, 500)  # the look, and the question to take it up
    make().resume(run)
    assert len(fake.runs) == 2 and make().job(run) != job
    assert {one["display_name"] for one in fake.runs.values()} == {run.id, f"{run.id}-again"}


def test_a_run_that_was_never_submitted_is_not_known(make, recommender):
    with pytest.raises(NotFound, match="was not submitted"):
        make().look(new_run(recommender))


def test_what_cannot_be_submitted_leaves_nothing_of_a_run(fake, make, recommender, store):
    first, run = new_run(recommender), new_run(recommender)
    make().launch(first)
    asked = len(fake.asked)
    make().launch(new_run(recommender))
    fake.break_next(*[None] * (len(fake.asked) - asked - 1), 500)  # what begins the run is asked last
    with pytest.raises(KubeflowFailed):
        make().launch(run)
    assert read_link(store, run.key) is None
    runner = recommender.spec.runner.model_copy(update={"image": "x:latest"})
    bad = recommender.model_copy(update={"spec": recommender.spec.model_copy(update={"runner": runner})})
    with pytest.raises(SpecInvalid, match="names no version"):
        make().launch(new_run(bad))


def test_a_record_whose_pod_was_killed_is_ended_by_the_last_task(run, store, monkeypatch, make):
    journal = begin_record(store, run)
    journal.step("load_data", state="running")
    document = {"metadata": {"name": "shop"}, "spec": {"store": {"uri": store.uri}}}
    monkeypatch.setenv("SHOPLOOP_KUBEFLOW_RUN", make().job(run))
    assert find_linked(store, "shop", make().job(run)) == run.id
    assert record_end(document) == f"Run {run.id} broke off."
    record = read_record(store, run.key, run.id)
    assert (record.state, record.failure.step, record.step("load_data").state) == ("failed", "load_data", "failed")
    assert "ended without a word" in record.failure.message
    assert record_end(document, run=run.id) == f"Run {run.id} is failed."
    assert record_end(document, run="20260101-000000-none").endswith("was not begun.")


def test_a_schedule_becomes_a_recurring_run_that_takes_the_place_of_the_last_one(fake, run, make):
    first = make().recur(run, "0 3 * * *")
    second = make().recur(run, "0 4 * * *")
    (there,) = fake.recurring.values()
    assert there["recurring_run_id"] == second.recurring_run_id != first.recurring_run_id
    assert there["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"
    assert there["runtime_config"]["parameters"]["run"] == ""
    with pytest.raises(SpecInvalid, match="has 6 fields"):
        make().recur(run, "0 0 4 * * *")
