"""Carries out what a fake server of Kubeflow Pipelines was handed: a compiled pipeline, task by task, each a process.

It does what Argo, drivers and launchers do there, with what the compiled pipeline says: dependencies, parameters, artifacts,
Kubeflow's cache, and the task at the end that comes whatever happened.
"""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import toy_steps
from fake_kubeflow import FakeKubeflow
from forked import Forked

Json = dict[str, Any]


class Carrier:
    def __init__(self, folder: Path, toy: toy_steps.Toy):
        self.folder, self.toy = folder, toy
        folder.mkdir()
        self.cache: dict[str, Json] = {}
        self.started: list[str] = []
        """Tasks for which a pod was started, in order."""

        self._runs: dict[str, _Carried] = {}

    def begin(self, server: FakeKubeflow, run: str, spec: Json, parameters: Json) -> None:
        self._runs[run] = _Carried(self, server, run, spec, parameters, {})

    def retry(self, server: FakeKubeflow, run: str, spec: Json, parameters: Json) -> None:
        self._runs[run] = _Carried(self, server, run, spec, parameters, self._runs[run].outputs)

    def terminate(self, run: str) -> None:
        self._runs[run].terminate()

    def end(self) -> None:
        for run in self._runs.values():
            run.terminate()
            run.thread.join(30)


class _Carried:
    """One run."""

    def __init__(self, carrier: Carrier, server: FakeKubeflow, run: str, spec: Json, parameters: Json, outputs: Json):
        self.carrier, self.server, self.run, self.spec = carrier, server, run, spec
        self.outputs: Json = dict(outputs)
        self.states, self.reused = {name: "SUCCEEDED" for name in outputs}, set[str]()
        self.terminated, self.process = threading.Event(), None
        given = {
            name: parameters.get(name, said.get("defaultValue"))
            for name, said in spec["root"]["inputDefinitions"]["parameters"].items()
        }
        self.thread = threading.Thread(target=self._work, args=(given,), daemon=True)
        self.thread.start()

    def terminate(self) -> None:
        self.terminated.set()
        if self.process:
            self.process.send_signal(signal.SIGKILL)  # nobody is asked: as where a pod does not hand a signal on

    def _work(self, given: Json) -> None:
        well = self._dag(self.spec["root"]["dag"], given)
        self._tell("SUCCEEDED" if well and not self.terminated.is_set() else "FAILED")

    def _tell(self, state: str) -> None:
        with self.server.lock:
            if self.run in self.server.runs:
                self.server.carried(self.run, dict(self.states), set(self.reused), state)

    def _dag(self, dag: Json, given: Json) -> bool:
        """Carries out a DAG; whether all went well."""
        waiting, failed = dict(dag["tasks"]), set[str]()
        while waiting:
            name = next(
                n for n, task in waiting.items() if not any(o in waiting for o in task.get("dependentTasks", []))
            )
            task = waiting.pop(name)
            last = task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
            stopped = self.terminated.is_set() or any(o in failed for o in task.get("dependentTasks", []))
            if (stopped and not last) or self.terminated.is_set():
                failed.add(name)
                continue
            parameters = {
                key: self._value(said, given) for key, said in task.get("inputs", {}).get("parameters", {}).items()
            }
            component = self.spec["components"][task["componentRef"]["name"]]
            if "dag" in component:
                done = self._dag(component["dag"], parameters)
            else:
                done = self._task(name, task, component, parameters)
            if not done:
                failed.add(name)
        return not failed

    def _value(self, said: Json, given: Json) -> Any:
        if "componentInputParameter" in said:
            return given[said["componentInputParameter"]]
        if "taskOutputParameter" in said:
            of = said["taskOutputParameter"]
            return self.outputs[of["producerTask"]]["parameters"][of["outputParameterKey"]]
        return said["runtimeValue"]["constant"]

    def _task(self, name: str, task: Json, component: Json, parameters: Json) -> bool:
        if name in self.outputs:  # of the attempt before
            return True
        defined = component.get("inputDefinitions", {})
        values = {
            key: parameters.get(key, said.get("defaultValue")) for key, said in defined.get("parameters", {}).items()
        }
        artifacts = {
            key: self.outputs[said["taskOutputArtifact"]["producerTask"]]["artifacts"][
                said["taskOutputArtifact"]["outputArtifactKey"]
            ]
            for key, said in task.get("inputs", {}).get("artifacts", {}).items()
        }
        executor = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        fingerprint = json.dumps([executor, values, artifacts], sort_keys=True)
        self.states[name] = "RUNNING"
        self._tell("RUNNING")
        if task.get("cachingOptions", {}).get("enableCache") and fingerprint in self.carrier.cache:
            self.outputs[name] = self.carrier.cache[fingerprint]
            self.states[name] = "SUCCEEDED"
            self.reused.add(name)
            self._tell("RUNNING")
            return True
        tries = 1 + int(task.get("retryPolicy", {}).get("maxRetryCount", 0))
        while tries and not self.terminated.is_set():
            tries -= 1
            if outputs := self._pod(name, component, executor, values, artifacts):
                self.outputs[name] = self.carrier.cache[fingerprint] = outputs
                self.states[name] = "SUCCEEDED"
                self._tell("RUNNING")
                return True
        self.states[name] = "FAILED"
        self._tell("RUNNING")
        return False

    def _pod(self, name: str, component: Json, executor: Json, values: Json, artifacts: Json) -> Json | None:
        number = len(self.carrier.started)
        self.carrier.started.append(name)
        root = self.carrier.folder / f"{number}-{name}"
        root.mkdir()
        defined = component.get("outputDefinitions", {})
        arguments = executor["args"]
        document = {
            "function": arguments[arguments.index("--function_to_execute") + 1],
            "executor_input": {
                "inputs": {
                    "parameterValues": values,
                    "artifacts": {key: {"artifacts": [one]} for key, one in artifacts.items()},
                },
                "outputs": {
                    "parameters": {key: {"outputFile": str(root / key)} for key in defined.get("parameters", {})},
                    "artifacts": {
                        key: {"artifacts": [{"name": key, "uri": str(root / key), "type": said["artifactType"]}]}
                        for key, said in defined.get("artifacts", {}).items()
                    },
                    "outputFile": str(root / "executor_output.json"),
                },
            },
        }
        (root / "input.json").write_text(json.dumps(document))
        (root / "tmp").mkdir()
        environment = os.environ | {
            toy_steps.VARIABLE: str(self.carrier.toy.folder),
            "SHOPLOOP_KUBEFLOW_RUN": self.run,
            "TMPDIR": str(root / "tmp"),
        }
        with (root / "log.txt").open("wb") as log:
            self.process = Forked(
                "kubeflow_task", [str(root / "input.json")], env=environment, cwd=Path.cwd(), output=log
            )
        while (code := self.process.poll()) is None:
            if self.terminated.is_set():
                self.process.send_signal(signal.SIGKILL)
            time.sleep(0.02)
        if code:
            return None
        written = json.loads((root / "executor_output.json").read_text())
        made = document["executor_input"]["outputs"]["artifacts"]
        for key, found in written.get("artifacts", {}).items():
            made[key]["artifacts"][0] |= {k: v for k, v in found["artifacts"][0].items() if k in ("metadata", "uri")}
        return {
            "parameters": written.get("parameterValues", {}),
            "artifacts": {key: found["artifacts"][0] for key, found in made.items()},
        }
