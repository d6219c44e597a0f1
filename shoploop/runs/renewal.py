"""A renewal: the version that serves, brought up to date with all that is known of users and items, without training.

Its first steps are those of a run, with the same reuse. Then the weights of the version get what these say, the whole is
packaged, published and promoted in the place of the one it renews. It is kept as a run is, in the same list. The gate does
not judge it: of the weights it has judged already, and an incumbent is measured as renewed, too. docs/decisions/0117.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from shoploop.api.pod_result import VersionMade, written
from shoploop.compute.memory import PeakMemory
from shoploop.errors import NotFound, ShoploopError, UserError
from shoploop.runs.finishing import prune, write_report
from shoploop.runs.planning import Plan, Run, keep_plan, read_plan
from shoploop.runs.record import RENEW, Failure, Journal, Record, StepRecord, read_record
from shoploop.steps import STEPS, Workspace
from shoploop.store import disk, layout
from shoploop.training.renewal import NothingToRenew, Renewed, renew_model
from shoploop.versions.signing import Trust, signer_for
from shoploop.versions.verdicts import FALLS_BACK, Verdict, answers, falls_back, latest_verdict, record_verdict

PACKAGE = "build_bento"
SAYS = {
    RENEW: "Bring what the version knows of users and items up to date",
    PACKAGE: STEPS[PACKAGE].says,
}


OF_WEIGHTS = "of_weights"
"""In a renewal's verdict: what the gate said of the version whose weights it has."""


class Pinned(UserError):
    """Somebody has decided which version serves, or tries one beside it."""


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """What became of one."""

    run: str
    renewed: Renewed
    made: VersionMade
    promoted: bool
    """Whether it serves from now on; not where somebody has decided otherwise meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The version to renew, as it was when that was decided."""

    version: str
    after: int
    """Number of the promotion that let it serve."""


def serving_version(workspace: Workspace, *, pinned: str | None, told: str | None = None) -> Serving:
    """The version to renew.

    Args:
        workspace: Of the recommender.
        pinned: spec.serving.pinnedVersion.
        told: The one that serves, by the word of somebody who knows better than the store, and has seen that it may be
            renewed: on a cluster the operator's.

    Raises:
        NotFound: none serves.
        Pinned: the spec names the one that is to serve, or a candidate is tried beside it.
    """
    from shoploop.versions import candidacy, promotions

    store, name = workspace.store, workspace.name
    history = promotions.promotions(store, name)
    if told:
        return Serving(version=told, after=history[-1].number if history else 0)
    if not history:
        raise NotFound(f"No version of {name!r} serves yet, so none can be renewed. `shoploop run` makes the first.")
    if pinned:
        raise Pinned(
            f"spec.serving.pinnedVersion names {pinned}, and a renewal would serve in its place. Remove the pin, or leave it."
        )
    if (now := candidacy.current(store, name)) is not None:
        raise Pinned(
            f"{now.version} is being tried beside {history[-1].version}: a renewal would change what it is compared with. "
            f"Wait until that is decided, or end it: `shoploop candidate {name} --end`."
        )
    return Serving(version=history[-1].version, after=history[-1].number)


def renew(
    workspace: Workspace,
    begun: Run,
    serving: Serving,
    *,
    trust: Trust,
    promotes: bool = True,
    tell: Callable[[dict[str, Any]], None] = lambda event: None,
) -> Renewal:
    """Makes and publishes the renewal of a version, and lets it serve.

    Args:
        workspace: Of the recommender.
        begun: A run up to :data:`~shoploop.runs.record.LAST_SHARED` that is done.
        serving: What to renew.
        trust: Whose signatures count.
        promotes: Whether it is to serve from now on; on a cluster that is the operator's to say.
        tell: Told of its own steps, as who watches a run is.

    Raises:
        NothingToRenew, DataOlder, ContractMismatch: see :func:`~shoploop.training.renewal.renew_model`.
        KeyUnusable, KeyUntrusted: signatures are required, and nobody here can give one; nothing was published.
        ArtifactError: the version that serves must not be used.
    """
    from shoploop.packaging.bento import build_bento

    signer_for(trust)  # better now than when all is packaged
    plan = read_plan(begun.key, workspace)
    own = Run(id=begun.id, recommender=begun.recommender)
    folder = workspace.path(own.key)
    shutil.rmtree(folder, ignore_errors=True)
    for name in begun.steps:
        entry = plan.found.get(name)
        output = workspace.output(entry) if entry else None
        if output is None or not output.is_dir():
            raise NotFound(f"What the step {name} has written for this renewal was removed meanwhile. Renew again.")
        disk.link_tree(output, folder / STEPS[name].output)
    keep_plan(replace(plan, run=own), workspace)
    journal = _journal(workspace, begun, own, serving.version)
    try:
        parent = workspace.incumbent(serving.version, trust)
        fallen = falls_back(workspace.store, workspace.name, serving.version)
        with _timed(journal, RENEW, tell):
            renewed = renew_model(
                data=folder / "data", features=folder / "features", parent=parent, out=folder / "model"
            )
        with _timed(journal, PACKAGE, tell):
            spec = own.recommender.spec
            build_bento(
                data=folder / "data",
                features=folder / "features",
                model=folder / "model",
                out=folder / "bento",
                serving_spec=spec.serving,
                max_age_days=spec.gate.max_age_days,
                falls_back=fallen,
            )
        made = _publish(workspace, plan, own, renewed, fallen, trust)
    except NothingToRenew:  # no renewal: it is in no list
        _forget(workspace, own)
        raise
    except BaseException as error:
        _fail(workspace, own, journal, error)
        raise
    # before it serves, so that what serves is always found in the list
    journal.end("done", version=made.version, passed=made.passed, reason=made.reason)
    serves = promotes and _promote(workspace, own, serving, made, trust)
    _keep_lineage(workspace, plan, own, journal.record)
    write_report(workspace, own.key)
    prune(workspace, plan, versions=promotes)
    return Renewal(run=own.id, renewed=renewed, made=made, promoted=serves)


