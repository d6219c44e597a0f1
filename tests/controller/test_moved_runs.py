"""A run whose pods are to look different: what is unfinished goes on in new ones, what is trained stays."""

from dataclasses import replace

import pytest
from worlds import condition, runs_of, said

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests as runs

RUN = "20260302-115000-abcdef"
SAID = said()
MORE = {"training": {"resources": {"memory": "12Gi"}}}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "too little memory"}


@pytest.fixture
def changed(make_recommender, make_job, settings):
    """A Recommender as it now is, with a run that was begun before ``change``, and that run's objects."""

    def make(change, *, before=None, phase="Running", state="Active", said=None, part=0, **run):
        old, new = make_recommender(**(before or {})), make_recommender(**change)
        spec = RecommenderSpec.model_validate(old["spec"])
        known = {
            "id": RUN, "trigger": "Spec", "cause": "x", "specHash": runs.spec_hash(spec),
            "podHash": runs.pod_hash(spec), "phase": phase, "startedAt": "2026-03-02T11:50:00Z",
        }  # fmt: skip
        job, pods = make_job(old, RUN, settings, state=state, said=said, part=part)
        return new | {"status": {"run": known | run}}, job, runs.config_map(old, RUN), tuple(pods)

    return make


@pytest.mark.parametrize(
    "change",
    [
        MORE,
        {"training": {"placement": {"nodeSelector": {"disk": "ssd"}}}},
        {"training": {"placement": {"queue": "night"}}},
        {"images": {"registry": "registry.example.com"}},
        {"store": {"uri": "s3://shop/loop", "endpoint": "http://s3:8333"}},
    ],
    ids=["memory", "node selector", "queue", "registry", "endpoint"],
)
def test_an_unfinished_run_goes_on_in_the_pods_that_the_spec_now_asks_for(changed, plan, change):
    recommender, job, spec, _ = changed(change)
    first = plan(recommender, job, spec)
    assert first.delete == (("Job", job["metadata"]["name"]),)
    assert first.apply == () and first.events == ()
    then = plan(recommender | {"status": first.status}, spec)
    (made,) = then.apply
    assert made["metadata"]["name"] == job["metadata"]["name"]
    assert made != job
    assert then.status["run"]["id"] == RUN
    assert [event.reason for event in then.events] == ["RunMoved"]
    made["metadata"]["uid"] = "job-new"
    assert plan(recommender | {"status": then.status}, made, spec).delete == ()


def test_a_job_that_no_node_can_take_is_made_anew_with_less_memory(changed, plan):
    recommender, job, spec, _ = changed({"training": {"resources": {"memory": "2Gi"}}}, before=MORE)
    waiting = {
        "metadata": {"name": "p", "labels": {"shoploop.io/run": RUN}, "ownerReferences": [{"uid": "job-0"}]},
        "status": {"phase": "Pending", "conditions": [UNSCHEDULABLE]},
    }
    first = plan(recommender, job, spec, pods=(waiting,))
    assert first.delete == (("Job", job["metadata"]["name"]),)
    (made,) = plan(recommender | {"status": first.status}, spec).apply
    assert made["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"] == "2Gi"


def test_two_pods_never_work_for_one_run(changed, plan):
    """The old pod may still write while it ends."""
    recommender, _, spec, _ = changed(MORE)
    ending = {"metadata": {"name": "old", "labels": {"shoploop.io/run": RUN}}, "status": {"phase": "Running"}}
    waits = plan(recommender, spec, pods=(ending,))
    assert waits.apply == ()
    assert condition(waits, "RunSucceeded") == ("False", "RunWaits")
    assert waits.requeue_seconds == 1
    ended = ending | {"status": {"phase": "Failed"}}
    assert [thing["kind"] for thing in plan(recommender, spec, pods=(ended,)).apply] == ["Job"]


def test_parts_that_are_done_go_too_because_the_steps_may_be_cut_otherwise(changed, plan, make_job, settings):
    gpu = {"training": {"resources": {"gpu": 1}}}
    recommender, second, spec, _ = changed({}, before=gpu, part=1)
    first, _ = make_job(recommender | {"spec": recommender["spec"]}, RUN, settings, state="Complete")
    gone = plan(recommender, first, second, spec)
    assert len(gone.delete) == 2
    (made,) = plan(recommender | {"status": gone.status}, spec).apply
    steps = made["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "load_data" in str(steps) and "build_bento" in str(steps)


def test_a_run_that_is_done_is_not_done_again(changed, plan):
    recommender, job, spec, pods = changed(MORE, state="Complete", said=SAID)
    made = plan(recommender, job, spec, pods=pods)
    assert made.status["run"]["phase"] == "Succeeded"
    assert [thing["kind"] for thing in made.apply] == ["ModelVersion"]
    assert made.delete == ()


def test_a_trained_version_is_not_trained_again_for_other_resources(changed, plan, make_version):
    recommender, job, spec, _ = changed(MORE, phase="Succeeded", state="Complete", said=SAID, version="v1")
    made = plan(recommender, job, spec, make_version("v1", spec_hash=recommender["status"]["run"]["specHash"]))
    assert runs_of(made) == [] and made.delete == ()


def test_a_run_that_failed_is_tried_again_with_other_resources(changed, plan):
    """An end for want of memory is mended by more of it."""
    recommender, job, spec, pods = changed(MORE, phase="Failed", state="Failed", said="", message="OOMKilled")
    made = plan(recommender, job, spec, pods=pods)
    assert made.status["run"]["id"] != RUN
    assert made.status["run"]["phase"] == "Running"
    assert made.events[0].reason == "RunStarted"


def test_a_run_of_an_older_operator_is_left_alone(changed, plan):
    recommender, job, spec, _ = changed(MORE)
    del recommender["status"]["run"]["podHash"]
    assert plan(recommender, job, spec).delete == ()


def test_an_image_that_the_platform_no_longer_names_is_given_up_where_it_cannot_be_pulled(
    changed, make_recommender, plan, settings, make_job
):
    recommender, _, spec, _ = changed({})
    job, _ = make_job(recommender, RUN, replace(settings, pipeline_image="registry.invalid/pipeline:1"))

    def pod(state):
        return {
            "metadata": {"name": "p", "ownerReferences": [{"uid": "job-0"}]},
            "status": {"phase": "Pending", "containerStatuses": [{"name": "steps", "state": state}]},
        }

    stuck = pod({"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}})
    assert plan(recommender, job, spec, pods=(stuck,)).delete == (("Job", job["metadata"]["name"]),)
    assert plan(recommender, job, spec, pods=(pod({"running": {}}),)).delete == ()
