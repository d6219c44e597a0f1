"""Changed data start a run, once, and nobody but a small pod looks at them."""

from datetime import timedelta

import pytest
from worlds import NOW, condition, message

from shoploop.api.pod_result import DataSeen, StepsFailed, written
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests as runs

OLD, NEW = "a" * 64, "b" * 64
HOURLY = {"dataCheck": {"everyMinutes": 60}}


@pytest.fixture
def checked(make_recommender, plan):
    """A Recommender whose last run read OLD, and this turn's Job, which has ended and says ``said``."""

    def make(said=None, *, state="Complete", exit_code=0, spec=HOURLY, **run):
        made = make_recommender(**spec)
        parsed = RecommenderSpec.model_validate(made["spec"])
        last = {
            "id": "20260301-000000-abcdef", "trigger": "Spec", "cause": "x", "specHash": runs.spec_hash(parsed),
            "podHash": runs.pod_hash(parsed), "phase": "Succeeded", "startedAt": "2026-03-01T00:00:00Z",
            "finishedAt": "2026-03-01T00:10:00Z", "version": "v1", "source": OLD,
        } | run  # fmt: skip
        made["status"] = {"run": {key: value for key, value in last.items() if value is not None}}
        (job,) = plan(made).apply
        job["metadata"]["uid"] = "check"
        job["status"] = {"conditions": [{"type": state, "status": "True", "reason": "Because", "message": "so"}]}
        ended = {"terminated": {"exitCode": exit_code, "message": written(said) if said else ""}}
        pod = {
            "metadata": {"name": "pod", "ownerReferences": [{"uid": "check"}]},
            "status": {"containerStatuses": [{"name": "steps", "state": ended}]},
        }
        return made, job, (pod,)

    return make


def test_a_small_pod_looks_at_the_data_as_a_run_would(checked):
    store, training = {"uri": "file:///store", "claim": "shop"}, {"placement": {"queue": "night"}}
    _, job, _ = checked(spec=HOURLY | {"store": store, "training": training})
    assert "kueue.x-k8s.io/queue-name" not in job["metadata"]["labels"]
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][:4] == ["python", "-m", "shoploop.runs", "source"]
    assert {"name": "store", "persistentVolumeClaim": {"claimName": "shop"}} in pod["volumes"]
    assert pod["automountServiceAccountToken"] is False
    assert "nvidia.com/gpu" not in container["resources"]["limits"]


def test_changed_data_start_a_run(checked, plan):
    recommender, job, pods = checked(DataSeen(source=NEW))
    made = plan(recommender, job, pods=pods)
    assert (made.status["run"]["trigger"], made.status["run"]["cause"]) == ("Data", NEW)
    assert made.events[0].message.endswith("because of changed data.")


def test_the_same_data_start_none(checked, plan):
    recommender, job, pods = checked(DataSeen(source=OLD))
    made = plan(recommender, job, pods=pods)
    assert made.apply == () and made.delete == ()
    assert condition(made, "Degraded")[0] == "False"


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_what_a_run_was_started_for_starts_no_second_one(checked, plan, phase):
    recommender, job, pods = checked(DataSeen(source=NEW))
    run = plan(recommender, job, pods=pods).status["run"]
    ended = recommender | {"status": {"run": run | {"phase": phase, "finishedAt": "2026-03-02T12:01:00Z"}}}
    assert plan(ended, job, pods=pods).apply == ()


def test_data_that_can_be_read_at_last_start_the_run_that_failed_for_want_of_them(checked, plan):
    recommender, job, pods = checked(DataSeen(source=NEW), phase="Failed", source=None, version=None)
    assert plan(recommender, job, pods=pods).status["run"]["trigger"] == "Data"


def test_a_run_of_an_older_operator_counts_as_having_read_what_there_is(checked, plan):
    recommender, job, pods = checked(DataSeen(source=OLD), source=None)
    made = plan(recommender, job, pods=pods)
    assert made.apply == () and made.status["run"]["source"] == OLD


def test_data_that_cannot_be_read_are_told_and_what_serves_goes_on(checked, plan):
    said = StepsFailed(error="DataUnreadable", message="s3://lake/events.csv does not exist.")
    recommender, job, pods = checked(said, state="Failed", exit_code=2)
    made = plan(recommender, job, pods=pods)
    assert condition(made, "Degraded") == ("True", "DataCheckFailed")
    assert "s3://lake/events.csv does not exist" in message(made, "Degraded")
    assert made.status["run"] == recommender["status"]["run"]


def test_one_turn_has_one_job_and_the_next_turn_another(checked, plan):
    recommender, job, pods = checked(DataSeen(source=OLD))
    soon = plan(recommender, job, pods=pods)
    assert soon.apply == ()
    later = plan(recommender, job, pods=pods, now=NOW + timedelta(seconds=soon.requeue_seconds))
    assert later.delete == (("Job", job["metadata"]["name"]),)
    assert [thing["kind"] for thing in later.apply] == ["Job"]


def test_a_look_that_takes_longer_than_a_turn_is_not_cut_short(checked, plan):
    recommender, job, _ = checked()
    job["status"] = {}
    later = plan(recommender, job, now=NOW + timedelta(hours=1))
    assert later.apply == () and later.delete == ()


def test_recommenders_do_not_all_look_at_the_same_moment(make_recommender, plan):
    def next_turn(uid):
        made = make_recommender(meta={"uid": uid}, **HOURLY)
        run = {"id": "x", "specHash": runs.spec_hash(RecommenderSpec.model_validate(made["spec"]))}
        run |= {"phase": "Succeeded", "startedAt": "2026-03-01T00:00:00Z"}
        return round(plan(made | {"status": {"run": run}}).requeue_seconds)

    assert len({next_turn(f"uid-{number}") for number in range(10)}) > 5


@pytest.mark.parametrize("spec", [{}, {"suspend": True} | HOURLY], ids=["not asked for", "suspended"])
def test_nobody_looks_where_it_is_not_wanted(make_recommender, make_version, plan, spec):
    made = make_recommender(**spec)
    version = make_version(spec_hash=runs.spec_hash(RecommenderSpec.model_validate(made["spec"])))
    assert not [one for one in plan(made, version).apply if "-check-" in one["metadata"]["name"]]


def test_jobs_that_look_go_when_nobody_asks_for_them_any_more(checked, make_recommender, plan):
    recommender, job, pods = checked(DataSeen(source=NEW))
    made = plan(make_recommender() | {"status": recommender["status"]}, job, pods=pods)
    assert made.delete == (("Job", job["metadata"]["name"]),)
    assert made.status["run"] == recommender["status"]["run"]


def test_a_run_notes_what_it_read_even_where_it_failed(make_recommender, make_job, plan, settings):
    made = make_recommender(**HOURLY)
    parsed = RecommenderSpec.model_validate(made["spec"])
    run = {"id": "r1", "trigger": "Spec", "cause": "x", "specHash": runs.spec_hash(parsed), "phase": "Running"}
    said = written(StepsFailed(error="ValidationFailed", message="no.", source=NEW))
    recommender = made | {"status": {"run": run | {"startedAt": "2026-03-02T11:50:00Z"}}}
    job, pods = make_job(recommender, "r1", settings, state="Failed", said=said, exit_code=2)
    ended = plan(recommender, job, pods=tuple(pods)).status["run"]
    assert (ended["phase"], ended["source"]) == ("Failed", NEW)
