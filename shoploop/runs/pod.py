"""Steps inside a pod: ``python -m shoploop.runs run --steps load_data,... --spec FILE --run ID --store URI``.

And, as ``python -m shoploop.runs source --data JSON``, whether there is anything new to run for; as ``gc``, ``online``
and ``serve``, what the operator, who reaches no store, wants done there.

The first pod of a run plans it, and those after it go on from that plan. Folders pass from pod to pod through the store;
where that is a mounted folder, steps write into it directly. A step whose key is in the store's index is not carried out
again, whichever run did it, and a pod that was killed begins at the step it was at. What came of it all stands in the run's
record, and in the container's termination message, which the operator reads.
"""

import argparse
import contextlib
import json
import logging
import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shoploop.api import parse
from shoploop.api.online import EventLogSpec
from shoploop.api.pod_result import DataSeen, PartDone, Result, StepsFailed, VersionMade, written
from shoploop.api.unbuilt import refuse_unbuilt
from shoploop.api.v1alpha1 import DataSpec, Recommender
from shoploop.compute.device import VARIABLE as DEVICE_VARIABLE
from shoploop.compute.device import asks_for
from shoploop.compute.memory import PeakMemory
from shoploop.errors import ShoploopError, SpecInvalid, StoreError
from shoploop.exits import guarded
from shoploop.runs import decisions
from shoploop.runs.finishing import break_off, finish
from shoploop.runs.planning import Plan, Run, open_plan, open_store, read_plan
from shoploop.runs.record import Failure, Journal
from shoploop.runs.step_log import OUTSIDE, kept_output, kept_text
from shoploop.steps import PRODUCER, STEPS, Workspace, run_step, settings_of
from shoploop.store import Store, layout
from shoploop.versions.keys import TRUSTED_KEYS
from shoploop.versions.removal import choose_versions, remove_version
from shoploop.versions.signing import Trust

log = logging.getLogger(__name__)

TERMINATION_LOG = "SHOPLOOP_TERMINATION_LOG"
"""Variable with the path of the container's termination message, where that is not Kubernetes' own."""

SERVING_ANNOTATION = "shoploop.io/serving"
"""On the Recommender that the operator hands to a run: the version that serves."""

LAUNCHER = "Jobs"
"""As records say it."""

DATA_ROOT = "folder that the tables' relative uris are counted from"

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


