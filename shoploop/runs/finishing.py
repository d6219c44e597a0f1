"""What is kept of a run: its outputs in one folder, the version in the store, the report; and what is no longer needed."""

import json
import logging
import math
import shutil
from dataclasses import replace
from pathlib import Path

from shoploop.api.pod_result import Incumbent, VersionMade, written
from shoploop.runs.planning import Plan
from shoploop.runs.record import Failure, Journal, RunState
from shoploop.steps import STEPS, Workspace
from shoploop.store import Store, disk, layout
from shoploop.versions.signing import Trust, signer_for

log = logging.getLogger(__name__)


def finish(workspace: Workspace, plan: Plan, journal: Journal, *, promotes: bool, trust: Trust) -> VersionMade:
    """Collects the outputs in the run's folder, publishes the version and its Bento, records the verdict, and reports.

    Args:
        promotes: Whether a version that passed, or the pinned one, is to serve from now on (:func:`let_serve` says when it
            does not all the same); on a cluster that is the operator's to say.
        trust: Whose signatures count.

    Raises:
        KeyUnusable, KeyUntrusted: signatures are required, and nobody here can give one; nothing was published.
    """
    from shoploop.runs import lineage
    from shoploop.runs.letting_serve import let_serve

    plan = plan.seen_again(workspace)
    folder = collect(workspace, plan)
    result = publish(workspace.store, plan, folder, trust)
    workspace.store.put(layout.run_result(plan.run.key), written(result).encode())
    waits = let_serve(workspace.store, plan, result, trust=trust) if promotes else None
    journal.end("done", version=result.version, passed=result.passed, reason=result.reason, waits=waits)
    lineage.keep(workspace, plan, journal.record)
    write_report(workspace, plan.run.key)
    prune(workspace, plan, versions=promotes)
    return result


def break_off(
    workspace: Workspace, plan: Plan, journal: Journal, state: RunState, failure: Failure | None = None, *,
    left: Path | None = None,
) -> None:  # fmt: skip
    """Ends the record of a run that did not reach its end, and writes its page all the same.

    Args:
        left: What the failed step had written, such as failing rows.
    """
    from shoploop.runs import lineage

    journal.end(state, failure=failure)
    try:
        folder = collect(workspace, plan.seen_again(workspace))
        if failure and failure.step and left and left.is_dir():
            disk.link_tree(left, folder / STEPS[failure.step].output)
        write_report(workspace, plan.run.key)
        lineage.keep(workspace, plan.seen_again(workspace), journal.record)
    except Exception:  # a page that cannot be written must not hide why the run ended
        log.warning("The report of a run that broke off cannot be written.", exc_info=True)


def collect(workspace: Workspace, plan: Plan) -> Path:
    """Brings into the run's folder what its steps have written, also those that were reused; returns the folder."""
    folder = workspace.path(plan.run.key)
    for name, entry in plan.found.items():
        target = folder / STEPS[name].output
        shutil.rmtree(target, ignore_errors=True)  # what an attempt left that failed
        # links: a run keeps its files when the work is pruned, at no cost in space
        disk.link_tree(workspace.output(entry), target)
    return folder


def publish(store: Store, plan: Plan, folder: Path, trust: Trust) -> VersionMade:
    """Puts the version, its Bento and its verdict of the run in ``folder`` into the store, the verdict last.

    A refused version is published too, so that it can be looked at and promoted by hand; it does not serve. Both are
    signed where a key is configured.

    Raises:
        KeyUnusable, KeyUntrusted: signatures are required, and nobody here can give one; nothing was written.
    """
    from shoploop.packaging.bento import REPORT, bento_digest, publish_bento
    from shoploop.versions import promotions
    from shoploop.versions.verdicts import answers, falls_back, read_verdict, record_verdict

    signer = signer_for(trust)
    name = plan.run.name
    version = promotions.publish_version(store, name, folder / "model", signer=signer)
    gate = folder / "gate" / "gate.json"
    verdict = read_verdict(gate.read_bytes(), gate)
    digest = None
    if not verdict.passed and falls_back(store, name, version):
        # it may serve, and what packed it as refused does not say what its model must not answer
        digest = bento_digest(store, name, version)
    digest = digest or publish_bento(store, name, version, folder / "bento", signer=signer)
    record_verdict(store, name, version, verdict, run=plan.run.id)
    code = json.loads((folder / "bento" / REPORT).read_bytes()).get("code")
    measured = json.loads((folder / "evaluation" / "evaluation.json").read_bytes())["methods"]["fused"].items()
    seen = verdict.model_dump().get("incumbent")
    return VersionMade(
        version=version,
        parent=plan.incumbent,
        source=plan.source,
        metrics={key: value for key, value in measured if isinstance(value, float) and math.isfinite(value)},
        rule=verdict.rule,
        passed=verdict.passed,
        reason=verdict.reason,
        incumbent=Incumbent(**seen) if seen else None,
        answers=answers(verdict),
        digest=digest,
        code=code,
    )


def write_report(workspace: Workspace, key: str) -> None:
    """Writes the report of a run, and brings what people look at into a store that is no folder."""
    from shoploop import report

    folder = workspace.path(key)
    report.build(folder)
    if workspace.store.folder is None:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".json", ".html", ".txt"} and path.is_file():
                workspace.store.put_file(f"{key}/{path.relative_to(folder).as_posix()}", path)


def prune(workspace: Workspace, plan: Plan, *, versions: bool) -> None:
    """Removes what spec.retention lets go.

    Args:
        versions: Also versions; on a cluster that is the operator's to ask for, which knows what serves.
    """
    from shoploop.runs.retention import choose, remove

    spec = plan.run.recommender.spec
    pinned = spec.serving.pinned_version
    named = {plan.incumbent: "was compared with the last one"} if plan.incumbent else {}
    named |= {pinned: "is pinned"} if pinned else {}
    past = choose(workspace, spec.retention, named=named)
    if not versions:
        past = replace(past, versions=())
    remove(workspace, past, named=named)
