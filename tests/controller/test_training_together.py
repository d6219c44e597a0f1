"""Steps that several machines carry out: a TrainJob in the place of a Job, and what is told where it cannot be."""

import json

import pytest
from worlds import NOW, condition, message, said

from shoploop.api.pod_result import StepsFailed, written
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.cluster import TrainerError
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide import train_jobs
from shoploop.controller.decide.observed import Failure
from shoploop.errors import PeerLost

RUN = "20260302-115000-abcdef"
GPUS = {"nodes": 2, "resources": {"gpu": 2}, "placement": {"queue": "team", "priorityClassName": "low"}}


def running(recommender, **more):
    """A status with a run under way."""
    spec = RecommenderSpec.model_validate(recommender["spec"])
    run = {
        "id": RUN, "trigger": "Spec", "cause": "x", "specHash": runs.spec_hash(spec), "podHash": runs.pod_hash(spec),
        "phase": "Running", "startedAt": "2026-03-02T11:50:00Z", "nodes": spec.training.nodes,
    }  # fmt: skip
    return recommender | {"status": {"run": run | more}}


@pytest.fixture
def make_train_job(settings):
    """The TrainJob of the part that trains, and a pod for each of ``words``: exit code and last words; None while it runs."""

    def make(recommender, *words, status=None):
        spec = RecommenderSpec.model_validate(recommender["spec"])
        runtime, train_job = train_jobs.objects(recommender, spec, RUN, 1, settings)
        train_job["metadata"]["uid"] = "train-job"
        if status:
            train_job["status"] = {"conditions": [{"type": status, "status": "True", "reason": "So", "message": "so"}]}
        pods = [pod(train_job, index, ended) for index, ended in enumerate(words)]
        return [runtime, train_job], tuple(pods)

    return make


def pod(train_job, index, ended):
    labels = {"batch.kubernetes.io/job-completion-index": str(index), "shoploop.io/run": RUN}
    state = {"terminated": {"exitCode": ended[0], "message": ended[1]}} if ended else {"running": {}}
    return {
        "metadata": {
            "name": f"pod-{index}", "labels": labels,
            "ownerReferences": [{"name": train_jobs.child_job_name(train_job), "uid": "made-by-the-trainer"}],
        },
        "status": {
            "phase": "Failed" if ended else "Running", "containerStatuses": [{"name": "node", "state": state}],
        },
    }  # fmt: skip


@pytest.fixture
def at_training(make_recommender, make_job, settings):
    """A run of which only the training and what follows it is due, and the objects of what is done."""

    def make(**training):
        recommender = running(make_recommender(training={"nodes": 2} | training, augmentation={"mode": "Never"}))
        cut = runs.parts(RecommenderSpec.model_validate(recommender["spec"]))
        trains = next(index for index, part in enumerate(cut) if part.nodes > 1)
        done = [make_job(recommender, RUN, settings, part=part, state="Complete")[0] for part in range(trains)]
        return recommender, [runs.config_map(recommender, RUN), *done]

    return make


def test_the_training_and_that_of_a_generator_alone_are_done_by_several(make_recommender):
    def cut(**more):
        spec = RecommenderSpec.model_validate(make_recommender(training={"nodes": 3}, **more)["spec"])
        return [(part.nodes, part.steps[0]) for part in runs.parts(spec)]

    trained = [(3, "train_fused"), (1, "evaluate_model")]
    with_generator = [(1, "load_data"), (3, "augment_samples"), (1, "estimate_importance"), *trained]
    assert cut(augmentation={"mode": "Auto"}) == with_generator
    assert cut(augmentation={"mode": "Never"}) == [(1, "load_data"), *trained]
    private = {"mode": "Auto", "differentialPrivacy": {"epsilon": 8}}
    assert cut(augmentation=private) == [(1, "load_data"), *trained], "a private generator is trained by one"


def test_a_run_says_how_many_train(make_recommender, plan):
    assert plan(make_recommender(training={"nodes": 2})).status["run"]["nodes"] == 2
    assert "nodes" not in plan(make_recommender()).status["run"]


