"""A server of Kubeflow Pipelines with a memory: what it answers agrees with a recorded session of a real one (2.16.1).

It is asked through ``httpx.MockTransport(server.answer)``. A run goes on when a test says so (``advance``), or when something
that carries it out does. ``break_next`` makes the next questions go wrong as servers and networks do.
"""

import json
import random
import re
import threading
import uuid
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote

import httpx
import yaml
from kubeflow_specs import Json, Refused, check, refused, tasks_of

NEVER, NO_TIME = "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"
RUN_FIELDS = {
    "display_name", "description", "experiment_id", "pipeline_version_reference", "pipeline_version_id", "pipeline_spec",
    "runtime_config", "service_account",
}  # fmt: skip


class FakeKubeflow:
    def __init__(self, carrier: Any = None) -> None:
        """
        Args:
            carrier: Is told of runs that begin, are terminated and begin again; without one, ``advance`` says how they go.
        """
        self.pipelines: dict[str, Json] = {}
        self.versions: dict[str, Json] = {}
        self.experiments: dict[str, Json] = {}
        self.runs: dict[str, Json] = {}
        self.recurring: dict[str, Json] = {}
        self.asked: list[tuple[str, str]] = []
        """Method and path of every question."""

        self.tokens: set[str] | None = None
        """Those that are let in; None lets in everybody."""

        self.carrier = carrier
        self.lock = threading.RLock()
        self.now = datetime(2026, 11, 23, 7, 14, 29, tzinfo=UTC)
        self._broken: deque[Any] = deque()
        self._ids: deque[str] = deque()
        self._random = random.Random(7)

    def break_next(self, *faults: Any) -> None:
        """How the next questions fare: an exception to raise, a status, "html", "half" (done, but the answer breaks off),
        "lost" (done, and no answer comes), "other" (an answer of another API)."""
        self._broken.extend(faults)

    def hand_out(self, *ids: str) -> None:
        """The ids of what is made next."""
        self._ids.extend(ids)

    def answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append((request.method, request.url.path))
        fault = self._broken.popleft() if self._broken else None
        if isinstance(fault, Exception):
            raise fault
        if fault == "html":
            return httpx.Response(200, html="<!doctype html><title>Kubeflow Central Dashboard</title>")
        if fault == "other":
            return httpx.Response(200, json={"hello": ["world"], "runs": 7})
        if isinstance(fault, int):
            headers = {"retry-after": "1"} if fault == 429 else {}
            headers |= {"location": "https://dex.example/auth?state=x"} if 300 <= fault < 400 else {}
            return httpx.Response(fault, text="upstream connect error", headers=headers)
        if (
            self.tokens is not None
            and request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens
        ):
            return httpx.Response(401, json={"code": 16, "message": "Request header error: there is no user identity."})
        try:
            with self.lock:
                status, body = 200, self._answer(request)
        except Refused as error:
            status, body = error.status, error.body
        if fault == "lost":
            raise httpx.ReadTimeout("timed out", request=request)
        text = json.dumps(body)
        if fault == "half":
            text = text[: len(text) // 2]
        return httpx.Response(status, text=text, headers={"content-type": "application/json"})

    def advance(self, run: str, state: str, *, done: int | None = None, cached: bool = False) -> None:
        """Lets a run come to a state.

        Args:
            done: Steps that have ended well, if it FAILED at the one after them or goes on with it; else all.
            cached: Whether they came from the cache.
        """
        known = self.runs[run]
        if known["state"] in ("SUCCEEDED", "FAILED"):
            return
        terminated = known["state"] == "CANCELING"
        if state == "SUCCEEDED" and terminated:
            state = "FAILED"
        steps = known["_steps"]
        if state == "RUNNING":
            known["_states"] = ["SUCCEEDED"] * (done or 0) + (["RUNNING"] if done is not None else [])
            known["_begun"] = done is not None
        else:
            if known["state"] == "PENDING":
                self._enter(known, "RUNNING")
            self.now += timedelta(seconds=70)
            known["finished_at"] = self._time()
            well = len(steps) if state == "SUCCEEDED" else (done or 0)
            known["_states"] = ["SUCCEEDED"] * well + (["FAILED"] if state == "FAILED" and not terminated else [])
        known["_cached"] = ["SKIPPED" if cached else one for one in known["_states"]]
        if not (terminated and state == "RUNNING"):
            self._enter(known, state)
        elif known["state_history"][-1]["state"] == "PENDING":
            known["state_history"].append({"update_time": self._time(), "state": "RUNNING"})
        known["_terminated"] = terminated

    def carried(self, run: str, states: dict[str, str], reused: set[str], state: str) -> None:
        """What a carrier says of a run: the state of each task that has begun, and which came from the cache."""
        known = self.runs[run]
        known["_begun"] = True
        known["_steps"] = [name for name in known["_all"] if name in states]
        known["_states"] = [states[name] for name in known["_steps"]]
        known["_cached"] = ["SKIPPED" if name in reused else states[name] for name in known["_steps"]]
        if state != known["state"] and not (known["state"] == "CANCELING" and state == "RUNNING"):
            if state in ("SUCCEEDED", "FAILED"):
                known["finished_at"] = self._time()
            self._enter(known, state)

    def _enter(self, run: Json, state: str) -> None:
        run["state"] = state
        run["state_history"].append({"update_time": self._time(), "state": state})

    def _answer(self, request: httpx.Request) -> Json:
        path = request.url.path
        assert path.startswith("/apis/v2beta1/"), path
        query = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
        parts = [unquote(part) for part in request.url.raw_path.decode().partition("?")[0].split("/")[3:]]
        match request.method, parts:
            case "GET", ["healthz"]:
                return {
                    "commit_sha": "unknown",
                    "tag_name": "unknown",
                    "multi_user": False,
                    "pipeline_store": "database",
                }
            case "POST", ["pipelines", "upload"]:
                return self._upload(query, _uploaded(request))
            case "POST", ["pipelines", "upload_version"]:
                return self._upload_version(query, _uploaded(request))
            case "GET", ["pipelines", "names", name]:
                return self._pipeline_named(name, query.get("namespace", ""))
            case "GET", ["pipelines", pipeline, "versions"]:
                mine = [one for one in self.versions.values() if one["pipeline_id"] == pipeline]
                return self._page("pipeline_versions", mine, query)
            case "POST", ["experiments"]:
                return self._experiment(_json(request))
            case "GET", ["experiments"]:
                return self._page("experiments", [one for one in self.experiments.values() if _fits(one, query)], query)
            case "POST", ["runs"]:
                return self._run(_json(request))
            case "GET", ["runs"]:
                mine = [one for one in self.runs.values() if query.get("experiment_id") in (None, one["experiment_id"])]
                return self._page("runs", [self._shown(one) for one in mine], query)
            case "GET", ["runs", run]:
                return self._shown(self._known(run))
            case "POST", ["runs", asked] if ":" in asked:
                return self._change(*asked.split(":"))
            case "DELETE", ["runs", run]:
                self._known(run)
                if self.carrier:
                    self.carrier.terminate(run)
                del self.runs[run]
                return {}
            case "POST", ["recurringruns"]:
                return self._recur(_json(request))
            case "GET", ["recurringruns"]:
                mine = [one for one in self.recurring.values() if one["experiment_id"] == query.get("experiment_id")]
                return self._page("recurringRuns", mine, query)
            case "GET", ["recurringruns", recurring]:
                return self._recurs(recurring)
            case "POST", ["recurringruns", asked] if ":" in asked:
                recurring, verb = asked.split(":")
                known = self._recurs(recurring)
                known["status"] = {"enable": "ENABLED", "disable": "DISABLED"}[verb]
                known["mode"] = verb.upper()
                return {}
            case "DELETE", ["recurringruns", recurring]:
                self._recurs(recurring)
                del self.recurring[recurring]
                return {}
        raise refused(404, 5, "Not Found")

    def _upload(self, query: Json, text: str) -> Json:
        name = query["name"]
        if any(
            (one["name"], one["_namespace"]) == (name, query.get("namespace", "")) for one in self.pipelines.values()
        ):
            said = "Failed to create a pipeline and a pipeline version"
            raise Refused(409, {"error_message": said, "error_details": said})
        pipeline = self._new("pipeline_id", name, query) | {"_namespace": query.get("namespace", "")}
        self.pipelines[pipeline["pipeline_id"]] = pipeline
        self._add_version(pipeline["pipeline_id"], name, query, text)
        return _public(pipeline)

    def _upload_version(self, query: Json, text: str) -> Json:
        pipeline, name = query["pipelineid"], query["name"]
        said = "Failed to create a pipeline version"
        if pipeline not in self.pipelines:
            raise Refused(500, {"error_message": said, "error_details": said})
        if any((one["pipeline_id"], one["name"]) == (pipeline, name) for one in self.versions.values()):
            raise Refused(409, {"error_message": said, "error_details": said})
        return _public(self._add_version(pipeline, name, query, text))

    def _add_version(self, pipeline: str, name: str, query: Json, text: str) -> Json:
        version = self._new("pipeline_version_id", name, query) | {
            "pipeline_id": pipeline, "pipeline_spec": next(iter(yaml.load_all(text, yaml.CSafeLoader))), "_text": text
        }  # fmt: skip
        self.versions[version["pipeline_version_id"]] = version
        return version

    def _pipeline_named(self, name: str, namespace: str) -> Json:
        for one in self.pipelines.values():
            if (one["name"], one["_namespace"]) == (name, namespace):
                return _public(one)
        inner = f"Namespace/Pipeline {namespace}/{name} not found"
        raise refused(
            404,
            5,
            f"Failed to get a pipeline with name {name} and namespace {namespace}. Check error stack.: Failed to get a "
            f"pipeline named {name} in namespace {namespace}: ResourceNotFoundError: {inner}",
            inner,
        )

    def _experiment(self, body: Json) -> Json:
        name, namespace = body["display_name"], body.get("namespace", "")
        for one in self.experiments.values():
            if (one["display_name"], one.get("namespace", "")) == (name, namespace):
                inner = f"Failed to create a new experiment. The name {name} already exists. Please specify a new name"
                raise refused(409, 6, f"Failed to create a experiment: Already exist error: {inner}", inner)
        made = {
            "experiment_id": self._id(), "display_name": name, "created_at": self._time(), "storage_state": "AVAILABLE",
            "last_run_created_at": NEVER, **({"namespace": namespace} if namespace else {}),
        }  # fmt: skip
        self.experiments[made["experiment_id"]] = made
        return made

    def _run(self, body: Json) -> Json:
        if unknown := set(body) - RUN_FIELDS:
            raise refused(400, 3, f'proto:\u00a0(line 1:2): unknown field "{min(unknown)}"')
        version = self._version_of(body)
        parameters = body.get("runtime_config", {}).get("parameters", {})
        check(version["pipeline_spec"], parameters)
        reference = {name: version[name] for name in ("pipeline_id", "pipeline_version_id")}
        tasks = tasks_of(version["pipeline_spec"])
        run = {
            "experiment_id": body["experiment_id"],
            "run_id": self._id(),
            "display_name": body["display_name"],
            "storage_state": "AVAILABLE",
            "pipeline_version_reference": reference,
            "runtime_config": {"parameters": dict(sorted(parameters.items()))},
            **({"service_account": body["service_account"]} if "service_account" in body else {}),
            "created_at": self._time(),
            "scheduled_at": self._time(),
            "finished_at": NEVER,
            "state": "PENDING",
            "state_history": [{"update_time": self._time(), "state": "PENDING"}],
            "_all": tasks, "_steps": tasks, "_states": [], "_cached": [], "_begun": False, "_terminated": False,
            "_name": f"{version['pipeline_spec']['pipelineInfo']['name']}-{self._letters()}",
        }  # fmt: skip
        self.runs[run["run_id"]] = run
        shown = self._shown(run)
        if self.carrier:
            self.carrier.begin(self, run["run_id"], version["pipeline_spec"], parameters)
        return shown

    def _version_of(self, body: Json) -> Json:
        wanted = body["pipeline_version_reference"]["pipeline_version_id"]
        if wanted in self.versions:
            return self.versions[wanted]
        raise refused(
            500,
            13,
            "Failed to create a new run: InternalServerError: Failed to create a run due to error fetching manifest: Failed "
            "to fetch a template due to error retrieving pipeline version: Failed to fetch a pipeline version and its "
            f"manifest from pipeline version {wanted}: Failed to get a pipeline version with id {wanted}: "
            f"ResourceNotFoundError: PipelineVersion {wanted} not found",
            "Internal Server Error",
        )

    def _known(self, run: str) -> Json:
        if run not in self.runs:
            inner = f"Run {run} not found"
            said = f"Failed to get a run: Failed to fetch run {run}: ResourceNotFoundError: {inner}"
            raise refused(404, 5, said, inner)
        return self.runs[run]

    def _change(self, run: str, verb: str) -> Json:
        known = self._known(run)
        match verb:
            case "terminate" if known["state"] in ("PENDING", "RUNNING"):
                known["state"] = "CANCELING"
                if self.carrier:
                    self.carrier.terminate(run)
            case "retry" if known["state"] == "FAILED":
                known["finished_at"], known["_terminated"] = NEVER, False
                self._enter(known, "RUNNING")
                if self.carrier:
                    version = self.versions[known["pipeline_version_reference"]["pipeline_version_id"]]
                    self.carrier.retry(self, run, version["pipeline_spec"], known["runtime_config"]["parameters"])
            case "archive":
                known["storage_state"] = "ARCHIVED"
            case "terminate" | "retry":
                said = f"Failed to {verb} a run: run {run} is {known['state']}"
                raise refused(400, 9, said, said)
            case _:
                raise refused(404, 5, "Not Found")
        return {}

    def _recur(self, body: Json) -> Json:
        version = self._version_of(body)
        made = {
            "recurring_run_id": self._id(),
            **{name: body[name] for name in ("display_name", "runtime_config", "service_account", "max_concurrency",
                                             "trigger", "mode", "no_catchup", "experiment_id") if name in body},
            "pipeline_version_reference": {name: version[name] for name in ("pipeline_id", "pipeline_version_id")},
            "created_at": self._time(), "updated_at": self._time(), "status": f"{body['mode']}D", "namespace": "kubeflow",
        }  # fmt: skip
        self.recurring[made["recurring_run_id"]] = made
        return dict(made)

    def _recurs(self, recurring: str) -> Json:
        if recurring not in self.recurring:
            inner = f"Job {recurring} not found"
            raise refused(404, 5, f"Failed to get a recurring run: ResourceNotFoundError: {inner}", inner)
        return self.recurring[recurring]

    def _shown(self, run: Json) -> Json:
        shown = _public(run)
        if run["state"] != "PENDING":
            shown["run_details"] = {"task_details": self._tasks(run)}
        return json.loads(json.dumps(shown))

    def _tasks(self, run: Json) -> list[Json]:
        """The nodes of Argo's workflow as the API tells them: drivers, executors, DAGs, and some without a name."""
        over = run["state"] in ("SUCCEEDED", "FAILED")
        begun = bool(run["_states"]) or run["_begun"]
        told: list[Json] = []

        def tell(name: str, state: str, at: int, **more: Any) -> None:
            start = datetime.fromisoformat(run["created_at"]) + timedelta(seconds=at)
            node: Json = {"run_id": run["run_id"], "task_id": self._any_id(), "create_time": run["created_at"]}
            node["start_time"] = f"{start:%Y-%m-%dT%H:%M:%SZ}"
            node["end_time"] = NO_TIME if state == "RUNNING" else f"{start + timedelta(seconds=5):%Y-%m-%dT%H:%M:%SZ}"
            named = {"state": state} if state else {}
            if name:
                node["display_name"] = name
            if "execution_id" not in more:
                node["state_history"] = [{"update_time": self._time(), **named}]
            told.append(node | named | more)

        tell(run["_name"], run["state"] if over else "RUNNING", 0, child_tasks=[{"pod_name": f"{run['_name']}-1"}])
        early = "FAILED" if over and not begun and run["state"] == "FAILED" else "PENDING"
        tell("root-driver", "SUCCEEDED" if begun else early, 0)
        if begun:
            tell("root", run["state"] if over else "RUNNING", 10)
        elif over:
            tell("root", "", 10)
        for place, (name, state, executed) in enumerate(
            zip(run["_steps"], run["_states"], run["_cached"], strict=False), start=1
        ):
            at = 20 * place
            tell(f"{name}-driver", "SUCCEEDED", at)
            tell(name, state, at + 10, child_tasks=[{"pod_name": f"{run['_name']}-{place}"}])
            tell("executor", "SKIPPED" if executed == "SKIPPED" else state, at + 10)
            if executed == "SUCCEEDED":
                tell("", "", at + 14, execution_id=str(2 * place + 3))
        return told

    def _page(self, name: str, found: list[Json], query: Json) -> Json:
        if query.get("sort_by") == "created_at desc":  # of one second the larger id comes first, whichever is newer
            key = {"pipeline_versions": "pipeline_version_id", "recurringRuns": "recurring_run_id"}.get(name, "run_id")
            found = sorted(found, key=lambda one: (one["created_at"], one[key]), reverse=True)
        size, begin = int(query.get("page_size", 20)), int(query.get("page_token", "0"))
        page: Json = {name: [_public(one) for one in found[begin : begin + size]], "total_size": len(found)}
        if begin + size < len(found):
            page["next_page_token"] = str(begin + size)
        return page if found else {}

    def _new(self, key: str, name: str, query: Json) -> Json:
        return {
            key: self._id(), "display_name": name, "name": name,
            **({"description": query["description"]} if "description" in query else {}), "created_at": self._time(),
        }  # fmt: skip

    def _id(self) -> str:
        return self._ids.popleft() if self._ids else self._any_id()

    def _any_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _letters(self) -> str:
        return "".join(self._random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))

    def _time(self) -> str:
        return f"{self.now:%Y-%m-%dT%H:%M:%SZ}"


def _public(thing: Json) -> Json:
    return {name: value for name, value in thing.items() if not name.startswith("_")}


def _fits(thing: Json, query: Json) -> bool:
    wanted = json.loads(query.get("filter", "{}")).get("predicates", [])
    return all(thing.get(one["key"]) == one["string_value"] for one in wanted if one["operation"] == "EQUALS")


def _json(request: httpx.Request) -> Json:
    try:
        return json.loads(request.content)
    except ValueError as error:
        raise refused(400, 3, "unexpected EOF") from error


def _uploaded(request: httpx.Request) -> str:
    boundary = re.search("boundary=(.+)", request.headers["content-type"]).group(1)
    (part,) = [part for part in request.content.decode().split(f"--{boundary}") if 'name="uploadfile"' in part]
    return part.partition("\r\n\r\n")[2].removesuffix("\r\n")
