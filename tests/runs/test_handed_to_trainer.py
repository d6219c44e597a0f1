"""A task of Kubeflow's whose step several machines carry out, against an API server that keeps objects as a real one does."""

import json
from functools import partial

import httpx
import polars as pl
import pytest

from shoploop.api.v1alpha1 import Recommender, RecommenderSpec
from shoploop.runs import pod, pod_verbs, read_record, train_job
from shoploop.runs.kubeflow import task, together
from shoploop.runs.kubeflow.api_server import ApiServer, NotInCluster
from shoploop.runs.kubeflow.placement import hands_over
from shoploop.runs.planning import new_run, open_plan
from shoploop.runs.pod import Cancelled
from shoploop.steps import STEPS, Workspace
from shoploop.store import Store

STEP = "train_fused"
PREFIX = f"/apis/{train_job.GROUP}/{train_job.VERSION}/namespaces/shop/"


class Cluster:
    """The Trainer's part of an API server; what a test lets go wrong is asked before anything is done."""

    def __init__(self):
        self.objects, self.asked, self.wrong, self.turns = {}, [], [], []

    def __call__(self, request):
        assert request.url.path.startswith(PREFIX)
        key = request.url.path.removeprefix(PREFIX)
        self.asked.append((request.method, key))
        for number, (method, kind, status, message) in enumerate(self.wrong):
            if (method, kind) == (request.method, key.split("/")[0]):
                if status >= 500:
                    del self.wrong[number]
                return httpx.Response(status, json={"kind": "Status", "message": message})
        if request.method == "PATCH":
            assert request.headers["content-type"] == "application/apply-patch+yaml"
            self.objects[key] = {**self.objects.get(key, {}), **json.loads(request.content)}
        if key not in self.objects:
            return httpx.Response(404, json={"message": f'"{key}" not found'})
        found = self.objects.pop(key) if request.method == "DELETE" else self.objects[key]
        return httpx.Response(200, json=found)

    def server(self):
        return ApiServer("https://cluster", "shop", transport=httpx.MockTransport(self))

    def sleep(self, seconds):
        """The world goes on: one turn for each time that somebody waits."""
        if not self.turns:
            raise AssertionError("the step waits for ever")
        self.turns.pop(0)(self)

    def end(self, condition, message=""):
        for thing in self.objects.values():
            thing["status"] = {"conditions": [{"type": condition, "status": "True", "message": message}]}

    @property
    def train_job(self):
        return next(thing for thing in self.objects.values() if thing["kind"] == "TrainJob")


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def begun(tmp_path, monkeypatch, cluster):
    """A run that was planned, and whose steps up to the training are done; each step writes its name and no more."""

    def run_step(name, *, settings, inputs, out, run=None):
        (out / "made.json").parent.mkdir(parents=True, exist_ok=True)
        (out / "made.json").write_text(json.dumps(name))
        if run is not None:
            run.record(name, out, 1.0)

    monkeypatch.setattr(pod, "run_step", run_step)
    handed = partial(together.hand_over, server=cluster.server(), sleep=cluster.sleep)
    monkeypatch.setattr(together, "hand_over", handed)
    monkeypatch.setattr(task, "_shown", lambda step, folder, *_, **__: folder)
    table = tmp_path / "events.parquet"
    pl.DataFrame({"user": ["u"], "item": ["i"], "time": ["2026-03-01"]}).write_parquet(table)
    document = {
        "apiVersion": "shoploop.io/v1alpha1",
        "kind": "Recommender",
        "metadata": {"name": "corner"},
        "spec": {
            "data": {"tables": {"interactions": {"uri": f"file://{table}"}}},
            "store": {"uri": f"file://{tmp_path / 'store'}", "secretRef": {"name": "keys"}},
            "training": {
                "nodes": 2,
                "resources": {"gpu": 2, "cpu": "4", "memory": "8Gi"},
                "placement": {"queue": "team"},
            },
            "runner": {
                "type": "KubeflowPipelines", "serviceAccount": "runner", "image": "shop/pipeline:1",
                "volumes": [{"claim": "all", "path": str(tmp_path)}],
            },
        },
    }  # fmt: skip
    recommender = Recommender.model_validate(document)
    (tmp_path / "store").mkdir()
    store = Store(f"file://{tmp_path / 'store'}")
    workspace = Workspace(store, "corner", tmp_path / "work")
    plan = open_plan(new_run(recommender), workspace)
    place = {"name": "corner", "store": {"uri": store.uri, "options": {}}}
    before = list(STEPS)[: list(STEPS).index(STEP)]
    pod.Pod(plan.run, workspace, launcher=task.LAUNCHER).carry_out(before)
    return place, f"{plan.keys[STEP]}@{plan.run.id}", recommender, store, plan.run


