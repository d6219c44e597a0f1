"""A recorded session with a real Kubeflow Pipelines 2.16.1: the fake agrees with it, and the client with both."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import kfp_server_api
import pytest
from fake_kubeflow import FakeKubeflow
from kubeflow_specs import TRAINED

from shoploop.runs.kubeflow.client import KubeflowClient
from shoploop.runs.kubeflow.errors import KubeflowConflict, KubeflowFailed, KubeflowMissing, KubeflowRefused

RECORDED = json.loads((Path(__file__).parents[1] / "shared" / "recorded_kubeflow.json").read_text())
TIME = re.compile(r"(20|00|19)\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")
FIRST_VERSION = "e3af584d-f5bd-4d60-980a-d3950cd70cb2"
NO_SUCH = ("e5cd27e3-d6b5-4905-831d-3301fb54467d", "369dcb3c-ae72-4ea1-890a-a425cbcf0d61")
MODELS = {
    "pipelines/upload?": "V2beta1Pipeline",
    "pipelines/names": "V2beta1Pipeline",
    "pipelines/upload_version": "V2beta1PipelineVersion",
    "versions": "V2beta1ListPipelineVersionsResponse",
    "POST experiments": "V2beta1Experiment",
    "GET experiments": "V2beta1ListExperimentsResponse",
    "POST runs": "V2beta1Run",
    "GET runs/": "V2beta1Run",
    "GET runs?": "V2beta1ListRunsResponse",
    "recurringruns": "V2beta1RecurringRun",
}


def exchanges() -> Iterator[tuple[str, str, str, object, dict]]:
    for one in RECORDED:
        request = one["request"]
        yield one["note"], request["method"], request["path"], request["body"], one["response"]


def tasks(run):
    """What can be compared of a run's nodes: names without Argo's letters, and states."""
    found = run.get("run_details", {}).get("task_details", [])
    names = [re.sub(r"recommender-[a-z0-9]{5}$", "workflow", task.get("display_name", "")) for task in found]
    return sorted(zip(names, [task.get("state", "") for task in found], strict=True))


def alike(recorded, got, at=""):
    if isinstance(recorded, dict):
        assert isinstance(got, dict) and set(recorded) == set(got), (at, set(recorded) ^ set(got))
        for name in recorded:
            match name:
                case "run_details":
                    assert tasks(recorded) == tasks(got), at
                case "pipeline_spec" | "next_page_token":
                    assert got[name]
                case "state_history":
                    assert [one["state"] for one in recorded[name]] == [one["state"] for one in got[name]], at
                case _:
                    alike(recorded[name], got[name], f"{at}.{name}")
    elif isinstance(recorded, list):
        assert len(recorded) == len(got), at
        for one, other in zip(recorded, got, strict=True):
            alike(one, other, f"{at}[]")
    elif isinstance(recorded, str) and TIME.fullmatch(recorded):
        assert TIME.fullmatch(got) and (recorded[:4] == "1970") == (got[:4] == "1970"), at
    else:
        assert recorded == got, at


def test_the_fake_answers_a_whole_session_as_the_real_server_did():
    fake = FakeKubeflow()
    for note, method, path, body, answer in exchanges():
        if method == "POST" and answer["status"] == 200:
            if created := answer["body"].get("created_at"):
                fake.now = datetime.fromisoformat(created)
            made = ("pipeline_version_id", "pipeline_id", "recurring_run_id", "run_id", "experiment_id")
            fake.hand_out(*[answer["body"][name] for name in made if name in answer["body"]][:1])
            if note.startswith("upload"):
                fake.hand_out(FIRST_VERSION)
        if found := re.search(r"/runs/([0-9a-f-]{36})$", path):
            state = answer["body"].get("state")
            if method == "GET" and state:
                done = 2 if note == "grocery-bad is FAILED" else 0
                ran = state == "SUCCEEDED" or "bad" in note
                step = {"done": done if ran and state == "FAILED" else None, "cached": "cached" in note}
                fake.advance(found[1], "RUNNING" if state == "CANCELING" else state, **step)
        if isinstance(body, str) and path.endswith("/runs"):
            content = {"content": body[:5].encode()}
        elif isinstance(body, str):
            content = {"files": {"uploadfile": ("recommender.yaml", TRAINED.encode())}}
        else:
            content = {"json": body} if body is not None else {}
        request = httpx.Request(method, f"http://kubeflow{path}", **content)
        got = fake.answer(request)
        assert got.status_code == answer["status"], note
        assert got.headers["content-type"] == answer["content_type"], note
        alike(answer["body"], got.json(), note)
        if got.is_success and got.json():
            _is_of_its_model(method, path, got)


def _is_of_its_model(method, path, got):
    asked = f"{method} {path.removeprefix('/apis/v2beta1/')}"
    model = next((name for words, name in MODELS.items() if words in asked), None)
    if model is None:
        assert asked == "GET healthz"
        return

    class Response:
        data = got.text

    read = kfp_server_api.ApiClient().deserialize(Response, model)
    for name in got.json():
        attribute = next(key for key, sent in read.attribute_map.items() if sent == name)
        assert getattr(read, attribute) is not None, name
    for task in (got.json().get("run_details") or {}).get("task_details", []):
        assert set(task) <= set(kfp_server_api.V2beta1PipelineTaskDetail.attribute_map.values())
        assert task.get("state", "SUCCEEDED") in kfp_server_api.V2beta1RuntimeState.allowable_values


class Tape:
    """Answers as the recording does, and only what was asked then, in that order."""

    def __init__(self):
        self.left = list(exchanges())

    def answer(self, request: httpx.Request) -> httpx.Response:
        note, method, path, body, answer = self.left.pop(0)
        recorded = urlsplit(path)
        assert (request.method, request.url.path) == (method, recorded.path), note
        wanted, asked = dict(parse_qsl(recorded.query)), dict(parse_qsl(request.url.query.decode()))
        for query in (wanted, asked):
            query.pop("page_size", None)
            query["filter"] = json.loads(query.get("filter", "{}"))
        assert asked == wanted, note
        if isinstance(body, dict):
            assert json.loads(request.content) == body, note
        elif body is not None:
            assert b'name="uploadfile"' in request.content and TRAINED.encode() in request.content
        else:
            assert not request.content
        return httpx.Response(answer["status"], json=answer["body"])

    def skip(self, note: str) -> None:
        """What a client cannot be made to ask."""
        assert self.left.pop(0)[0] == note


def test_the_client_asks_and_understands_as_recorded():
    tape = Tape()
    client = KubeflowClient("http://kubeflow", transport=httpx.MockTransport(tape.answer), sleep=lambda _: None)
    assert client.health().multi_user is False
    pipeline = client.upload_pipeline("recommender", TRAINED, description="first")
    with pytest.raises(KubeflowConflict, match=r"has one of that name \(409: Failed to create a pipeline and"):
        client.upload_pipeline("recommender", TRAINED)
    version = client.upload_version(pipeline.pipeline_id, "v2", TRAINED)
    with pytest.raises(KubeflowConflict):
        client.upload_version(pipeline.pipeline_id, "v2", TRAINED)
    assert client.pipeline_named("recommender") == pipeline
    assert client.pipeline_named("nope") is None
    assert next(client.versions(pipeline.pipeline_id)).display_name == "recommender"
    experiment = client.create_experiment("grocery")
    with pytest.raises(KubeflowConflict):
        client.create_experiment("grocery")
    assert client.experiment_named("grocery") == experiment

    def begin(name, parameters, of=version.pipeline_version_id):
        reference = {"pipeline_id": pipeline.pipeline_id, "pipeline_version_id": of}
        body = {"display_name": name, "experiment_id": experiment.experiment_id, "service_account": "pipeline-runner"}
        body |= {"pipeline_version_reference": reference, "runtime_config": {"parameters": parameters}}
        return client.create_run(body)

    first = begin("grocery-1", {"rows": 25, "rate": 0.5})
    assert (first.state, first.finished_at) == ("PENDING", None)
    with pytest.raises(KubeflowRefused, match="not required by pipeline: nope"):
        begin("grocery-1", {"nope": 1})
    with pytest.raises(KubeflowRefused, match="rows requires type double or integer"):
        begin("grocery-1", {"rows": "many"})
    with pytest.raises(KubeflowFailed, match="may be wrong, such as a version") as failed:
        begin("grocery-1", {"rows": 25, "rate": 0.5}, of=NO_SUCH[0])
    assert not failed.value.passes
    tape.skip("an unknown field")
    tape.skip("broken JSON")
    bad, cancelled = begin("grocery-bad", {"bad": True}), begin("grocery-cancelled", {"rows": 7})
    client.terminate(cancelled.run_id)
    with pytest.raises(KubeflowMissing, match=NO_SUCH[1]):
        client.run(NO_SUCH[1])
    runs = [client.run(one.run_id) for one in (first, bad, cancelled, cancelled, first, bad)]
    assert [run.state for run in runs] == ["RUNNING", "RUNNING", "CANCELING", "FAILED", "SUCCEEDED", "FAILED"]
    assert [run.ended for run in runs] == [False, False, False, True, True, True]
    listed = client.runs(experiment.experiment_id)
    assert [next(listed).display_name for _ in range(2)] == ["grocery-cancelled", "grocery-bad"]
    recurring = client.create_recurring(
        {
            "display_name": "nightly",
            "experiment_id": experiment.experiment_id,
            "pipeline_version_reference": {
                "pipeline_id": pipeline.pipeline_id, "pipeline_version_id": version.pipeline_version_id
            },
            "runtime_config": {"parameters": {"rows": 3}},
            "trigger": {"cron_schedule": {"cron": "0 0 3 * * *"}},
            "max_concurrency": "1",
            "mode": "ENABLE",
            "no_catchup": True,
            "service_account": "pipeline-runner",
        }
    )  # fmt: skip
    assert client.recurring(recurring.recurring_run_id).status == "ENABLED"
    client.disable(recurring.recurring_run_id)
    client.enable(recurring.recurring_run_id)
    client.delete_recurring(recurring.recurring_run_id)
    cached = begin("grocery-again", {"rows": 25, "rate": 0.5})
    assert client.run(cached.run_id).state == "SUCCEEDED"
    client.archive(first.run_id)
    client.delete_run(first.run_id)
    assert not tape.left
