"""Runs on a server of Kubeflow Pipelines.

The server is handed a compiled pipeline and the run's parameters; plan, record, index and logs are in the store, as wherever
a run is carried out. What the server alone knows, and what it forgets, is put together here: it ends a terminated run as
FAILED, so who has asked for the end is kept beside the run; a pod that is killed writes no record, so it is written here.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import NotFound, ShoploopError, SpecInvalid
from shoploop.runs.kubeflow.answers import Experiment, KubeflowRun, PipelineVersion, RecurringRun, Task
from shoploop.runs.kubeflow.client import KubeflowClient
from shoploop.runs.kubeflow.errors import KubeflowFailed, KubeflowMissing, KubeflowRefused
from shoploop.runs.kubeflow.placement import check_submittable
from shoploop.runs.kubeflow.submission import begin, experiment_of, find, publish, recur
from shoploop.runs.kubeflow.task import LAUNCHER, run_page, settle
from shoploop.runs.launchers.launcher import Look
from shoploop.runs.launchers.this_machine import refuse_suspended
from shoploop.runs.planning import Run, keep_link, read_link
from shoploop.runs.record import Failure, Record, RunState, StepRecord, read_record
from shoploop.runs.refusals import refuse_early
from shoploop.shells import shells_folder
from shoploop.steps import STEPS
from shoploop.steps.parameters import PRESETS, arguments_of
from shoploop.store import Store

COMPILE_SECONDS = 120
END_SECONDS = 120
"""How long a cancelled run is waited for; its pods have thirty seconds of their own."""

POLL_SECONDS = 0.5

STATES: dict[str, RunState] = {"SUCCEEDED": "done", "FAILED": "failed", "CANCELED": "cancelled", "SKIPPED": "done"}
"""Others go on."""


class KubeflowPipelines:
    """Hands runs over to a server of Kubeflow Pipelines."""

    name = LAUNCHER

    def __init__(
        self,
        client: KubeflowClient,
        store: Store,
        *,
        compiled: Callable[[Recommender], str] | None = None,
        preset: str = "full",
        promotes: bool = False,
    ):
        """
        Args:
            store: The recommender's, as this machine reaches it.
            compiled: Compiles the pipeline of a recommender; unset, a process of its own does, which has kfp.
            preset: Of :data:`shoploop.steps.parameters.PRESETS`.
            promotes: Let a version that passes serve from now on.
        """
        self.client, self.store, self.preset, self.promotes = client, store, preset, promotes
        self.compiled = compiled or compiled_by_process

    def launch(self, run: Run) -> None:
        """See :class:`Launcher`.

        Raises:
            SpecInvalid: pods of Kubeflow cannot do what the spec asks for.
            KubeflowError: the server does not begin it.
        """
        refuse_suspended(run)
        check_submittable(run.recommender)
        refuse_early(run.recommender.spec)
        self._submit(run)

    def look(self, run: Run) -> Look:
        link = self._link(run)
        try:
            seen = self.client.run(link["job"])
        except KubeflowMissing:
            return self._gone(run, cancelled=link["cancelled"])
        record = self._record(run)
        state: RunState = STATES.get(seen.state, "running")
        if link["cancelled"] and state != "done":
            state = "cancelled"
        steps = steps_seen(seen) | ({step.name: step for step in record.steps} if record else {})
        failure = None
        if state == "failed":
            failure = (record.failure if record else None) or _failure(seen, link)
        return Look(state=state, steps=steps, failure=failure)

    def cancel(self, run: Run) -> None:
        link = self._link(run)
        if self.look(run).state != "running":
            return
        keep_link(self.store, run.key, link["job"], endpoint=self.client.endpoint, cancelled=True)
        with suppress(KubeflowMissing, KubeflowRefused):  # it has ended, or is gone, in between
            self.client.terminate(link["job"])
        self._await_end(link["job"])
        record = self._record(run)
        if record and record.state == "done":
            keep_link(self.store, run.key, link["job"], endpoint=self.client.endpoint)
        elif record and record.state != "cancelled":
            settle(self.store, record, "cancelled")

    def resume(self, run: Run) -> None:
        """See :class:`Launcher`; where the server has no such run any more, or cannot take it up, it begins another.

        Raises:
            NotFound: it was never launched.
        """
        link = self._link(run)
        try:
            self._await_end(link["job"])
            self.client.retry(link["job"])
        except (KubeflowMissing, KubeflowRefused, KubeflowFailed):
            self._submit(run)
            return
        keep_link(self.store, run.key, link["job"], endpoint=self.client.endpoint)

    def logs(self, run: Run) -> Iterator[str]:
        """What the steps have written that are over; the server has no logs to give."""
        from shoploop.runs.step_log import read_logs

        with suppress(NotFound):
            yield from read_logs(self.store, run.name, run.id)

    def job(self, run: Run) -> str:
        """The server's id of a run that was launched."""
        return str(self._link(run)["job"])

    def end(self, run: Run, job: str | None) -> None:
        """Ends a run that the store knows nothing of any more, and writes nothing there.

        Args:
            job: The server's id of it; unset: the one that it has under the run's name, if any.
        """
        if job is None and (there := self._found(run)):
            job = there.run_id
        if job is None:
            return
        with suppress(KubeflowMissing, KubeflowRefused):  # it has ended, or is gone
            self.client.terminate(job)
        self._await_end(job)

    def adopt(self, run: Run) -> bool:
        """Takes up a run that the server has begun though its answer got lost; False where it has none of that id."""
        there = self._found(run)
        if there is None:
            return False
        keep_link(self.store, run.key, there.run_id, endpoint=self.client.endpoint)
        return True

    def _found(self, run: Run) -> KubeflowRun | None:
        """The run that the server has of that id."""
        runner = run.recommender.spec.runner
        experiment = self.client.experiment_named(runner.experiment or run.name, runner.namespace or "")
        return find(self.client, experiment, run.id) if experiment else None

    def recur(self, run: Run, cron: str) -> RecurringRun:
        """Lets runs like this one begin by the server's clock; what recurred for the recommender before is replaced.

        Args:
            cron: Five fields, as in crontab, in UTC unless the server was told otherwise.
        """
        check_submittable(run.recommender)
        refuse_early(run.recommender.spec)
        version, experiment = self._made(run)
        given = arguments(run, preset=self.preset, promotes=self.promotes) | {"run": ""}  # each is given its own id
        account = run.recommender.spec.runner.service_account
        return recur(
            self.client, version, experiment, name=run.name, parameters=given, cron=cron, service_account=account
        )

    def _made(self, run: Run) -> tuple[PipelineVersion, Experiment]:
        """The pipeline's version and the experiment, made where they are not there."""
        runner = run.recommender.spec.runner
        namespace = runner.namespace or ""
        version = publish(
            self.client,
            run.name,
            self.compiled(run.recommender),
            description=f"The learning loop of {run.name}.",
            namespace=namespace,
        )
        return version, experiment_of(self.client, runner.experiment or run.name, namespace)

    def _submit(self, run: Run) -> None:
        version, experiment = self._made(run)
        begun = begin(
            self.client,
            version,
            experiment,
            name=run.id if find(self.client, experiment, run.id) is None else f"{run.id}-again",
            parameters=arguments(run, preset=self.preset, promotes=self.promotes),
            service_account=run.recommender.spec.runner.service_account,
        )
        keep_link(self.store, run.key, begun.run_id, endpoint=self.client.endpoint)

    def _link(self, run: Run) -> dict[str, Any]:
        link = read_link(self.store, run.key)
        if link is None:
            raise NotFound(f"Run {run.id} of {run.name!r} was not submitted to Kubeflow Pipelines.")
        return link

    def _record(self, run: Run) -> Record | None:
        try:
            found = read_record(self.store, run.key, run.id)
        except NotFound:
            return None
        return found if isinstance(found, Record) else None

    def _gone(self, run: Run, *, cancelled: bool) -> Look:
        """A run that the server has deleted: what the store says is all there is."""
        record = self._record(run)
        if record and record.state != "running":
            return Look.at(record)
        steps = {step.name: step for step in record.steps} if record else {}
        if cancelled:
            return Look(state="cancelled", steps=steps)
        message = (
            f"Somebody has deleted run {run.id} at {self.client.endpoint} before its end. What is done is kept; `shoploop "
            f"kubeflow resume -f FILE {run.id}` goes on from there."
        )
        return Look(state="failed", steps=steps, failure=Failure(message=message))

    def _await_end(self, job: str) -> None:
        until = time.monotonic() + END_SECONDS
        while time.monotonic() < until:
            try:
                if self.client.run(job).ended:
                    return
            except KubeflowMissing:
                return
            time.sleep(POLL_SECONDS)


