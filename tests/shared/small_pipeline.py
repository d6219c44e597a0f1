"""A compiled pipeline with the parameters and the steps of the real one, and nothing in them: compiling takes seconds."""

import json

from shoploop.steps import STEPS
from shoploop.steps.parameters import parameters

KINDS = {
    dict: "STRUCT", list: "LIST", str: "STRING", bool: "BOOLEAN", int: "NUMBER_INTEGER", float: "NUMBER_DOUBLE"
}  # fmt: skip


def text() -> str:
    """It is YAML, as JSON is."""
    kinds = {"recommender": dict, "run": str, "promotes": bool} | {one.name: one.kind for one in parameters()}
    names = [step.replace("_", "-") for step in STEPS]
    tasks = {
        name: {"componentRef": {"name": f"comp-{name}"}, "dependentTasks": [before] if before else []}
        for before, name in zip([None, *names], names, strict=False)
    }
    return json.dumps(
        {
            "pipelineInfo": {"name": "recommender"},
            "components": {f"comp-{name}": {"executorLabel": f"exec-{name}"} for name in names},
            "deploymentSpec": {"executors": {}},
            "root": {
                "dag": {"tasks": tasks},
                "inputDefinitions": {
                    "parameters": {
                        name: {"parameterType": KINDS[kind], "isOptional": True} for name, kind in kinds.items()
                    }
                },
            },
        }
    )
