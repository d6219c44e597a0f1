"""What carries out runs: one small interface for this machine, Jobs of a cluster, and what else may come.

A launcher is handed a run and says how it goes; the record, the index of steps that are done, the result and the report are
the same behind each. Where a run is planned is the launcher's own matter: there, where its data and its store can be read.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from shoploop.errors import ShoploopError
from shoploop.runs.planning import Run
from shoploop.runs.record import Failure, Record, RunState, StepRecord

Event = dict[str, Any]
"""What happened: ``kind`` is started, progress, warning, finished, reused or failed, ``step`` says of which step."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a step is."""

    step: str
    done: float
    total: float
    what: str


@dataclass(frozen=True, kw_only=True)
class StepWarning:
    """What a step said that a person should know at once."""

    step: str | None
    """None where it was said between steps."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a run goes at one moment."""

    state: RunState
    steps: Mapping[str, StepRecord] = field(default_factory=dict)
    failure: Failure | None = None
    progress: Progress | None = None
    warnings: tuple[StepWarning, ...] = ()
    """All since the run was begun in this process, oldest first."""

    @classmethod
    def at(cls, record: Record, progress: Progress | None = None, warnings: tuple[StepWarning, ...] = ()) -> "Look":
        steps = {step.name: step for step in record.steps}
        return cls(state=record.state, steps=steps, failure=record.failure, progress=progress, warnings=warnings)


class Launcher(Protocol):
    """Carries out runs.

    Laws, tested over every launcher: a run that was launched ends; a second run of the same plan carries nothing out; what a
    cancelled or failed run lacks is all that its resumption does; looking changes nothing; logs outlive the run.
    """

    @property
    def name(self) -> str:
        """As records say it."""

    def launch(self, run: Run) -> None:
        """Begins the run, and does not wait for its end.

        Raises:
            ShoploopError: it cannot be begun; then nothing of it is left.
        """

    def look(self, run: Run) -> Look:
        """How the run goes, or went.

        Raises:
            NotFound: it was never launched.
        """

    def cancel(self, run: Run) -> None:
        """Ends the run; what is done is kept. One that has ended is left alone."""

    def resume(self, run: Run) -> None:
        """Goes on with a run that was cancelled or failed, under the same id; steps that are done are not done again."""

    def logs(self, run: Run) -> Iterator[str]:
        """What its steps have written, line by line; also after its end."""


class StepFailed(ShoploopError):
    """A run ended badly; the message is the failed step's own."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def follow(launcher: Launcher, run: Run, watch: Callable[[Event], None], *, every: float = 0.05) -> None:
    """Waits for the end of a run that was launched; ``watch`` hears of every change.

    Raises:
        StepFailed: with the failed step's name and message. What other steps have done is kept for the next run.
        KeyboardInterrupt: the run was cancelled first.
    """
    seen: Look | None = None
    try:
        while True:
            look = launcher.look(run)
            for event in changes(seen, look):
                watch(event)
            seen = look
            if look.state != "running":
                break
            time.sleep(every)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            with suppress(OSError, ValueError):  # a terminal that was closed ends a run, too, and takes no more words
                watch({"kind": "interrupted"})  # a step may take half a minute to end
        launcher.cancel(run)
        raise
    if look.failure is not None:
        raise StepFailed(_named(look.failure), look.failure.exit_code)
    if look.state != "done":
        raise StepFailed(f"Run {run.id} was {look.state}. What is done is kept; run it again to go on.", 1)


def _named(failure: Failure) -> str:
    """Why a run failed, with the step's name also where its own words lack it."""
    step = f"Step {failure.step}"
    return failure.message if failure.step is None or step in failure.message else f"{step} failed: {failure.message}"


def changes(before: Look | None, after: Look) -> Iterator[Event]:
    """What happened between two looks, in the order of the steps."""
    told = len(before.warnings) if before else 0
    warnings = [
        {"kind": "warning", "step": warning.step, "message": warning.message} for warning in after.warnings[told:]
    ]
    for name, step in after.steps.items():
        old = before.steps[name].state if before else "waiting"
        if old == "waiting" and step.state in ("running", "done", "failed"):
            yield {"kind": "started", "step": name}
        yield from (warning for warning in warnings if warning["step"] == name)
        if step.state == old:
            continue
        if step.state == "reused":
            yield {"kind": "reused", "step": name, "seconds": step.seconds}
        elif step.state == "done":
            yield {
                "kind": "finished", "step": name, "seconds": step.seconds, "peak_rss_bytes": step.peak_rss_bytes
            }  # fmt: skip
        elif step.state == "failed":
            yield {"kind": "failed", "step": name, "error": step.error}
    yield from (warning for warning in warnings if warning["step"] not in after.steps)
    if after.progress and (before is None or after.progress != before.progress):
        progress = after.progress
        yield {
            "kind": "progress",
            "step": progress.step,
            "done": progress.done,
            "total": progress.total,
            "what": progress.what,
        }
