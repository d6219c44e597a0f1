"""Steps inside a pod: planned by the first pod of a run, kept in the store, told in the run's record.

The first pod of a run plans it, and those after it go on from that plan. Folders pass from pod to pod through the store;
where that is a mounted folder, steps write into it directly. A step whose key is in the store's index is not carried out
again, whichever run did it, and a pod that was killed begins at the step it was at. It must not know how a pod is asked
(:mod:`shoploop.runs.pod_verbs`).
"""

import contextlib
import logging
import os
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shoploop.api.pod_result import PartDone, Result, VersionMade
from shoploop.api.v1alpha1 import Recommender
from shoploop.compute.device import VARIABLE as DEVICE_VARIABLE
from shoploop.compute.device import asks_for
from shoploop.compute.memory import PeakMemory
from shoploop.errors import ShoploopError, StoreError
from shoploop.runs.finishing import break_off, finish
from shoploop.runs.planning import Plan, Run, open_plan
from shoploop.runs.record import Failure, Journal
from shoploop.runs.step_log import OUTSIDE, kept_output, kept_text
from shoploop.steps import PRODUCER, STEPS, Workspace, run_step, settings_of
from shoploop.store import layout
from shoploop.versions.keys import TRUSTED_KEYS
from shoploop.versions.signing import Trust

log = logging.getLogger(__name__)

SERVING_ANNOTATION = "shoploop.io/serving"
"""On the Recommender that the operator hands to a run: the version that serves."""

LAUNCHER = "Jobs"
"""As records say it."""

SAMPLE_SECONDS = 1.0
"""Between two looks at memory: they take time from the step, which is in this process."""


class Cancelled(BaseException):
    """Somebody asked the pod to end."""


class Pod:
    """This pod's share of a run."""

    def __init__(self, run: Run, workspace: Workspace, *, launcher: str = LAUNCHER):
        self.run, self.workspace = run, workspace
        self.plan = open_plan(run, workspace)
        self.journal = Journal.begin(workspace, self.plan, launcher=launcher)
        self.membership = self.plan.membership(workspace)
        self._step_now: str | None = None
        """Whose output is not in the store yet."""

    def carry_out(self, names: list[str], *, finishes: bool = True) -> Result:
        """Carries out those of the named steps that are due; with the last step of all, finishes the run.

        Args:
            finishes: False where somebody else is to :meth:`conclude`.

        Returns:
            What came of the run, or that more steps are to come.
        """
        with self.recorded():
            for name in names:
                self._step(name)
            if names[-1] != self.run.steps[-1] or not finishes:
                return PartDone()
            return self._finished(promotes=False)

    def expect(self, name: str, key: str) -> None:
        """Makes sure that a step is what somebody else has planned.

        Args:
            key: The step's, as it was planned.

        Raises:
            ShoploopError: this image's code would do something else.
        """
        if self.plan.keys[name] != key:
            raise ShoploopError(
                f"Step {name} of run {self.run.id} was planned by other code than this image's. Let all images of "
                "spec.runner be of one release, and run again."
            )

    def conclude(self, *, promotes: bool) -> VersionMade:
        """Finishes the run, whose steps are all done.

        Args:
            promotes: Whether a version that passed is to serve from now on.
        """
        with self.recorded():
            return self._finished(promotes=promotes)

    def _finished(self, *, promotes: bool) -> VersionMade:
        return finish(self.workspace, self.plan, self.journal, promotes=promotes, trust=self.trust())

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """However it ends, the record says so."""
        try:
            yield
        except Cancelled:  # there is no time for a page
            self.journal.end("cancelled")
            self._keep_log()
            raise
        except Exception as error:
            step = next((step.name for step in self.journal.record.steps if step.state == "failed"), None)
            message, exit_code = str(error), 1
            if isinstance(error, ShoploopError):
                exit_code = error.exit_code
                self._keep_log(f"{type(error).__name__}: {error}\n")
            else:
                self._keep_log(traceback.format_exc())
                what = f"Step {step}" if step else "The run"
                log_of = f"shoploop runs {self.run.name} --log {self.run.id}"
                message = f"{what} broke off with {type(error).__name__}: {error}. This is a bug; `{log_of}` tells more"
            failure = Failure(step=step, message=message, exit_code=exit_code)
            left = self._out(step) if step else None
            break_off(self.workspace, self.plan, self.journal, "failed", failure, left=left)
            raise

    def trust(self) -> Trust:
        """Whose signatures count: as the operator says now, else as the spec said when the run began."""
        return Trust.configured(None if os.environ.get(TRUSTED_KEYS) else self.run.recommender.spec.signing)

    def _step(self, name: str) -> None:
        if name in self.plan.found:
            print(f"{name}: unchanged, reused", flush=True)
            return
        step, out = STEPS[name], self._out(name)
        inputs = inputs_of(name, self.plan, self.workspace)
        if name == "evaluate_model" and self.plan.incumbent:
            inputs["incumbent"] = self.workspace.incumbent(self.plan.incumbent, self.trust())
        if name == "load_data" and self.plan.collected:
            inputs["collected"] = self.workspace.collected(self.plan.collected)
        shutil.rmtree(out, ignore_errors=True)  # what a killed pod left half written
        settings = settings_in(name, self.plan)
        print(f"{name}: {step.says}", flush=True)
        self.journal.step(name, state="running")
        self._step_now = name
        with kept_output(self._output(name)), PeakMemory(SAMPLE_SECONDS) as memory:
            try:
                run_step(name, settings=settings, inputs=inputs, out=out, run=self.membership)
            except Exception as error:
                self.journal.step(name, state="failed", error=str(error), peak_rss_bytes=memory.taken())
                raise
            self.plan = self.plan.seen_again(self.workspace)
            seconds = self.plan.found[name].seconds
            self.journal.step(name, state="done", seconds=seconds, peak_rss_bytes=memory.taken())
        self._keep_log()
        print(f"{name}: done in {seconds:.1f} s", flush=True)

    def _keep_log(self, last: str = "") -> None:
        """Puts what the step of now has written beside the run; that it cannot be put must not end the run."""
        step, self._step_now = self._step_now or OUTSIDE, None
        try:
            if text := kept_text(self._output(step), last):
                self.workspace.store.put(layout.step_log(self.run.key, step), text)
        except (OSError, StoreError) as error:
            log.warning("What %s has written is not kept in the store: %s", step, error)

    def _output(self, step: str) -> Path:
        """A file of this pod for what a step writes."""
        folder = self.workspace.path(layout.temporary(self.run.name))
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self.run.id}-{step}.txt"

    def _out(self, name: str) -> Path:
        return self.workspace.path(layout.outputs(self.run.name, self.run.id)) / STEPS[name].output