def arguments(run: Run, *, preset: str = "full", promotes: bool = False) -> dict[str, Any]:
    """The values of the pipeline's parameters for a run."""
    document = run.recommender.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    document.pop("status", None)
    document["metadata"] = {"name": run.name}
    return {
        "recommender": document,
        "run": run.id,
        "promotes": promotes,
        **arguments_of(run.recommender.spec, preset),
    }


def steps_seen(run: KubeflowRun) -> dict[str, StepRecord]:
    """The steps of a run as the server tells them: of its many nodes only those that are steps."""
    nodes = run.run_details.task_details
    known = {name.replace("_", "-"): name for name in STEPS} | {step.says: step.name for step in STEPS.values()}
    found: dict[str, StepRecord] = {}
    for node in nodes:
        name = known.get(node.display_name)
        if name is None:
            continue
        # a step and its executor begin at the same moment; that is all that connects them
        cached = any(
            other.display_name == "executor" and other.state == "SKIPPED" and other.start_time == node.start_time
            for other in nodes
        )
        match node.state:
            case "SUCCEEDED":
                state = "reused" if cached else "done"
            case "FAILED" | "RUNNING":
                state = node.state.lower()
            case _:
                state = "waiting"
        found[name] = StepRecord.model_validate({"name": name, "state": state, "seconds": _seconds(node)})
    return {name: found[name] for name in STEPS if name in found}


