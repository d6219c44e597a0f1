"""A cluster that keeps objects and carries Jobs out: each pod is a process of this machine, and ends as one."""

import os
import threading
from pathlib import Path
from typing import Any

import toy_steps
from forked import Forked

Object = dict[str, Any]


class FakeCluster:
    """It has what an operator sees of one: ``children``, ``pods`` and ``warnings``."""

    def __init__(self, folder: Path, toy: toy_steps.Toy):
        self.folder, self.toy = folder, toy
        folder.mkdir()
        self._objects: dict[tuple[str, str], Object] = {}
        self._pods: dict[str, tuple[Object, Forked]] = {}
        self._logs: list[tuple[dict[str, str], Path]] = []
        self._lock = threading.RLock()
        self.warnings: dict[str, str] = {}

    @property
    def children(self) -> dict[tuple[str, str], Object]:
        with self._lock:
            return {key: thing | _status(self._pods.get(key[1])) for key, thing in self._objects.items()}

    @property
    def pods(self) -> tuple[Object, ...]:
        with self._lock:
            return tuple(pod | {"status": self._pod_status(pod, process)} for pod, process in self._pods.values())

    def apply(self, thing: Object) -> None:
        key = thing["kind"], thing["metadata"]["name"]
        with self._lock:
            if key in self._objects:
                return
            uid = f"uid-{len(self._logs)}"
            self._objects[key] = thing | {"metadata": thing["metadata"] | {"uid": uid}}
            if thing["kind"] == "Job":
                self._start(self._objects[key])

    def delete(self, kind: str, name: str) -> None:
        with self._lock:
            self._objects.pop((kind, name), None)
            pod = self._pods.pop(name, None) if kind == "Job" else None
        if pod:
            pod[1].terminate()
            pod[1].wait(30)

    def logs(self, selector: str) -> list[str]:
        wanted = dict(pair.split("=") for pair in selector.split(","))
        return [
            line
            for labels, path in self._logs
            if wanted.items() <= labels.items()
            for line in path.read_text().splitlines()
        ]

    def end(self) -> None:
        for kind, name in list(self._objects):
            self.delete(kind, name)

    def _start(self, job: Object) -> None:
        name, spec = job["metadata"]["name"], job["spec"]["template"]["spec"]
        number = len(self._logs)
        (mounted,) = [volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume]
        document = self.folder / f"{name}-{number}.json"
        document.write_text(self._objects["ConfigMap", mounted]["data"]["recommender.json"])
        python, module, room, *arguments = spec["containers"][0]["args"]
        assert (python, module, room) == ("python", "-m", "shoploop.runs")
        arguments[arguments.index("--spec") + 1] = str(document)
        log, told = self.folder / f"{name}-{number}.log", self.folder / f"{name}-{number}.said"
        environment = os.environ | {"SHOPLOOP_TERMINATION_LOG": str(told), toy_steps.VARIABLE: str(self.toy.folder)}
        with log.open("wb") as output:
            words = ["pod", *arguments, "--work", str(self.folder / f"pod-{number}")]
            process = Forked("toy_steps", words, env=environment, cwd=Path.cwd(), output=output)
        labels = job["spec"]["template"]["metadata"]["labels"]
        meta = {"name": f"pod-{number}", "labels": labels, "ownerReferences": [{"uid": job["metadata"]["uid"]}]}
        self._logs.append((labels, log))
        self._pods[name] = {"metadata": meta, "told": told}, process

    def _pod_status(self, pod: Object, process: Forked) -> Object:
        code = process.poll()
        if code is None:
            return {"phase": "Running", "containerStatuses": [{"name": "steps", "state": {"running": {}}}]}
        message = pod["told"].read_text() if pod["told"].exists() else ""
        ended = {"terminated": {"exitCode": code, "message": message}}
        return {
            "phase": "Failed" if code else "Succeeded", "containerStatuses": [{"name": "steps", "state": ended}]
        }  # fmt: skip


def _status(pod: tuple[Object, Forked] | None) -> Object:
    code = pod[1].poll() if pod else None
    if code is None:
        return {}
    return {"status": {"conditions": [{"type": "Failed" if code else "Complete", "status": "True"}]}}