def inputs_of(name: str, plan: Plan, workspace: Workspace) -> dict[str, Path]:
    """The folders of earlier steps that a step of a run reads, on this machine."""
    found = {}
    for output in STEPS[name].inputs:
        entry = plan.found.get(PRODUCER[output])
        if entry is None:
            raise ShoploopError(f"Run {plan.run.id} has no {output!r} yet: its step must come before this one.")
        found[output] = workspace.output(entry)
    return found


def settings_in(name: str, plan: Plan) -> dict[str, Any]:
    """A step's settings in a run; the device that it is to use is said to this process."""
    spec, step = plan.run.recommender.spec, STEPS[name]
    os.environ[DEVICE_VARIABLE] = asks_for(spec.training.resources.gpu if step.gpu else 0)
    return settings_of(spec, step) | ({"parent": plan.incumbent} if name == "train_fused" else {})


def is_companion() -> bool:
    """Whether this process is one of several that carry a step out together (``runs/together.py``), and not the first."""
    return os.environ.get("RANK", "0") != "0"


def work_of(folder: Path) -> Path:
    """The folder of this process: of several on one machine each has its own."""
    local = os.environ.get("LOCAL_RANK", "0")
    return folder if local == "0" else folder / f"process-{local}"


def accompany(run: Run, workspace: Workspace, names: list[str]) -> Result:
    """Takes part in steps that the first process records: nothing of what is made here is kept."""
    plan = open_plan(run, workspace)
    for name in names:
        if name in plan.found:
            continue
        settings, inputs = settings_in(name, plan), inputs_of(name, plan, workspace)
        with tempfile.TemporaryDirectory() as aside:
            run_step(name, settings=settings, inputs=inputs, out=Path(aside))
    return PartDone()


def at_root(recommender: Recommender, root: Path | None) -> Recommender:
    """The same with its tables' relative uris counted from ``root``."""
    from shoploop.data import resolve_uris

    if root is None:
        return recommender
    spec = recommender.spec
    return recommender.model_copy(update={"spec": spec.model_copy(update={"data": resolve_uris(spec.data, root)})})


def told_serving(recommender: Recommender) -> str | None:
    """The version that serves, where the operator says so: on a cluster it promotes, and does not reach the store."""
    annotations = (recommender.metadata.model_extra or {}).get("annotations") or {}
    return annotations.get(SERVING_ANNOTATION)


def end_gracefully(*_: object) -> None:
    """For SIGTERM: the record says that the run was cancelled."""
    raise Cancelled