def _seconds(node: Task) -> float:
    if node.start_time is None or node.end_time is None:
        return 0.0
    return max((node.end_time - node.start_time).total_seconds(), 0.0)


def _failure(run: KubeflowRun, link: dict[str, Any]) -> Failure:
    failed = [step for step in steps_seen(run).values() if step.state == "failed"]
    step = failed[0].name if failed else None
    what = f"Step {step} failed" if step else "The run failed before its first step, or somebody terminated it"
    detail = run.error.message if run.error and run.error.message else ""
    where = run_page(link["endpoint"], link["job"])
    return Failure(step=step, message=f"{what}{': ' + detail if detail else ''}. Its pods: {where}")


def compiled_by_process(recommender: Recommender) -> str:
    """The pipeline of a recommender as KFP's IR, compiled by a process of its own: the library does without kfp.

    Raises:
        SpecInvalid: pods of Kubeflow cannot do what it asks for.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "recommender.json", Path(folder) / "pipeline.yaml"
        source.write_text(recommender.model_dump_json(by_alias=True, exclude_none=True))
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.recommender", "-f", str(source), str(target)],
            cwd=shells_folder(),
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            timeout=COMPILE_SECONDS,
        )
        if done.returncode == SpecInvalid.exit_code:
            raise SpecInvalid(done.stderr.strip())
        if done.returncode or not target.is_file():
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise ShoploopError(
                f"The pipeline could not be compiled: {last}. It needs the extra shoploop[pipeline], which brings kfp."
            )
        return target.read_text()


def check_preset(name: str) -> None:
    if name not in PRESETS:
        raise SpecInvalid(f"There is no preset {name!r}; there are {', '.join(PRESETS)}.")
