"""Runs that the operator hands over to Kubeflow Pipelines: by one pod, whose words become conditions and status."""

import json

import pytest
from worlds import condition, message, said

from shoploop.api.v1alpha1 import Recommender, RecommenderSpec
from shoploop.controller.decide import handed_over
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide.conditions import KUBEFLOW
from shoploop.runs.kubeflow.placement import task_pods
from shoploop.steps import STEPS

RUN = "20260302-115000-abcdef"
RUNNER = {"type": "KubeflowPipelines", "endpoint": "http://ml-pipeline.kubeflow:8888"}
PAGE = "http://ml-pipeline.kubeflow:8888/#/runs/details/42"


@pytest.fixture
def asked(make_recommender):
    def make(status=None, **runner):
        return make_recommender(runner=RUNNER | {"image": "shop/pipeline:1"} | runner, status=status)

    return make


@pytest.fixture
def under_way(asked, make_job, settings):
    """A run that is handed over, and its pod."""
    recommender = asked()
    spec = RecommenderSpec.model_validate(recommender["spec"])
    run = {
        "id": RUN, "trigger": "Spec", "cause": "x", "specHash": runs.spec_hash(spec), "podHash": runs.pod_hash(spec),
        "phase": "Running", "startedAt": "2026-03-02T11:50:00Z",
    }  # fmt: skip
    recommender = recommender | {"status": {"run": run}}

    def make(**job):
        made, pods = make_job(recommender, RUN, settings, **job)
        return recommender, (made, runs.config_map(recommender, RUN)), tuple(pods)

    return make


def told(**more):
    return handed_over.told(json.dumps({"kind": "kubeflow", "id": "42", "page": PAGE, "done": 3, "total": 10} | more))


def test_a_run_is_handed_over_by_one_small_pod_that_knows_the_store_and_shows_a_token(asked, plan):
    made = plan(asked(serviceAccount="runner"))
    _, job = made.apply
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["args"][:4] == ["python", "-m", "shoploop.runs", "submit"]
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert pod["serviceAccountName"] == "runner" and pod["terminationGracePeriodSeconds"] == 60
    (token,) = [volume["projected"]["sources"][0] for volume in pod["volumes"] if "projected" in volume]
    assert token["serviceAccountToken"]["audience"] == "pipelines.kubeflow.org"


@pytest.mark.parametrize(
    "limits",
    [{}, {"timeoutMinutes": 4320}, {"steps": {"train_fused": {"timeoutMinutes": 100_000, "retries": 3}}}],
    ids=["default", "of all steps", "of one step"],
)
def test_who_waits_for_a_run_waits_longer_than_its_steps_may_take(limits, asked, plan):
    recommender = asked(**limits)
    _, job = plan(recommender).apply
    pods = task_pods(Recommender.model_validate({"metadata": {"name": "grocery"}, "spec": recommender["spec"]}))
    steps = sum(pod.timeout_seconds * (1 + pod.retries) for name, pod in pods.items() if name in STEPS)
    assert job["spec"]["activeDeadlineSeconds"] >= 24 * 3600 + steps


def test_it_is_in_no_queue_and_holds_no_gpu(asked, plan):
    recommender = asked()
    recommender["spec"]["training"] |= {"resources": {"gpu": 1}, "placement": {"queue": "team"}}
    _, job = plan(recommender).apply
    assert "nvidia.com/gpu" not in json.dumps(job) and "kueue" not in json.dumps(job)


def test_without_an_endpoint_it_is_refused_by_a_condition(make_recommender, plan):
    made = plan(make_recommender(runner={"type": "KubeflowPipelines"}))
    assert condition(made, "Ready") == ("False", "RunnerEndpointUnset") and not made.apply


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"runner": RUNNER | {"image": "shop/pipeline:1", "steps": {"train": {}}}}, "names 'train'"),
        ({"runner": RUNNER | {"image": "shop/pipeline:latest"}}, "names no version"),
    ],
)
def test_what_no_pod_of_kubeflow_can_do_is_refused_by_a_condition(spec, says, make_recommender, plan):
    made = plan(make_recommender(**({"runner": RUNNER | {"image": "shop/pipeline:1"}} | spec)))
    assert condition(made, "Ready") == ("False", "RunnerRefuses")
    assert says in message(made, "Ready") and made.requeue_seconds


def test_where_the_run_is_and_how_far_is_told(under_way, plan):
    recommender, objects, pods = under_way()
    made = plan(recommender, *objects, pods=pods, handed_over=told())
    assert made.status["run"]["kubeflow"] == {"id": "42", "page": PAGE, "done": 3, "total": 10}
    assert condition(made, "Progressing") == ("True", "Running")


@pytest.mark.parametrize("reason", KUBEFLOW)
def test_a_bad_answer_is_a_condition_and_the_run_goes_on(reason, under_way, plan):
    recommender, objects, pods = under_way()
    trouble = {"reason": reason, "message": "Hand over a token."}
    made = plan(recommender, *objects, pods=pods, handed_over=told(trouble=trouble))
    assert condition(made, "Ready") == ("False", reason)
    assert "Hand over a token." in message(made, "Ready")
    assert condition(made, "Degraded") == ("True", reason)
    assert made.status["run"]["phase"] == "Running" and not made.delete and made.requeue_seconds


def test_a_word_that_nobody_knows_is_a_stalled_run(under_way, plan):
    recommender, objects, pods = under_way()
    made = plan(recommender, *objects, pods=pods, handed_over=told(trouble={"reason": "Odd", "message": "So."}))
    assert condition(made, "Ready") == ("False", "RunStalled")


def test_a_newer_spec_takes_the_pod_away_which_ends_the_run_there(under_way, plan):
    recommender, objects, pods = under_way()
    recommender["spec"]["training"]["seed"] = 7
    made = plan(recommender, *objects, pods=pods)
    assert {kind for kind, _ in made.delete} == {"Job", "ConfigMap"}
    assert made.status["run"]["id"] != RUN and "kubeflow" not in made.status["run"]


def test_another_server_moves_the_run(under_way, plan):
    recommender, objects, pods = under_way()
    recommender["spec"]["runner"]["endpoint"] = "http://other:8888"
    made = plan(recommender, *objects, pods=pods)
    assert [kind for kind, _ in made.delete] == ["Job"] and made.status["run"]["id"] == RUN


def test_what_it_made_becomes_a_version_that_is_released(under_way, plan):
    recommender, objects, pods = under_way(state="Complete", said=said())
    made = plan(recommender, *objects, pods=pods)
    assert made.status["run"]["phase"] == "Succeeded"
    assert made.release.values["version"]["id"] == "v00000000000a"
