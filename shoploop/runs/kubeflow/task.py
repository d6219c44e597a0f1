"""What a task of the pipeline does in its pod: as a pod of a Job does, with the run, its plan and its record in the store.

Folders pass from task to task through the recommender's store, where a run finds what others have done, and not through
Kubeflow's artifacts, which show people what came of a step. ``due`` names the step's work by its digest and the run that
does it or did it: so Kubeflow's own cache can stand in for a step only where the store has what the step wrote.
"""

import json
import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploop.errors import NotFound, ShoploopError
from shoploop.runs.kubeflow.placement import RUN_VARIABLE, check_submittable, hands_over
from shoploop.steps import STEPS, not_asked_for, run_step

if TYPE_CHECKING:
    from shoploop.report.step_facts import Classification

LAUNCHER = "Kubeflow Pipelines"
"""As records say it."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a task did, for Kubeflow's page."""

    metadata: dict[str, Any]
    metrics: dict[str, float]
    classification: "Classification | None" = None

    def show_classification(self, artifact: Any) -> None:
        """Gives the curve and the confusion of a step's classifier to an artifact ``ClassificationMetrics`` of KFP's; where
        the step judged by none, it stays empty."""
        found = self.classification
        if found is None:
            return
        if found.threshold:
            artifact.log_roc_curve(
                list(found.false_positive_rate), list(found.true_positive_rate), list(found.threshold)
            )
        if found.confusion:
            artifact.log_confusion_matrix(list(found.categories), [list(row) for row in found.confusion])


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A run that was planned."""

    run: str
    place: dict[str, Any]
    """Where the run lies: what :func:`carry_out` is given."""

    due: dict[str, str]
    """By step: the digest of what it does, and the run that does it or did it."""


def begin(document: Mapping[str, Any], arguments: Mapping[str, Any], *, run: str = "") -> Begun:
    """Plans a run, or takes up the plan of one that goes on, and begins its record.

    Args:
        document: The Recommender; its fields that are parameters are taken from ``arguments``.
        run: Its id; empty: one is made.

    Raises:
        SystemExit: a person has to change something first; what, stands in the log.
    """
    with _told():
        return _begun(document, arguments, run)


def _begun(document: Mapping[str, Any], arguments: Mapping[str, Any], run: str) -> Begun:
    from shoploop.api.places import relative_uris
    from shoploop.api.pods import DATA_MOUNT, store_uri
    from shoploop.runs.planning import Run, keep_link, new_run, open_plan, open_store, read_link
    from shoploop.runs.pod import at_root
    from shoploop.runs.record import Journal
    from shoploop.runs.refusals import refuse_early
    from shoploop.steps import Workspace
    from shoploop.steps.parameters import recommender_of

    recommender = recommender_of(document, arguments)
    check_submittable(recommender)
    spec = recommender.spec
    refuse_early(spec)
    if spec.data.claim and relative_uris(spec.data):
        recommender = at_root(recommender, Path(DATA_MOUNT))
    fresh = new_run(recommender)
    wanted = Run(id=run or fresh.id, recommender=recommender, serving=fresh.serving)
    store = open_store(recommender, store_uri(spec))
    workspace = Workspace(store, recommender.metadata.name, _work())
    plan = open_plan(wanted, workspace)
    job = os.environ.get(RUN_VARIABLE)
    if job:
        keep_link(store, wanted.key, job, endpoint=spec.runner.endpoint or "")
    endpoint = (read_link(store, wanted.key) or {}).get("endpoint") or spec.runner.endpoint
    link = run_page(endpoint, job) if job and endpoint else None
    Journal.begin(workspace, plan, launcher=LAUNCHER, link=link)
    place = {"name": recommender.metadata.name, "store": {"uri": store.uri, "options": store.options}}
    by = {step: plan.found[step].run if step in plan.found else wanted.id for step in STEPS}
    return Begun(run=wanted.id, place=place, due={step: f"{plan.keys[step]}@{by[step]}" for step in STEPS})


def carry_out(
    step: str,
    *,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Path],
    out: Path,
    place: Mapping[str, Any] | None = None,
    due: str = "",
    page: str | None = None,
    table: str | None = None,
) -> Done:
    """Carries out one step: in its run's pod on Kubeflow, or on its own where there is no ``place``.

    Args:
        settings, inputs, out: As :func:`shoploop.steps.run_step` takes them; with a place the plan and the store have
            them, and ``out`` is given the step's document alone.
        place: Where the run lies; empty for a step on its own.
        due: See :class:`Begun`.
        page: File for the step's report as HTML.
        table: File for what it came to, as Markdown.
    """
    if not place:
        run_step(step, settings=settings, inputs=inputs, out=out)
        return Done(metadata={}, metrics={})  # nobody looks
    with _told():
        folder = _in_its_run(step, place, due)
    return _shown(step, folder, place, due, out, page=page, table=table)


def publish(place: Mapping[str, Any], run: str, *, promotes: bool, page: str | None = None) -> Done:
    """Publishes the version, its package and its verdict, and ends the run's record.

    Args:
        promotes: Whether a version that passed is to serve from now on; else that is the operator's or a person's to say.
        page: File for the report of the whole run.
    """
    from shoploop.store import layout

    with _told():
        pod = _pod(place, run)
        made = pod.conclude(promotes=promotes)
        if page:
            shutil.copyfile(pod.workspace.path(layout.run_report(pod.run.key)), page)
    return Done(
        metadata={"version": made.version, "passed": made.passed, "reason": made.reason, "bento sha256": made.digest},
        metrics=dict(made.metrics),
    )


def record_end(document: Mapping[str, Any], *, run: str = "") -> str:
    """Sees to it that the record of a run that has ended says so, however it ended; returns what it says.

    A pod that was killed could not: its step stands there as running.
    """
    from shoploop.api.pods import store_uri
    from shoploop.api.v1alpha1 import Recommender
    from shoploop.runs.planning import find_linked, open_store
    from shoploop.runs.record import Record, read_record
    from shoploop.store import layout

    with _told():
        recommender = Recommender.model_validate(
            {"metadata": document.get("metadata", {}), "spec": {"data": {"dataset": "any"}, **document.get("spec", {})}}
        )
        name = recommender.metadata.name
        store = open_store(recommender, store_uri(recommender.spec))
        run = run or find_linked(store, name, os.environ.get(RUN_VARIABLE, "")) or ""
        if not run:
            return "No run was begun."
        try:
            record = read_record(store, layout.run(name, run), run)
        except NotFound:
            return f"Run {run} was not begun."
        if not isinstance(record, Record):
            return f"The record of run {run} cannot be read: {record.why}"
        if record.state == "running":
            settle(store, record, "failed")
            return f"Run {run} broke off."
        return f"Run {run} is {record.state}."


def run_page(endpoint: str, job: str) -> str:
    """Address of a run's page in Kubeflow's user interface, where that is served beside the API."""
    return f"{endpoint}/#/runs/details/{job}"


def settle(store: Any, record: Any, state: Any) -> None:
    """Ends the record of a run whose pods are gone without a word."""
    from datetime import UTC, datetime

    from shoploop.runs.record import Failure
    from shoploop.store import layout

    going = next((step.name for step in record.steps if step.state == "running"), None)
    what = f"Step {going}" if going else "The run"
    failure = Failure(
        step=going,
        message=f"{what} ended without a word: its pod was killed, or never began (out of memory? no such image?). "
        "Kubeflow's page of the run shows the pod; what is done is kept.",
    )
    ended = {"state": state, "ended": datetime.now(UTC).replace(microsecond=0)}
    if state == "failed":
        steps = tuple(
            step.model_copy(update={"state": "failed", "error": failure.message}) if step.name == going else step
            for step in record.steps
        )
        ended |= {"failure": failure, "steps": steps}
    settled = record.model_copy(update=ended)
    key = layout.run_record(layout.run(record.name, record.run))
    store.put(key, settled.model_dump_json(indent=1).encode())


def _in_its_run(step: str, place: Mapping[str, Any], due: str) -> Path:
    """The folder that the step has written, now or before."""
    from shoploop.runs.planning import find_done

    key, _, run = due.partition("@")
    workspace = _workspace(place)
    entry = find_done(workspace, key, run)
    if entry is None:
        pod = _pod(place, run)
        with pod.recorded():
            pod.expect(step, key)
        spec = pod.run.recommender.spec
        # whose task waits is too small to do the work itself
        if hands_over(spec, step) and step not in not_asked_for(spec):
            _handed_over(step, place, run, key, pod.run.recommender)
        else:
            pod.carry_out([step], finishes=False)
        entry = workspace.index.find(key)
        if entry is None:
            raise ShoploopError(
                f"Step {step} of run {run} ended well, and the store has nothing that it wrote. Run again."
            )
    else:
        print(f"{step}: unchanged, reused of run {entry.run}", flush=True)
    found: Path = workspace.output(entry)
    return found


def _handed_over(step: str, place: Mapping[str, Any], run: str, key: str, recommender: Any) -> None:
    """Several machines carry the step out; how that ends badly, the record says."""
    from shoploop.runs.kubeflow.together import hand_over
    from shoploop.runs.pod import Cancelled

    try:
        hand_over(recommender, step, place=place, run=run, key=key)
    except (ShoploopError, Cancelled) as error:
        pod = _pod(place, run)  # the record as the machines have left it
        with pod.recorded():
            if isinstance(error, ShoploopError):
                pod.journal.step(step, state="failed", error=str(error))
            raise


def _shown(
    step: str, folder: Path, place: Mapping[str, Any], due: str, out: Path, *, page: str | None, table: str | None
) -> Done:
    """Gives Kubeflow's page what there is to see of a step; its rows stay in the store."""
    from shoploop.report.step_facts import document_of, facts, step_page

    document = document_of(step, folder)
    key, _, run = due.partition("@")
    entry = _workspace(place).index.find(key)
    lies = f"{place['store']['uri']}/{entry.folder}" if entry else ""
    metadata = {"step": step, "digest": key, "run": run, "store": lies}
    found = facts(step, document)
    out.mkdir(parents=True, exist_ok=True)
    (out / "step.json").write_text(json.dumps(metadata | {"document": document}, indent=1) + "\n")
    if page:
        Path(page).parent.mkdir(parents=True, exist_ok=True)
        Path(page).write_text(step_page(step, folder, title=f"{place['name']}: {STEPS[step].says}"), encoding="utf-8")
    if table:
        Path(table).parent.mkdir(parents=True, exist_ok=True)
        Path(table).write_text(found.markdown, encoding="utf-8")
    return Done(metadata=metadata | found.metadata, metrics=found.metrics, classification=found.classification)


