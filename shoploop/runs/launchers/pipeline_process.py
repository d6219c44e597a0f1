"""The pipeline as a process beside this one: what it is given, what it says while it works, and how it is ended.

It must not know what becomes of a run's outputs.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import psutil

from shoploop import progress
from shoploop.compute.device import VARIABLE as DEVICE_VARIABLE
from shoploop.compute.device import asks_for
from shoploop.compute.lifetime import GRACE_SECONDS, members, named_starter, signal_group
from shoploop.runs.planning import Plan
from shoploop.shells import shells_folder
from shoploop.steps import RUN_VARIABLE, Workspace
from shoploop.steps.parameters import arguments_of
from shoploop.store import layout
from shoploop.versions.signing import Trust

PIPELINE = (sys.executable, "-m", "pipelines.recommender", "--local")
"""Called with the path of a plan; see ``pipelines/recommender.py``."""

RESERVE_BYTES = 2**18
"""For the record and the page of a run that has filled its disk."""

LOOK_SECONDS = 0.05
"""Between two looks at what the pipeline has said, and at whether it has ended."""

Said = dict[str, Any]


class PipelineProcess:
    """Runs the due steps of a plan, a process a step; all of them are one process group, and end with this process."""

    def __init__(self, plan: Plan, workspace: Workspace, log: Path, command: tuple[str, ...], lock: IO[str]):
        """
        Args:
            lock: Held as long as a process of the tree lives, also where this one is killed: two runs must not meet. It
                is their standard input, the one file that whoever starts a process hands on: Kubeflow does with no other.
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
            "TMPDIR": str(fresh_temporary(workspace)),
            "PYTHONWARNINGS": "ignore",
            "PYTHONUNBUFFERED": "1",
            "PYTHONUTF8": "1",
            **named_starter(),
        }
        environment.pop("PYTHONIOENCODING", None)  # the terminal's; these write to files and to each other
        with log.open("ab") as log_file:
            self._process = subprocess.Popen(
                [*command, str(document)],
                cwd=shells_folder(),
                env=environment,
                stdin=lock,
                stdout=log_file,
                stderr=log_file,
                start_new_session=True,
            )
        self._over, self._reaping = threading.Event(), threading.Lock()

    def follow(self, hear: Callable[[Said], None]) -> int:
        """Calls ``hear`` with everything that steps say, until no process is left; returns the pipeline's exit code."""
        try:
            with self._events.open(encoding="utf-8") as stream:
                while True:
                    ended = self._has_ended()
                    for line in stream:
                        if said := _said(line):
                            hear(said)
                    if ended:
                        return self._put_in_order()
                    time.sleep(LOOK_SECONDS)
        except BaseException:
            self._signal(signal.SIGTERM)
            self._put_in_order()
            raise

    def end(self) -> None:
        """Asks the pipeline and its steps to end, and sees to it that they do; whoever follows hears the exit code."""
        self._signal(signal.SIGTERM)
        if not self._over.wait(3 * GRACE_SECONDS):
            self._signal(signal.SIGKILL)

    def ask_to_end(self) -> None:
        """Asks the pipeline and its steps to end, and waits for nothing: for who follows."""
        self._signal(signal.SIGTERM)

    def _has_ended(self) -> bool:
        """It is not waited for yet: its number must stay that of its group, and nobody else's."""
        try:
            return bool(psutil.Process(self._process.pid).status() == psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return True

    def _ends_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not self._has_ended():
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_SECONDS)
        return True

    def _put_in_order(self) -> int:
        """Ends what the pipeline has left behind, and returns its exit code."""
        if self._over.is_set():
            return self._process.wait()
        group = self._process.pid
        if left := members(group):
            signal_group(group, signal.SIGTERM)
            psutil.wait_procs(left, timeout=GRACE_SECONDS)
            signal_group(group, signal.SIGKILL)
            psutil.wait_procs(left, timeout=GRACE_SECONDS)
        elif not self._ends_within(GRACE_SECONDS):
            signal_group(group, signal.SIGKILL)
        with self._reaping:
            code = self._process.wait()
            self._over.set()
        return code

    def _signal(self, number: signal.Signals) -> None:
        with self._reaping:
            if not self._over.is_set():
                signal_group(self._process.pid, number)


def _said(line: str) -> Said | None:
    """What a line of the events says; None for one that a full disk has cut short."""
    try:
        said: Said = json.loads(line)
    except ValueError:
        return None
    return said


def fresh_temporary(workspace: Workspace) -> Path:
    """An empty folder for temporary files, with some bytes in it that can be had when there are no others."""
    folder = workspace.path(layout.temporary(workspace.name))
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed; whoever holds the lock is alone
    folder.mkdir(parents=True)
    (folder / "reserve").write_bytes(os.urandom(RESERVE_BYTES))
    return folder


def remove_temporary(workspace: Workspace) -> None:
    """Removes what :func:`fresh_temporary` has made, and what lies in it."""
    shutil.rmtree(workspace.path(layout.temporary(workspace.name)), ignore_errors=True)


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

    return arguments_of(spec) | {
        "collected": str(workspace.collected(plan.collected)) if plan.collected and "load_data" in plan.due else "",
        "parent": plan.incumbent or "",
        "incumbent": str(incumbent),
    }
