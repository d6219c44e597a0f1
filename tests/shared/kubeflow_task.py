"""One task of a pipeline as a process: KFP's own executor around a component, with toy steps.

As a program it takes the file with the executor's input; it stands for the container of a task's pod.
"""

import importlib
import json
import os
import sys
from pathlib import Path

import toy_steps


def ready() -> None:
    """Imports all components, which takes longer than all toys."""
    import kfp.dsl.executor  # noqa: F401

    import pipelines.recommender  # noqa: F401
    from shoploop.report.step_facts import step_page
    from shoploop.steps.parameters import parameters

    parameters()
    toy_steps.ready()
    step_page("gate", Path("."), title="shop: once, for the templates")


def main(arguments: list[str]) -> None:
    from kfp.dsl.executor import Executor

    document = json.loads(Path(arguments[0]).read_text())
    toy_steps.install(Path(os.environ[toy_steps.VARIABLE]))
    for module, name, instead in toy_steps.spare():
        setattr(module, name, instead)
    module = importlib.import_module(f"components.{document['function']}")
    Executor(document["executor_input"], getattr(module, document["function"])).execute()
    sys.exit(0)
