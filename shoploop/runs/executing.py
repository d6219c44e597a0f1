"""Carrying out a run: one at a time, and however it ends there is a record and a page."""

import fcntl
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shoploop.errors import ShoploopError, UserError
from shoploop.runs.finishing import collect, write_report
from shoploop.runs.process import Event, run_pipeline
from shoploop.runs.record import Run, write_record
from shoploop.steps import Entry


class StepFailed(ShoploopError):
    """A step ended badly; the message is its own."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


class AnotherRun(UserError):
    pass


def execute(run: Run, watch: Callable[[Event], None] = lambda event: None) -> None:
    """Carries out the steps that are due, a process a step; ``watch`` hears of every event as it happens.

    Raises:
        StepFailed: with the failed step's own message. What other steps have done is kept for the next run.
        KeyboardInterrupt: the processes have ended.
    """
    began = time.monotonic()
    if run.until is not None:
        shutil.rmtree(run.folder, ignore_errors=True)
    run.folder.mkdir(parents=True, exist_ok=True)
    with _alone(run):
        _execute(run, watch, began)


def _execute(run: Run, watch: Callable[[Event], None], began: float) -> None:
    for name, step in run.steps.items():
        if step.state == "reused":
            watch({"kind": "reused", "step": name, "seconds": step.seconds})
    failure: Event | None = None
    try:
        if any(step.state != "reused" for step in run.steps.values()):
            failure = run_pipeline(run, watch)
    finally:  # also of a run that a person interrupts there is a record and a page
        run.wall_seconds = time.monotonic() - began
        for name, step in run.steps.items():
            if step.out is None and (entry := Entry.find(run.work / "steps", run.keys[name])):
                step.out = entry.out
        write_record(run)
        if any(step.state not in ("done", "reused") for step in run.steps.values()):
            with _quietly():
                collect(run)
                write_report(run.store, run.key, run.folder)
    if failure is not None:
        raise StepFailed(_told(failure, run.folder / "log.txt"), failure["exit_code"])


@contextmanager
def _quietly() -> Iterator[None]:
    """A page that cannot be written must not hide why the run ended."""
    try:
        yield
    except Exception:
        logging.getLogger(__name__).warning("The report of a run that broke off cannot be written.", exc_info=True)


def _told(failure: Event, log: Path) -> str:
    if "traceback" not in failure:
        return str(failure["message"])
    return f"Step {failure['step']} broke off with {failure['error']}: {failure['message']}. This is a bug; see {log}"


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """One run of a recommender at a time on one home: they would prune each other's work."""
    run.work.mkdir(parents=True, exist_ok=True)
    with (run.work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AnotherRun(
                f"Another run of {run.recommender.metadata.name!r} is going on in {run.home}. Wait for it to end, or "
                "name another store with --store."
            ) from error
        yield