def test_the_part_that_trains_is_a_runtime_and_a_train_job(at_training, plan):
    recommender, before = at_training()
    runtime, train_job = plan(recommender, *before).apply
    assert (runtime["kind"], train_job["kind"]) == ("TrainingRuntime", "TrainJob")
    name = train_job["metadata"]["name"]
    assert train_job["spec"]["runtimeRef"] == {
        "apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": name
    }  # fmt: skip
    trainer = train_job["spec"]["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 1)
    assert trainer["args"][:6] == ["python", "-m", "shoploop.runs", "together", "--steps", "train_fused"]
    assert runtime["metadata"]["name"] == name
    assert len(f"{name}-node-0-1023") <= 63 and len(name) - len("grocery") <= 11  # names have 40 letters


def test_its_pods_are_those_of_a_job(at_training, settings, plan):
    recommender, before = at_training()
    runtime, _ = plan(recommender, *before).apply
    (replicated,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    mine = replicated["template"]["spec"]["template"]["spec"]
    spec = RecommenderSpec.model_validate(recommender["spec"])
    other = runs.job(recommender, spec, RUN, 1, settings)["spec"]["template"]["spec"]
    for gone in ("args", "resources"):  # they stand in the TrainJob
        other["containers"][0].pop(gone)
    other["containers"][0]["name"] = "node"
    assert mine == other


def test_only_fields_are_written_that_the_versions_share(at_training, plan):
    recommender, before = at_training(**GPUS)
    runtime, train_job = plan(recommender, *before).apply
    assert set(train_job["spec"]) == {"runtimeRef", "trainer"}
    assert set(train_job["spec"]["trainer"]) == {"image", "args", "numNodes", "numProcPerNode", "resourcesPerNode"}
    assert isinstance(train_job["spec"]["trainer"]["numProcPerNode"], int)  # words are of 2.1 alone
    assert runtime["spec"]["mlPolicy"] == {"numNodes": 2, "torch": {}}


def test_gpus_queue_and_priority_are_those_of_jobs(at_training, plan):
    recommender, before = at_training(**GPUS)
    runtime, train_job = plan(recommender, *before).apply
    assert train_job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert "kueue.x-k8s.io/queue-name" not in runtime["metadata"]["labels"]
    assert train_job["spec"]["trainer"]["resourcesPerNode"]["limits"]["nvidia.com/gpu"] == 2
    assert train_job["spec"]["trainer"]["numProcPerNode"] == 2
    pod = runtime["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    assert pod["priorityClassName"] == "low"
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory"}} in pod["volumes"]


def test_it_is_waited_for_and_its_progress_is_told(at_training, make_train_job, plan):
    recommender, before = at_training()
    objects, pods = make_train_job(recommender, None, None)
    log = "\n".join(
        [
            "train_fused: Train",
            json.dumps({"kind": "progress", "done": 1, "total": 5, "what": "epochs"}),
            json.dumps({"kind": "epoch", "train_loss": {"fused": 2.0}, "validation_loss": {"fused": 1.5}}),
            '{"kind": "progress", "done"',
        ]
    )
    assert train_jobs.first_pod(objects[1], pods) == "pod-0"
    made = plan(recommender, *before, *objects, pods=pods, progress=train_jobs.progress(log))
    assert not made.apply
    assert condition(made, "Progressing") == ("True", "Running")
    assert made.status["run"]["progress"] == {"done": 1, "total": 5, "what": "epochs", "loss": 1.5}


@pytest.mark.parametrize(
    "log", ["", "[]\n7\nnothing", '{"kind": "progress", "done": -1, "total": 2, "what": "epochs"}']
)
def test_a_log_that_says_nothing_is_no_progress(log):
    assert train_jobs.progress(log) is None


def test_the_first_pod_is_asked_how_far_it_came_when_it_has_ended_too(at_training, make_train_job):
    recommender, _ = at_training()
    objects, pods = make_train_job(recommender, (0, ""), (0, ""), status="Complete")
    ended = tuple(pod | {"status": pod.get("status", {}) | {"phase": "Succeeded"}} for pod in pods)
    lost = tuple(pod | {"status": {"phase": "Failed"}} for pod in pods)
    assert (train_jobs.first_pod(objects[1], ended), train_jobs.first_pod(objects[1], lost)) == ("pod-0", None)


def test_when_it_is_done_the_next_part_begins(at_training, make_train_job, plan):
    recommender, before = at_training()
    objects, pods = make_train_job(recommender, (0, ""), (0, ""), status="Complete")
    (job,) = plan(recommender, *before, *objects, pods=pods).apply
    assert (job["kind"], job["metadata"]["labels"]["shoploop.io/part"]) == ("Job", "2")


def test_of_pods_that_failed_the_one_is_heard_that_says_why(at_training, make_train_job, plan):
    recommender, before = at_training()
    lost = written(StepsFailed(error=PeerLost.__name__, message="Another process has ended."))
    cause = written(StepsFailed(error="TooFewEvents", message="Bring more days."))
    for words in ((1, lost), (2, cause)), ((2, cause), (1, lost)):
        objects, pods = make_train_job(recommender, *words, status="Failed")
        made = plan(recommender, *before, *objects, pods=pods)
        assert made.status["run"]["phase"] == "Failed"
        assert made.status["run"]["message"] == "TooFewEvents: Bring more days."


def test_without_a_word_of_a_pod_the_trainers_own_word_is_told(at_training, make_train_job, plan):
    recommender, before = at_training()
    objects, _ = make_train_job(recommender, status="Failed")
    assert plan(recommender, *before, *objects).status["run"]["message"] == "So: so"


def test_too_many_machines_are_a_reason_that_says_what_to_do(at_training, make_train_job, plan):
    recommender, before = at_training(nodes=64)
    objects, pods = make_train_job(recommender, None)
    pods[0]["status"] = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "reason": "Unschedulable", "message": "0/1 nodes are available."}],
    }
    made = plan(recommender, *before, *objects, pods=pods)
    assert condition(made, "Ready") == ("False", "RunStalled")
    assert "64 such pods at once: make room, or set it lower" in message(made, "Ready")
    assert made.requeue_seconds