def _pod(place: Mapping[str, Any], run: str) -> Any:
    from shoploop.runs.planning import read_plan
    from shoploop.runs.pod import Pod
    from shoploop.store import layout

    workspace = _workspace(place)
    plan = read_plan(layout.run(place["name"], run), workspace)
    return Pod(plan.run, workspace, launcher=LAUNCHER)


def _workspace(place: Mapping[str, Any]) -> Any:
    from shoploop.steps import Workspace
    from shoploop.store import Store

    store = place["store"]
    return Workspace(Store(store["uri"], options=store.get("options") or {}), place["name"], _work())


def _work() -> Path:
    return Path(tempfile.gettempdir()) / "shoploop"


@contextmanager
def _told() -> Iterator[None]:
    """A named error is a sentence in the pod's log, not a traceback; a pod that is told to end says so in the record."""
    from shoploop.runs.pod import Cancelled, end_gracefully

    before = signal.signal(signal.SIGTERM, end_gracefully)
    try:
        yield
    except ShoploopError as error:
        if os.environ.get("SHOPLOOP_DEBUG"):
            traceback.print_exc()
        print(f"shoploop: {error}", flush=True)
        raise SystemExit(error.exit_code) from None
    except Cancelled:
        raise SystemExit(128 + signal.SIGTERM) from None
    finally:
        signal.signal(signal.SIGTERM, before)
