"""How runs begin, how far the one under way is, and what came of it; pure. What asks for a run is in due.py."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shoploop.api.pod_result import NothingNew, VersionMade
from shoploop.api.pods import store_uri
from shoploop.api.status import IncumbentStatus
from shoploop.controller.decide import compaction, outcome, renewals
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide.conditions import KUBEFLOW as REASONS_OF_KUBEFLOW
from shoploop.controller.decide.conditions import Found, say, timestamp
from shoploop.controller.decide.data_checks import Checked, check
from shoploop.controller.decide.due import REASONS, next_look, other_pods, request_of, run_due, slots_of
from shoploop.controller.decide.jobs import KINDS, JobsLook
from shoploop.controller.decide.names import PART_LABEL, RUN_LABEL, Object, short_hash
from shoploop.controller.decide.observed import ChildKey, Event
from shoploop.controller.decide.renewals import is_renewal, last_training
from shoploop.controller.decide.situation import Situation
from shoploop.controller.decide.versions import RENEWAL, Version, with_result

POLL_SECONDS = 10
"""How often pods of a run under way are looked at."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The part of a plan that is about runs."""

    run: dict[str, Any] | None
    """``status.run``."""

    trained: dict[str, Any] | None = None
    """``status.trainingRun``: the last run that trained, where ``run`` is a renewal."""

    state: Found
    """What is under way; where nothing is, what there is to say about the last run that trained."""

    rested: Found | None = None
    """The latter, while a renewal is under way."""

    renewal: tuple[bool, Found] | None = None
    """What there is to say about renewals; None where that is what was said before."""

    under_way: bool = False
    stalled: bool = False
    apply: tuple[Object, ...] = ()
    delete: tuple[ChildKey, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_seconds: float | None = None
    version: Version | None = None
    """The version that the run just made or judged, with the run's verdict and package."""

    problems: tuple[Found, ...] = ()
    """What is amiss about the schedules or the data, whatever becomes of runs."""

    @property
    def last(self) -> dict[str, Any] | None:
        """The last run that trained."""
        return self.trained if is_renewal(self.run) else self.run


def advance(situation: Situation) -> Training:
    """Continues the run under way, or starts one that is due, or a renewal."""
    return _with_training(situation, _advanced(situation))


def _with_training(situation: Situation, going: Training) -> Training:
    """Where a renewal is the last word, what there is to say about the last run that trained stands beside it."""
    run = going.run
    if run is None or not is_renewal(run):
        return going
    trained = going.trained or situation.status.get("trainingRun")
    rested = _rested(situation, trained, None)
    if going.under_way:
        return replace(going, trained=trained, rested=rested, renewal=going.renewal or (False, going.state))
    made = going.version or next((one for one in situation.versions if one.id == run.get("version")), None)
    renewal = going.renewal or renewals.told(situation, run, made)
    return replace(going, trained=trained, state=rested, renewal=renewal)


def _advanced(situation: Situation) -> Training:
    before = situation.last_run
    if before and before["phase"] == "Running":
        if before["specHash"] == situation.spec_hash or situation.spec.suspend:
            going = _continued(situation, before)
            return replace(
                going,
                requeue_seconds=sooner(going.requeue_seconds, next_look(situation.spec, situation.now)),
                problems=slots_of(situation.spec, situation.now)[-1],
            )
        return _superseded(situation, before)
    return _started_if_due(situation, before)


def _started_if_due(situation: Situation, last: dict[str, Any] | None) -> Training:
    """Starts what is due: a run, or else a renewal.

    Args:
        situation: Of a Recommender with nothing under way.
        last: The last run or renewal.
    """
    spec = situation.spec
    slot, renewal_slot, amiss = slots_of(spec, situation.now)
    before = last_training(situation, last)
    known = bool(last or situation.versions)
    checked = check(situation) if known and not spec.suspend else Checked()
    problems = (*amiss, *((checked.problem,) if checked.problem else ()))
    if checked.source and before and before["phase"] == "Succeeded" and "source" not in before:
        before = before | {"source": checked.source}  # it was made by an operator that did not note it
    renewed = last if is_renewal(last) else None
    lost = _lost_result(situation, renewed or before)
    idle = Training(
        run=renewed or before,
        trained=before if renewed else None,
        state=_rested(situation, before, None if renewed else lost),
        apply=(*_missing_record(situation, lost), *checked.apply),
        delete=checked.delete,
        version=lost,
        events=(_recorded(lost),) if lost else (),
        requeue_seconds=sooner(next_look(spec, situation.now), checked.requeue_seconds),
        problems=problems,
    )
    if spec.suspend:
        return replace(idle, state=idle.state if before else say("Suspended"))
    cause = run_due(situation, before, slot=slot, source=checked.source)
    if cause is None:
        unlooked = spec.data_check is not None and checked.source is None and checked.problem is None
        return idle if unlooked or lost else _renewed_if_due(situation, idle, last, renewal_slot)
    trigger, value = cause
    run = _begun(situation, trigger, value) | request_of(situation) | _renew_request(last)
    run |= _nodes(situation, run)
    if trigger == "Data":
        run["source"] = value
    started = _continued(situation, run)
    message = say("RunStarted", run=run["id"], why=REASONS[trigger]).message
    event = Event(type="Normal", reason="RunStarted", message=message)
    return replace(started, events=(event, *started.events), problems=problems)


def _renewed_if_due(
    situation: Situation, idle: Training, last: dict[str, Any] | None, slot: datetime | None
) -> Training:
    """Starts a renewal, where one is due and nothing stands against it.

    Args:
        situation: Of a Recommender of which no run is due.
        idle: What is told where none is started.
        last: The last run or renewal.
        slot: When spec.renewal fired last.
    """
    asked = renewals.asked(situation, last, slot)
    if asked is None:
        return idle
    why, value = asked
    if (held := renewals.held(situation)) is not None:
        return replace(idle, renewal=(False, say("RenewalWaits", asked=why, why=held)))
    run = _begun(situation, RENEWAL, value)
    run |= {"renewRequest": value} if why == renewals.REQUEST else _renew_request(last)
    started = _continued(situation, run)
    message = say("RenewalStarted", run=run["id"], version=situation.status["version"], why=why).message
    event = Event(type="Normal", reason="RenewalStarted", message=message)
    trained = last_training(situation, last)
    return replace(started, trained=trained, events=(event, *started.events), problems=idle.problems)


def _begun(situation: Situation, trigger: str, value: str) -> dict[str, Any]:
    """``status.run`` of what starts now."""
    return {
        "id": f"{situation.now:%Y%m%d-%H%M%S}-{short_hash(situation.uid, trigger, value, digits=6)}",
        "trigger": trigger,
        "cause": value,
        "specHash": situation.spec_hash,
        "podHash": runs.pod_hash(situation.spec),
        "packHash": situation.pack_hash,
        "phase": "Running",
        "startedAt": timestamp(situation.now),
    }


def _renew_request(last: dict[str, Any] | None) -> dict[str, str]:
    """Which asking for a renewal was carried out last, whatever came since."""
    value = (last or {}).get("renewRequest")
    return {"renewRequest": value} if value else {}


def _rested(situation: Situation, before: dict[str, Any] | None, lost: Version | None) -> Found:
    """What there is to say about the last run, while none is under way.

    It says what the gate said, and nothing about what serves: that is another fact, and Ready tells it.
    """
    if before is None:
        judged = any(version.judged_by(situation.spec_hash) for version in situation.versions)
        return say("NoRunNeeded") if judged else say("NoRunYet")
    if before["phase"] == "Failed":
        return say("RunFailed", run=before["id"], detail=before.get("message", ""), name=situation.name)
    made = lost or next((one for one in situation.versions if one.id == before.get("version")), None)
    return _judged(situation, before, made)


def _judged(situation: Situation, run: dict[str, Any], version: Version | None) -> Found:
    """What the gate said in a run that made ``version``; None where its record is gone."""
    about: dict[str, object] = {"run": run["id"], "version": run.get("version", "")}
    if version is None:
        return say("RunSucceeded", **about)
    verdict = version.verdict_of(run["id"])
    if verdict is None:
        return say("VerdictLost", **about, name=situation.name)
    if verdict.passed and verdict.answers:
        made = say("RunSucceeded", **about)
        return replace(made, message=f"{made.message} {verdict.reason}")
    if verdict.passed:
        return say("RunSucceeded", **about)
    return say("GateRefused", **about, rule=verdict.rule, why=verdict.reason)


def _continued(situation: Situation, run: dict[str, Any]) -> Training:
    if other_pods(situation.spec, run):
        return _moved(situation, run)
    launcher, seen = situation.launcher(run), situation.observed
    look = launcher.look(run["id"], seen)
    if look.state == "done" and look.job is not None:
        match outcome.result(look.job, seen.pods):
            case VersionMade() as made:
                return _succeeded(situation, run, made)
            case NothingNew() as nothing if is_renewal(run):
                return _nothing_new(situation, run, nothing)
            case Found() as why:
                return _failed(situation, run, why)
            case other:
                detail = f"it says {other.kind} where VersionMade belongs."
                return _failed(situation, run, say("ResultUnreadable", detail=detail))
    if look.failure is not None and look.job is not None:
        why = say("JobFailed", detail=look.failure.message)
        return _failed(situation, run | _source(outcome.source(look.job, seen.pods)), why)
    if look.job is None:
        return _waiting_for_job(situation, run)
    if situation.observed.progress is not None:
        run = run | {"progress": situation.observed.progress.model_dump(by_alias=True, exclude_none=True)}
    told = situation.observed.handed_over
    if told is not None:
        run = run | {"kubeflow": told.status.model_dump(by_alias=True, exclude_none=True)}
    going = _active(run, look)
    if told is not None and told.trouble is not None and not look.trouble:
        reason, detail = told.trouble
        state = say(reason if reason in REASONS_OF_KUBEFLOW else "RunStalled", run=run["id"], detail=detail)
        going = replace(going, state=state, stalled=True)
    if look.outdated:
        return replace(going, delete=((look.job["kind"], look.job["metadata"]["name"]),), requeue_seconds=1)
    return replace(going, apply=launcher.advance(run["id"], seen).apply)


def _moved(situation: Situation, run: dict[str, Any]) -> Training:
    """What is unfinished goes on in the pods that the spec asks for now: the old Jobs go, and then come the new ones.

    The steps may be cut into other parts now, so no Job is kept; steps that are done are found in the store.
    """
    launcher, seen = situation.launcher(run), situation.observed
    for live in launcher.of_run(run["id"], seen):
        result = outcome.result(live, seen.pods) if outcome.state(live) == "Complete" else None
        if isinstance(result, VersionMade):
            return _succeeded(situation, run, result)
        if isinstance(result, NothingNew) and is_renewal(run):
            return _nothing_new(situation, run, result)
    if stale := launcher.resume(run["id"], seen).delete:
        return Training(
            run=run, state=say("RunPending", run=run["id"]), under_way=True, requeue_seconds=1, delete=stale
        )
    kept = {key: value for key, value in run.items() if key not in ("nodes", "progress", "kubeflow")}
    placed = kept | {"podHash": runs.pod_hash(situation.spec)} | _nodes(situation, run)
    event = Event(type="Normal", reason="RunMoved", message=say("RunMoved", run=run["id"]).message)
    return replace(_waiting_for_job(situation, placed), events=(event,))


def _nodes(situation: Situation, run: dict[str, Any]) -> dict[str, int]:
    """How many machines train together, where that is more than one."""
    nodes = situation.spec.training.nodes
    return {"nodes": nodes} if nodes > 1 and not is_renewal(run) else {}


def _waiting_for_job(situation: Situation, run: dict[str, Any]) -> Training:
    """Makes the Job that comes next, and what it needs where that is missing."""
    if is_renewal(run) and compaction.pending(situation, run["id"]):
        state = say("RenewalCollects", run=run["id"])
        return Training(run=run, state=state, under_way=True, requeue_seconds=POLL_SECONDS)
    moves = situation.launcher(run).advance(run["id"], situation.observed)
    if moves.waits_for:
        state = say("RunWaits", run=run["id"], pod=moves.waits_for)
        return Training(run=run, state=state, under_way=True, requeue_seconds=1)
    return Training(
        run=run, state=say("RunPending", run=run["id"]), under_way=True, apply=moves.apply,
        requeue_seconds=POLL_SECONDS,
    )  # fmt: skip


def _active(run: dict[str, Any], look: JobsLook) -> Training:
    steps = [name for name, step in look.steps.items() if step.state == "running"]
    steps_named = steps[0] if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
    state = (
        say("RunStalled", run=run["id"], detail=look.trouble)
        if look.trouble
        else say("Running", run=run["id"], part=look.part + 1, parts=look.parts, steps=steps_named)
    )
    return Training(run=run, state=state, under_way=True, stalled=bool(look.trouble), requeue_seconds=POLL_SECONDS)


def _source(digest: str | None) -> dict[str, str]:
    """The digest of the data that a run read, if it says it."""
    return {"source": digest} if digest else {}


def _failed(situation: Situation, run: dict[str, Any], why: Found) -> Training:
    ended = run | {
        "phase": "Failed", "finishedAt": timestamp(situation.now), "reason": why.reason, "message": why.message[:1000]
    }  # fmt: skip
    reason = "RenewalFailed" if is_renewal(run) else "RunFailed"
    state = say(reason, run=run["id"], detail=why.message, name=situation.name)
    event = Event(type="Warning", reason=reason, message=state.message)
    return Training(run=ended, state=state, events=(event,))


def _nothing_new(situation: Situation, run: dict[str, Any], nothing: NothingNew) -> Training:
    why = say("NothingToRenew", run=run["id"], detail=nothing.reason)
    return _without_version(situation, run | _source(nothing.source), why)


def _without_version(situation: Situation, run: dict[str, Any], why: Found) -> Training:
    """The end of a renewal of which nothing serves, and nothing is amiss."""
    ended = run | {
        "phase": "Succeeded", "finishedAt": timestamp(situation.now), "reason": why.reason, "message": why.message
    }  # fmt: skip
    event = Event(type="Normal", reason=why.reason, message=why.message)
    return Training(run=ended, state=why, events=(event,), requeue_seconds=1)


def _succeeded(situation: Situation, run: dict[str, Any], made: VersionMade) -> Training:
    if is_renewal(run) and (why := renewals.overtaken(situation, run, made)) is not None:
        return _without_version(situation, run | _source(made.source), why)
    ended = run | {"phase": "Succeeded", "finishedAt": timestamp(situation.now), "version": made.version}
    ended |= _source(made.source)
    if made.incumbent is not None:
        ended["incumbent"] = IncumbentStatus(**made.incumbent.model_dump()).model_dump(by_alias=True, exclude_none=True)
    version = _with_result(situation, ended, made)
    state = _judged(situation, ended, version)
    event = _recorded(version) if made.passed else Event(type="Warning", reason=state.reason, message=state.message)
    return Training(
        run=ended, state=state, apply=_missing_record(situation, version), version=version, events=(event,),
        requeue_seconds=1,
    )  # fmt: skip


def _with_result(situation: Situation, run: dict[str, Any], made: VersionMade) -> Version:
    return with_result(
        situation.recommender, situation.versions, run, made, store=store_uri(situation.spec),
        pack_hash=run.get("packHash", situation.pack_hash),
    )  # fmt: skip


def _missing_record(situation: Situation, version: Version | None) -> tuple[Object, ...]:
    if version is None or version.key in situation.observed.children:
        return ()
    return (version.record,)


def _recorded(version: Version) -> Event:
    verdict = "passed" if version.verdict and version.verdict.passed else "refused"
    message = say("VersionRecorded", version=version.id, verdict=verdict).message
    if version.verdict and version.verdict.answers:
        message = f"{message} {version.verdict.reason}"
    return Event(type="Normal", reason="VersionRecorded", message=message)


def _lost_result(situation: Situation, run: dict[str, Any] | None) -> Version | None:
    """What the last run made, once more, where it was deleted or never written: its last pod still says it."""
    if not run or run["phase"] != "Succeeded":
        return None
    version = next((one for one in situation.versions if one.id == run.get("version")), None)
    if version is not None and version.verdict_of(run["id"]) and version.packages:
        return None
    jobs = situation.launcher(run).of_run(run["id"], situation.observed)
    if not jobs:
        return None
    last = max(jobs, key=lambda live: int(live["metadata"]["labels"].get(PART_LABEL, 0)))
    made = outcome.result(last, situation.observed.pods)
    if not isinstance(made, VersionMade) or made.version != run.get("version"):
        return None
    return _with_result(situation, run, made)


def _superseded(situation: Situation, run: dict[str, Any]) -> Training:
    """The spec asks for something else than the run under way makes: give it up and start anew."""
    stale = situation.launcher(run).cancel(run["id"], situation.observed).delete
    why = say("Superseded")
    given_up = run | {
        "phase": "Failed", "finishedAt": timestamp(situation.now), "reason": why.reason, "message": why.message
    }  # fmt: skip
    if is_renewal(run) and run.get("renewRequest") == run["cause"]:
        del given_up["renewRequest"]  # it is asked for still
    fresh = _started_if_due(situation, given_up)
    event = Event(
        type="Warning", reason="RunDiscarded", message=say("RunDiscarded", run=run["id"], detail=why.message).message
    )
    return replace(fresh, delete=(*stale, *fresh.delete), events=(event, *fresh.events))


def pruned_runs(situation: Situation) -> tuple[ChildKey, ...]:
    """Jobs and ConfigMaps of runs beyond spec.retention.runs; the last run is always kept."""
    current = (situation.last_run or {}).get("id", "")
    by_run: dict[str, list[ChildKey]] = {}
    for key, live in (one for kind in KINDS for one in situation.children(kind)):
        if run := live["metadata"].get("labels", {}).get(RUN_LABEL):
            by_run.setdefault(run, []).append(key)
    kept = sorted({*by_run, current} - {""}, reverse=True)[: situation.spec.retention.runs]
    return tuple(key for run, keys in sorted(by_run.items()) if run not in (*kept, current) for key in keys)


def sooner(left: float | None, right: float | None) -> float | None:
    """The earlier of two waits, of which none may be asked for."""
    return min((seconds for seconds in (left, right) if seconds is not None), default=None)