def test_a_quota_that_allows_no_pod_is_told(at_training, make_train_job, plan):
    recommender, before = at_training()
    objects, _ = make_train_job(recommender)
    warnings = {objects[1]["metadata"]["name"]: "exceeded quota: pods"}
    made = plan(recommender, *before, *objects, warnings=warnings)
    assert "exceeded quota: pods" in message(made, "Ready")


@pytest.mark.parametrize(
    ("status", "detail", "reason"),
    [
        (404, "the server could not find the requested resource", "TrainerMissing"),
        (422, "spec.trainer: unknown field", "TrainJobRefused"),
        (403, 'admission webhook "validator.trainjob" denied the request: no such runtime', "TrainJobRefused"),
        (500, "Internal error occurred: failed calling webhook: connection refused", "TrainerUnready"),
        (403, "exceeded quota: count/trainjobs", "QuotaExceeded"),
        (403, "User may not create trainjobs", "Forbidden"),
    ],
)
def test_what_the_trainer_does_not_do_is_a_condition_and_is_tried_again(status, detail, reason, at_training, plan):
    recommender, before = at_training()
    found = TrainerError("TrainJob grocery", status, detail).found
    failure = Failure(what="apply:TrainJob/grocery", found=found, attempts=1, retry_at=NOW, generation=1)
    made = plan(recommender, *before, failures={"apply:TrainJob/grocery": failure})
    assert condition(made, "Ready") == ("False", reason)
    assert [thing["kind"] for thing in made.apply] == ["TrainingRuntime", "TrainJob"]


def test_fewer_machines_move_what_is_unfinished_and_take_the_train_job_away(at_training, make_train_job, plan):
    recommender, before = at_training()
    objects, pods = make_train_job(recommender, None, None)
    alone = recommender | {"spec": recommender["spec"] | {"training": recommender["spec"]["training"] | {"nodes": 1}}}
    moved = plan(alone, *before, *objects, pods=pods)
    assert {kind for kind, _ in moved.delete} == {"Job", "TrainJob", "TrainingRuntime"}
    waiting = plan(alone | {"status": moved.status}, before[0], pods=pods)
    assert (
        condition(waiting, "Progressing") == ("True", "RunWaits") and not waiting.apply
    )  # two must never write at once
    again = plan(alone | {"status": waiting.status}, before[0])
    assert again.status["run"]["id"] == RUN and "nodes" not in again.status["run"]
    assert [thing["kind"] for thing in again.apply] == ["Job"]


def test_another_spec_takes_the_train_job_away(at_training, make_train_job, plan):
    recommender, before = at_training()
    objects, pods = make_train_job(recommender, None, None)
    other = recommender | {"spec": recommender["spec"] | {"training": recommender["spec"]["training"] | {"seed": 7}}}
    made = plan(other, *before, *objects, pods=pods)
    assert {"TrainJob", "TrainingRuntime"} <= {kind for kind, _ in made.delete}


def test_a_version_that_was_trained_by_several_serves(at_training, make_train_job, make_job, plan, settings):
    recommender, before = at_training()
    objects, _ = make_train_job(recommender, status="Complete")
    last, pods = make_job(recommender, RUN, settings, part=2, state="Complete", said=said())
    made = plan(recommender, *before, *objects, last, pods=tuple(pods))
    assert made.status["run"]["phase"] == "Succeeded" and made.status["run"]["nodes"] == 2