def carry_out(begun, tmp_path):
    place, due, *_ = begun
    return task.carry_out(STEP, settings={}, inputs={}, out=tmp_path / "out", place=place, due=due)


def work(cluster):
    """What the first machine of the TrainJob does, in this process."""
    args = cluster.train_job["spec"]["trainer"]["args"]
    assert args[:4] == ["python", "-m", "shoploop.runs", "together"]
    assert pod_verbs.main(["run", *args[4:]]) == 0
    cluster.end("Complete")


def test_two_machines_train_while_the_task_waits_and_nothing_is_left_behind(begun, cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOPLOOP_POD", "pipeline-x-1")
    monkeypatch.setenv("SHOPLOOP_POD_UID", "1-2-3")
    seen = {}
    cluster.turns = [lambda cluster: seen.update(json.loads(json.dumps(cluster.objects))), work]
    folder = carry_out(begun, tmp_path)
    assert json.loads((folder / "made.json").read_text()) == STEP
    assert not cluster.objects, "the TrainJob goes when the task ends"
    runtime, job = (next(one for one in seen.values() if one["kind"] == kind) for kind in train_job.KINDS)
    assert job["spec"]["trainer"]["numNodes"] == 2 and job["spec"]["trainer"]["numProcPerNode"] == 2
    assert job["spec"]["trainer"]["resourcesPerNode"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": 2}
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    for made in (runtime, job):
        assert made["metadata"]["ownerReferences"][0] == {
            "apiVersion": "v1", "kind": "Pod", "name": "pipeline-x-1", "uid": "1-2-3",
        }  # fmt: skip
    (replicated,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    spec = replicated["template"]["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "runner" and spec["containers"][0]["image"] == "shop/pipeline:1"
    named = {one["name"]: one for one in spec["containers"][0]["env"]}
    assert named["AWS_SECRET_ACCESS_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "keys"
    assert spec["volumes"][1]["persistentVolumeClaim"] == {"claimName": "all"}
    _, _, _, store, run = begun
    record = read_record(store, run.key, run.id)
    assert record.step(STEP).state == "done" and record.launcher == task.LAUNCHER


def test_a_step_that_is_done_asks_no_cluster(begun, cluster, tmp_path):
    cluster.turns = [work]
    carry_out(begun, tmp_path)
    cluster.asked.clear()
    carry_out(begun, tmp_path)
    assert not cluster.asked


def test_a_run_that_is_cancelled_takes_its_train_job_with_it(begun, cluster, tmp_path):
    def cancel(cluster):
        raise Cancelled

    cluster.turns = [cancel]
    with pytest.raises(SystemExit):
        carry_out(begun, tmp_path)
    assert not cluster.objects
    _, _, _, store, run = begun
    assert read_record(store, run.key, run.id).state == "cancelled"


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (("PATCH", "trainingruntimes", 404, "the server could not find it"), "TrainerMissing", "2.1 or later"),
        (
            ("PATCH", "trainjobs", 403, 'User "system:serviceaccount:shop:editor" cannot patch'), "TrainerForbidden",
            "serviceaccount=shop:editor",
        ),
        (("PATCH", "trainjobs", 422, "spec.trainer: no such field"), "TrainJobRefused", "no such field"),
        (("PATCH", "trainjobs", 403, "exceeded quota: team"), "TrainJobRefused", "exceeded quota"),
    ],
)  # fmt: skip
def test_what_a_person_has_to_change_is_named_and_recorded(begun, cluster, tmp_path, capsys, wrong, error, says):
    cluster.wrong = [wrong]
    with pytest.raises(SystemExit) as ended:
        carry_out(begun, tmp_path)
    assert ended.value.code == 2 and says in capsys.readouterr().out
    assert not [key for key in cluster.objects if key.startswith("trainjobs")]
    _, _, _, store, run = begun
    record = read_record(store, run.key, run.id)
    assert record.state == "failed" and says in record.failure.message and record.failure.step == STEP
    assert getattr(together, error).exit_code == 2


def test_a_trainer_that_is_not_there_yet_is_waited_for(begun, cluster, tmp_path, capsys):
    cluster.wrong = [("PATCH", "trainjobs", 500, "failed calling webhook"), ("GET", "trainjobs", 503, "too busy")]
    cluster.turns = [lambda cluster: None, lambda cluster: None, work]
    carry_out(begun, tmp_path)
    assert "failed calling webhook" in capsys.readouterr().out


def fail(cluster):
    cluster.end("Failed", "a pod failed")


def delete(cluster):
    cluster.objects.clear()


@pytest.mark.parametrize(("turn", "says"), [(fail, "failed: a pod failed"), (delete, "Somebody has deleted TrainJob")])
def test_a_train_job_that_ends_badly_ends_the_step_with_its_reason(begun, cluster, tmp_path, capsys, turn, says):
    cluster.turns = [turn]
    with pytest.raises(SystemExit):
        carry_out(begun, tmp_path)
    assert says in capsys.readouterr().out and not cluster.objects


def test_machines_with_other_code_than_the_plans_do_not_begin(begun, capsys):
    place, due, *_ = begun
    words = ["--steps", STEP, "--place", json.dumps(place), "--run", due.partition("@")[2], "--due", "0" * 16]
    assert pod_verbs.main(["run", *words]) == 1
    assert "planned by other code" in capsys.readouterr().err


def test_outside_a_pod_it_is_said_what_is_missing(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(NotInCluster, match=r"set spec\.training\.nodes to 1"):
        ApiServer.of_this_pod()


@pytest.mark.parametrize(
    ("runner", "minutes"),
    [({}, 1440), ({"timeoutMinutes": 4320}, 4320), ({"steps": {STEP: {"timeoutMinutes": 9000}}}, 9000)],
    ids=["default", "of all steps", "of this step"],
)
def test_the_machines_may_work_as_long_as_their_step_may_take(runner, minutes):
    spec = {"data": {"dataset": "completejourney"}, "training": {"nodes": 2}, "runner": runner}
    recommender = Recommender.model_validate({"metadata": {"name": "shop"}, "spec": spec})
    runtime, _ = together.objects(recommender, STEP, place={}, run="r", key="k")
    (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    assert job["template"]["spec"]["activeDeadlineSeconds"] == 60 * minutes


def test_names_are_short_enough_for_the_hostnames_that_are_made_of_them():
    long = Recommender.model_validate(
        {"metadata": {"name": "a" * 40}, "spec": {"data": {"dataset": "completejourney"}}}
    )
    place = {"name": "a" * 40, "store": {"uri": "s3://a/b"}}
    runtime, _ = together.objects(long, STEP, place=place, run="20260302-115000-abcdef", key="k")
    assert len(runtime["metadata"]["name"]) <= 51


def test_the_generators_step_is_handed_over_where_a_generator_may_learn():
    """What a task's pod holds was settled when the pipeline was compiled; the mode is a parameter of the run."""

    def told(step, mode):
        spec = RecommenderSpec.model_validate(
            {"data": {"dataset": "any"}, "training": {"nodes": 2}, "augmentation": {"mode": mode}}
        )
        return hands_over(spec, step), train_job.machines(spec, step)

    assert told("augment_samples", "Auto") == told("train_fused", "Never") == (True, 2)
    assert told("augment_samples", "Never") == (True, 1)
    assert told("estimate_importance", "Auto") == (False, 1)
