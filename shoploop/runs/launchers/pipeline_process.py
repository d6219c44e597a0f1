"""The pipeline as a process beside this one: what it is given, what it says while it works, and how it is ended.

It must not know what becomes of a run's outputs.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import psutil

from shoploop import progress
from shoploop.compute.device import VARIABLE as DEVICE_VARIABLE
from shoploop.compute.device import asks_for
from shoploop.compute.memory import family
from shoploop.runs.planning import Plan
from shoploop.shells import shells_folder
from shoploop.steps import RUN_VARIABLE, STEPS, Workspace, settings_of
from shoploop.store import layout
from shoploop.versions.signing import Trust

PIPELINE = (sys.executable, "-m", "pipelines.recommender", "--local")
"""Called with the path of a plan; see ``pipelines/recommender.py``."""

Said = dict[str, Any]


class PipelineProcess:
    """Runs the due steps of a plan, a process a step."""

    def __init__(self, plan: Plan, workspace: Workspace, log: Path, command: tuple[str, ...], lock: IO[str]):
        """
        Args:
            lock: Held as long as the process lives, also where this one is killed: two runs must not meet.
        """
        folder = workspace.path(plan.run.key)
        self._events = folder / "events.jsonl"
        self._events.write_text("")
        document = folder / "pipeline.json"
        document.write_text(json.dumps(_document(plan, workspace)))
        environment = os.environ | {
            progress.VARIABLE: str(self._events),
            RUN_VARIABLE: plan.membership(workspace).as_text(),
            DEVICE_VARIABLE: asks_for(plan.run.recommender.spec.training.resources.gpu),
            "PYTHONWARNINGS": "ignore",
            "PYTHONUNBUFFERED": "1",
        }
        with log.open("ab") as log_file:
            self._process = subprocess.Popen(
                [*command, str(document)],
                cwd=shells_folder(),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                pass_fds=(lock.fileno(),),
            )

    def follow(self, hear: Callable[[Said], None]) -> int:
        """Calls ``hear`` with everything that steps say, until the process has ended; returns its exit code."""
        with self._events.open() as stream:
            while True:
                code = self._process.poll()
                for line in stream:
                    hear(json.loads(line))
                if code is not None:
                    return code
                time.sleep(0.05)

    def end(self) -> None:
        """Ends the pipeline and its step; on Ctrl-C the terminal has told them already."""
        if self._process.poll() is not None:  # its number may be another's by now
            return
        members = family(self._process.pid)
        for member in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.terminate()
        steps = [member for member in members if member.pid != self._process.pid]
        _, alive = psutil.wait_procs(steps, timeout=5)
        for member in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        try:  # not by psutil, which would take the exit code away from whoever follows
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _document(plan: Plan, workspace: Workspace) -> dict[str, Any]:
    return {
        "root": str(workspace.path(layout.outputs(plan.run.name, plan.run.id))),
        "found": {name: str(workspace.output(entry)) for name, entry in plan.found.items()},
        "until": plan.run.until,
        "arguments": _arguments(plan, workspace),
    }


def _arguments(plan: Plan, workspace: Workspace) -> dict[str, Any]:
    """The pipeline's parameters, from the spec."""
    spec = plan.run.recommender.spec
    incumbent = (
        workspace.incumbent(plan.incumbent, Trust.configured(spec.signing))
        if plan.incumbent and "evaluate_model" in plan.run.steps
        else ""
    )

    def section(step: str, name: str) -> Any:
        return settings_of(spec, STEPS[step]).get(name, {})

    return {
        "source": section("load_data", "data"),
        "expectations": section("validate_data", "validation"),
        "store": section("materialize_features", "features"),
        "surfaces": list(spec.training.surfaces),
        "seed": spec.training.seed,
        "evaluation_days": spec.training.evaluation_days or 0,  # KFP passes no None
        "training_days": spec.training.training_days or 0,
        "augmentation": section("augment_samples", "augmentation"),
        "importance_estimator": spec.importance.estimator,
        "epochs": spec.training.epochs,
        "learning_rate": spec.training.learning_rate,
        "adversarial_radius": spec.training.adversarial_radius,
        "parent": plan.incumbent or "",
        "incumbent": str(incumbent),
        "metric": spec.gate.metric,
        "confidence": spec.gate.confidence,
        "rules": section("gate", "gate"),
        "item_fields": list(spec.serving.item_fields),
        "deadline_milliseconds": spec.serving.deadline_milliseconds,
        "max_age_days": spec.gate.max_age_days,
    }
