"""What a server of Kubeflow Pipelines reads of a compiled pipeline: its tasks, and the parameters that it takes."""

from typing import Any

Json = dict[str, Any]

TRAINED = """
components:
  comp-fail-if: {executorLabel: exec-fail-if}
  comp-make-rows: {executorLabel: exec-make-rows}
  comp-train: {executorLabel: exec-train}
deploymentSpec: {executors: {}}
pipelineInfo: {name: recommender}
root:
  dag:
    tasks:
      make-rows: {componentRef: {name: comp-make-rows}}
      train: {componentRef: {name: comp-train}, dependentTasks: [make-rows]}
      fail-if: {componentRef: {name: comp-fail-if}, dependentTasks: [train]}
  inputDefinitions:
    parameters:
      bad: {parameterType: BOOLEAN, defaultValue: false, isOptional: true}
      rate: {parameterType: NUMBER_DOUBLE, defaultValue: 0.1, isOptional: true}
      rows: {parameterType: NUMBER_INTEGER, defaultValue: 10, isOptional: true}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
"""
"""A pipeline with the parameters and the tasks of the recorded one."""

KINDS = {
    "STRING": (str, "string"),
    "NUMBER_INTEGER": ((int, float), "double or integer"),
    "NUMBER_DOUBLE": ((int, float), "double or integer"),
    "BOOLEAN": (bool, "bool"),
    "LIST": (list, "list"),
    "STRUCT": (dict, "struct"),
}


class Refused(Exception):
    """An answer that is none of what was asked for."""

    def __init__(self, status: int, body: Json):
        self.status, self.body = status, body


def refused(status: int, code: int, message: str, inner: str | None = None) -> Refused:
    body: Json = {"code": code, "message": message}
    if inner is not None:
        body["details"] = [{"@type": "type.googleapis.com/google.rpc.Status", "code": code, "message": inner}]
    return Refused(status, body)


def tasks_of(spec: Json) -> list[str]:
    """The tasks that a person has named, also of pipelines within the pipeline, in an order that they can be done in."""
    return [name for name, _, _ in flat_tasks(spec)]


def flat_tasks(spec: Json, component: str | None = None) -> list[tuple[str, Json, str | None]]:
    """Each task that is carried out, what the compiled pipeline says of it, and the DAG that it belongs to."""
    dag = (spec["components"][component] if component else spec["root"])["dag"]
    waiting, ordered = dict(dag["tasks"]), []
    while waiting:
        name = next(
            name
            for name, task in waiting.items()
            if not any(other in waiting for other in task.get("dependentTasks", []))
        )
        task = waiting.pop(name)
        inner = task["componentRef"]["name"]
        if "dag" in spec["components"][inner]:
            ordered += flat_tasks(spec, inner)
        else:
            ordered.append((name, task, component))
    return ordered


def check(spec: Json, parameters: Json) -> None:
    """Refuses parameters that the pipeline does not take, in the server's own words."""
    known = spec["root"].get("inputDefinitions", {}).get("parameters", {})

    def invalid(inner: str) -> Refused:
        said = "Failed to create a new run: Failed to generate the ExecutionSpec: invalid pipeline job inputs: Invalid input "
        return refused(400, 3, f"{said}error: {inner}", inner)

    for name, value in parameters.items():
        if name not in known:
            raise invalid(f"parameter(s) provided are not required by pipeline: {name}")
        kind, words = KINDS[known[name]["parameterType"]]
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            what = "number" if words.startswith("double") else words
            raise invalid(
                f"input parameter {name} requires type {words}, but the parameter value is not of {what} value type"
            )
    for name, said in known.items():
        if name not in parameters and not said.get("isOptional") and "defaultValue" not in said:
            raise invalid(f"parameter {name} is not optional, yet has neither default value nor user provided value")