def _say(result: Result) -> None:
    """Leaves the container's termination message; outside a container there is no such file."""
    with contextlib.suppress(OSError):
        Path(os.environ.get(TERMINATION_LOG, "/dev/termination-log")).write_text(written(result), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    from shoploop.runs import studies

    parser = argparse.ArgumentParser(prog="python -m shoploop.runs", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="carry out steps of a run")
    run.add_argument("--steps", required=True, help=f"of {', '.join(STEPS)}")
    run.add_argument("--run", required=True, help="id of the run")
    run.add_argument(
        "--place", type=json.loads, help="where a run lies that was planned, as JSON, in the place of --spec"
    )
    run.add_argument("--due", help="key that the step was planned with")
    search = verbs.add_parser(studies.VERB, help="carry out a trial of a search of settings, or gather all")
    studies.add_options(search)
    for works in (run, search):
        works.add_argument("--spec", type=Path, required=works is search, help="the Recommender as JSON or YAML")
        works.add_argument("--store", help="URL that comes before the spec's store")
        works.add_argument("--data-root", type=Path, help=DATA_ROOT)
        works.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "shoploop")
    submit = verbs.add_parser("submit", help="hand a run over to Kubeflow Pipelines, and wait for its end")
    submit.add_argument("--spec", type=Path, required=True, help="the Recommender as JSON or YAML")
    submit.add_argument("--run", required=True, help="id of the run")
    submit.add_argument("--store", help="URL that comes before the spec's store")
    submit.add_argument("--token-file", type=Path, help="holds the token that the server is shown")
    source = verbs.add_parser("source", help="tell the digest of the data as they now are")
    source.add_argument("--data", required=True, help="the section data of the spec, as JSON")
    source.add_argument("--data-root", type=Path, help=DATA_ROOT)
    gc = verbs.add_parser("gc", help="remove stored versions beyond what is kept")
    gc.add_argument("--recommender", required=True)
    gc.add_argument("--store", required=True, help="URL of the store")
    gc.add_argument("--versions", type=int, required=True, help="newest ones that stay")
    gc.add_argument("--keep", action="append", default=[], help="a version that stays; may be given again")
    online = verbs.add_parser("online", help="write what a person decided about online learning into its chain")
    online.add_argument("--recommender", required=True)
    online.add_argument("--store", required=True, help="URL of the store")
    online.add_argument("--version", required=True, help="whose chain it is")
    online.add_argument("--verb", required=True, choices=["pin", "unpin", "rollback", "resume"], dest="action")
    online.add_argument("--to", type=int, help="number of a commit, for pin and rollback")
    online.add_argument("--reason", required=True)
    online.add_argument(
        "--by", required=True, help="who decided; one decision has one such word, however often it is tried"
    )
    compact = verbs.add_parser("compact", help="make interactions of what the event log has collected")
    compact.add_argument("--recommender", required=True)
    compact.add_argument("--store", required=True, help="URL of the store")
    compact.add_argument("--log", required=True, help="spec.online.log as JSON")
    compact.add_argument("--log-folder", required=True, type=Path, help="where a log of type Sqlite lies")
    compact.add_argument("--access", type=Path, help="folder with the log's username, password and ca.crt")
    decisions.add_options(verbs.add_parser("serve", help="write a decision about who serves into the store"))
    wanted = parser.parse_args(arguments)

    def opened() -> tuple[Recommender, Workspace]:
        recommender = parse(wanted.spec.read_text(), source=str(wanted.spec))
        refuse_unbuilt(recommender.spec, place="Cluster")
        recommender = at_root(recommender, wanted.data_root)
        work_of(wanted.work).mkdir(parents=True, exist_ok=True)
        store = open_store(recommender, wanted.store)
        return recommender, Workspace(store, recommender.metadata.name, work_of(wanted.work))

    def begun() -> tuple[Run, Workspace, str]:
        if wanted.place:
            from shoploop.runs.kubeflow.task import LAUNCHER as KUBEFLOW

            store = Store(wanted.place["store"]["uri"], options=wanted.place["store"].get("options") or {})
            workspace = Workspace(store, wanted.place["name"], work_of(wanted.work))
            return read_plan(layout.run(workspace.name, wanted.run), workspace).run, workspace, KUBEFLOW
        if wanted.spec is None:
            raise SpecInvalid("What is to be run? Name the Recommender by --spec, or where its run lies by --place.")
        recommender, workspace = opened()
        run = Run(id=wanted.run, recommender=recommender, serving=told_serving(recommender))
        return run, workspace, LAUNCHER

    def tune(**_: object) -> None:
        recommender, workspace = opened()
        try:
            studies.carry_out(wanted, workspace, recommender)
        except ShoploopError as error:
            _say(StepsFailed(error=type(error).__name__, message=str(error)))
            raise

    def carry_out(**_: object) -> None:
        names = wanted.steps.split(",")
        if unknown := [name for name in names if name not in STEPS]:
            raise SpecInvalid(f"Unknown steps: {', '.join(unknown)}. There are {', '.join(STEPS)}.")
        run, workspace, launcher = begun()
        pod: Pod | None = None
        signal.signal(signal.SIGTERM, end_gracefully)
        try:
            if is_companion():
                _say(accompany(run, workspace, names))
                return
            pod = Pod(run, workspace, launcher=launcher)
            if wanted.due:
                pod.expect(names[0], wanted.due)
            _say(pod.carry_out(names))
        except ShoploopError as error:
            _say(StepsFailed(error=type(error).__name__, message=str(error), source=pod.plan.source if pod else None))
            raise
        except Cancelled:
            raise SystemExit(128 + signal.SIGTERM) from None

    def hand_over(**_: object) -> None:
        from shoploop.runs.kubeflow.client import KubeflowClient
        from shoploop.runs.kubeflow.handing_over import HandedOver
        from shoploop.runs.launchers.kubeflow_pipelines import KubeflowPipelines

        recommender = parse(wanted.spec.read_text(), source=str(wanted.spec))
        signal.signal(signal.SIGTERM, end_gracefully)
        try:
            client = KubeflowClient(recommender.spec.runner.endpoint or "", token_file=wanted.token_file)
            launcher = KubeflowPipelines(client, open_store(recommender, wanted.store))
            run = Run(id=wanted.run, recommender=recommender, serving=told_serving(recommender))
            _say(HandedOver(launcher, run).carry())
        except ShoploopError as error:
            _say(StepsFailed(error=type(error).__name__, message=str(error)))
            raise
        except Cancelled:
            raise SystemExit(128 + signal.SIGTERM) from None

    def tell_source(**_: object) -> None:
        from shoploop.data import resolve_uris, source_digest

        try:
            data = DataSpec.model_validate_json(wanted.data)
            _say(DataSeen(source=source_digest(resolve_uris(data, wanted.data_root) if wanted.data_root else data)))
        except ShoploopError as error:
            _say(StepsFailed(error=type(error).__name__, message=str(error)))
            raise

    def collect(**_: object) -> None:
        named = dict.fromkeys(wanted.keep, "has a ModelVersion")
        store = Store(wanted.store)
        chosen = choose_versions(store, wanted.recommender, newest=wanted.versions, named=named)
        for version in chosen.removed:
            if remove_version(store, wanted.recommender, version, named=named):
                print(f"version {version} is removed", flush=True)
        print(f"{len(chosen.kept)} versions stay", flush=True)

    def decide(**_: object) -> None:
        from shoploop.online.chain import Chain

        chain = Chain(Store(wanted.store), wanted.recommender, wanted.version, keep=None)
        chain.refresh()
        if any(commit.by == wanted.by for commit in chain.commits):
            print("It is in the chain already.", flush=True)
            return
        commit = chain.decide(wanted.action, by=wanted.by, reason=wanted.reason, to=wanted.to)
        print(f"{wanted.action}: commit {commit.number} of {wanted.version}", flush=True)

    def serve(**_: object) -> None:
        print(f"{wanted.action}: {decisions.carry_out(wanted)}", flush=True)

    def compacted(**_: object) -> None:
        from shoploop.events.compaction import compact
        from shoploop.events.opening import open_log

        spec = EventLogSpec.model_validate_json(wanted.log)
        with open_log(spec, name=wanted.recommender, folder=wanted.log_folder, access=wanted.access) as opened:
            cut = compact(opened, Store(wanted.store), wanted.recommender)
        print(
            f"{cut.events:,} events up to record {cut.through:,} are interactions" if cut else "nothing new", flush=True
        )

    return guarded(
        {
            "run": carry_out,
            studies.VERB: tune,
            "submit": hand_over,
            "source": tell_source,
            "gc": collect,
            "online": decide,
            "serve": serve,
            "compact": compacted,
        }[wanted.verb]
    )


def end_gracefully(*_: object) -> None:
    """For SIGTERM: the record says that the run was cancelled."""
    raise Cancelled
