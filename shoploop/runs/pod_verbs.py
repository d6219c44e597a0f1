"""What is asked of a pod: ``python -m shoploop.runs run --steps load_data,... --spec FILE --run ID --store URI``.

And, as ``python -m shoploop.runs renew``, a whole renewal; as ``source --data JSON``, whether there is anything new to run
for; as ``gc``, ``online`` and ``serve``, what the operator, who reaches no store, wants done there. What came of it stands in
the container's termination message, which the operator reads.
"""

import argparse
import contextlib
import json
import os
import signal
import tempfile
from pathlib import Path

from shoploop.api import parse
from shoploop.api.online import EventLogSpec
from shoploop.api.pod_result import DataSeen, Result, StepsFailed, written
from shoploop.api.unbuilt import refuse_unbuilt
from shoploop.api.v1alpha1 import DataSpec, Recommender
from shoploop.errors import ShoploopError, SpecInvalid
from shoploop.exits import guarded
from shoploop.runs import decisions, studies
from shoploop.runs.planning import Run, open_store, read_plan
from shoploop.runs.pod import (
    LAUNCHER,
    Cancelled,
    Pod,
    accompany,
    at_root,
    end_gracefully,
    is_companion,
    told_serving,
    work_of,
)
from shoploop.runs.refusals import refuse_early
from shoploop.steps import STEPS, Workspace
from shoploop.store import Store, layout
from shoploop.versions.removal import choose_versions, remove_left, remove_version

TERMINATION_LOG = "SHOPLOOP_TERMINATION_LOG"
"""Variable with the path of the container's termination message, where that is not Kubernetes' own."""

DATA_ROOT = "folder that the tables' relative uris are counted from"


def _say(result: Result) -> None:
    """Leaves the container's termination message; outside a container there is no such file."""
    with contextlib.suppress(OSError):
        Path(os.environ.get(TERMINATION_LOG, "/dev/termination-log")).write_text(written(result), encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
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
    renew = verbs.add_parser("renew", help="bring the version that serves up to date, without training")
    renew.add_argument("--run", required=True, help="id of the renewal")
    for works in (run, search, renew):
        works.add_argument("--spec", type=Path, required=works is not run, help="the Recommender as JSON or YAML")
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
        refuse_early(recommender.spec)
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

    def renewed(**_: object) -> None:
        from shoploop.runs.renewing_pod import RenewingPod

        recommender, workspace = opened()
        pod: RenewingPod | None = None
        signal.signal(signal.SIGTERM, end_gracefully)
        try:
            pod = RenewingPod(wanted.run, recommender, workspace)
            _say(pod.carry_out())
        except ShoploopError as error:
            _say(StepsFailed(error=type(error).__name__, message=str(error), source=pod.source if pod else None))
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
            # the store's authority, which the pod trusts in the place of others, says nothing of who Kubeflow is
            of_store = os.environ.get("SSL_CERT_FILE")
            client = KubeflowClient(
                recommender.spec.runner.endpoint or "",
                token_file=wanted.token_file,
                beside=Path(of_store) if of_store else None,
            )
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
        for version in chosen.left:
            if remove_left(store, wanted.recommender, version):
                print(f"what is left of version {version} is removed", flush=True)
        print(f"{len(chosen.kept)} versions stay", flush=True)

    def decide(**_: object) -> None:
        from shoploop.packaging.races import chain_of

        chain = chain_of(Store(wanted.store), wanted.recommender, wanted.version)
        chain.refresh()
        if wanted.by in chain.deciders:
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
            "renew": renewed,
            studies.VERB: tune,
            "submit": hand_over,
            "source": tell_source,
            "gc": collect,
            "online": decide,
            "serve": serve,
            "compact": compacted,
        }[wanted.verb]
    )