def _forget(workspace: Workspace, own: Run) -> None:
    shutil.rmtree(workspace.path(own.key), ignore_errors=True)
    workspace.store.delete_folder(own.key)


def _fail(workspace: Workspace, own: Run, journal: Journal, error: BaseException) -> None:
    """Ends the record of one that came to nothing; what was made of it goes."""
    step = next((step.name for step in journal.record.steps if step.state == "running"), None)
    if not isinstance(error, Exception):
        journal.end("cancelled")
    else:
        code = error.exit_code if isinstance(error, ShoploopError) else 1
        if step:
            journal.step(step, state="failed", error=str(error))
        journal.end("failed", failure=Failure(step=step, message=str(error), exit_code=code))
    for made in ("model", "bento"):
        shutil.rmtree(workspace.path(own.key) / made, ignore_errors=True)


def _publish(
    workspace: Workspace, plan: Plan, own: Run, renewed: Renewed, fallen: dict[str, str], trust: Trust
) -> VersionMade:
    """Puts the version, its Bento and what the gate said of its weights into the store, the latter last."""
    from shoploop.packaging.bento import REPORT, publish_bento
    from shoploop.versions import promotions

    store, name, folder = workspace.store, workspace.name, workspace.path(own.key)
    signer = signer_for(trust)
    version = promotions.publish_version(store, name, folder / "model", signer=signer)
    digest = publish_bento(store, name, version, folder / "bento", signer=signer)
    judged = latest_verdict(store, name, renewed.parent)
    # of a renewal that is renewed: what the gate said, and not what was said of that
    said = (judged.model_dump().get(OF_WEIGHTS) or judged.reason) if judged else "nothing"
    known = f"It has the weights of {renewed.weights_of} and knows what was up to {renewed.through}"
    about: dict[str, Any] = {OF_WEIGHTS: said} | ({FALLS_BACK: fallen} if fallen else {})
    verdict = Verdict(
        passed=judged.passed if judged else True,
        rule=judged.rule if judged else "Always",
        reason=f"{known}. Of the weights the gate said: {said}",
        **about,
    )
    record_verdict(store, name, version, verdict)
    made = VersionMade(
        version=version,
        parent=renewed.parent,
        source=plan.source,
        metrics={},
        rule=verdict.rule,
        passed=verdict.passed,
        reason=verdict.reason,
        answers=answers(verdict),
        digest=digest,
        code=json.loads((folder / "bento" / REPORT).read_bytes()).get("code"),
    )
    store.put(layout.run_result(own.key), written(made).encode())
    return made


def _promote(workspace: Workspace, own: Run, serving: Serving, made: VersionMade, trust: Trust) -> bool:
    """Lets it serve in the place of the version that it renews, unless somebody has decided otherwise since; returns whether
    it does."""
    from shoploop.versions import candidacy, promotions

    if candidacy.current(workspace.store, workspace.name) is not None:
        return False
    done = promotions.promote(
        workspace.store, workspace.name, made.version,
        reason=made.reason, by=f"renewal {own.id}", trust=trust, after=serving.after,
    )  # fmt: skip
    return done.version == made.version


def _journal(workspace: Workspace, begun: Run, own: Run, parent: str) -> Journal:
    """Its record, as of a run: the steps that went before, and the two of its own."""
    before = read_record(workspace.store, begun.key, begun.id)
    if not isinstance(before, Record):
        raise NotFound(f"The record of the steps before the renewal cannot be read ({before.why}). Renew again.")
    steps = (*before.steps, StepRecord(name=RENEW), StepRecord(name=PACKAGE))
    record = before.model_copy(update={"state": "running", "ended": None, "steps": steps, "incumbent": parent})
    journal = Journal(workspace, own.key, record)
    journal.change()
    return journal


@contextmanager
def _timed(journal: Journal, step: str, tell: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Tells of a step, here and in the record."""
    tell({"kind": "started", "step": step, "says": SAYS[step]})
    journal.step(step, state="running")
    began = time.monotonic()
    with PeakMemory() as memory:
        yield
        peak = memory.taken()
    seconds = time.monotonic() - began
    journal.step(step, state="done", seconds=seconds, peak_rss_bytes=peak)
    tell({"kind": "finished", "step": step, "seconds": seconds, "peak_rss_bytes": peak})


def _keep_lineage(workspace: Workspace, plan: Plan, own: Run, record: Record) -> None:
    """What of a renewal is a step of a run; whose weights it has, the version itself says."""
    from shoploop.runs import lineage

    steps = tuple(step for step in record.steps if step.name in plan.found)
    lineage.keep(workspace, replace(plan, run=own), record.model_copy(update={"steps": steps}))
