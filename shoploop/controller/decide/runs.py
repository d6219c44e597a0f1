"""How runs begin, how far the one under way is, and what came of it; pure. What asks for a run is in due.py."""

from dataclasses import dataclass, replace
from typing import Any

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide import outcome
from shoploop.controller.decide.conditions import Found, say, timestamp
from shoploop.controller.decide.data_checks import Checked, check
from shoploop.controller.decide.due import (
    REASONS,
    next_look,
    other_pods,
    request_of,
    run_due,
    schedule_of,
    versions_of,
)
from shoploop.controller.decide.names import PART_LABEL, RUN_LABEL, Object, run_object_name, short_hash
from shoploop.controller.decide.observed import ChildKey, Event, Observed
from shoploop.controller.decide.settings import Settings

POLL_SECONDS = 10
"""How often pods of a run under way are looked at."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The part of a plan that is about runs."""

    run: dict[str, Any] | None
    """``status.run``."""

    state: Found
    under_way: bool = False
    stalled: bool = False
    apply: tuple[Object, ...] = ()
    delete: tuple[ChildKey, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_seconds: float | None = None
    version: Object | None = None
    """The ModelVersion that the run just made."""

    problems: tuple[Found, ...] = ()
    """What is amiss about the schedule or the data, whatever becomes of runs."""


def advance(recommender: Object, spec: RecommenderSpec, observed: Observed, settings: Settings) -> Training:
    """Continues the run under way, or starts one that is due."""
    wanted_hash = runs.spec_hash(spec)
    before = recommender.get("status", {}).get("run")
    if before and before["phase"] == "Running":
        if before["specHash"] == wanted_hash or spec.suspend:
            going = _continued(recommender, spec, observed, settings, before)
            return replace(
                going,
                requeue_seconds=sooner(going.requeue_seconds, next_look(spec, observed.now)),
                problems=_told(schedule_of(spec, observed.now)[1]),
            )
        return _superseded(recommender, spec, observed, settings, before)
    return _started_if_due(recommender, spec, observed, settings, before, wanted_hash)


def _started_if_due(
    recommender: Object, spec: RecommenderSpec, observed: Observed, settings: Settings,
    before: dict[str, Any] | None, wanted_hash: str,
) -> Training:  # fmt: skip
    slot, problem = schedule_of(spec, observed.now)
    known = bool(before or versions_of(recommender, observed))
    checked = check(recommender, spec, observed, settings) if known and not spec.suspend else Checked()
    problems = _told(problem, checked.problem)
    if checked.source and before and before["phase"] == "Succeeded" and "source" not in before:
        before = before | {"source": checked.source}  # it was made by an operator that did not note it
    lost = _lost_record(recommender, spec, observed, before)
    idle = Training(
        run=before,
        state=_rested(recommender, before, observed, wanted_hash),
        apply=(*((lost,) if lost else ()), *checked.apply),
        delete=checked.delete,
        version=lost,
        events=(_recorded(lost),) if lost else (),
        requeue_seconds=sooner(None if problem else next_look(spec, observed.now), checked.requeue_seconds),
        problems=problems,
    )
    if spec.suspend:
        return replace(idle, state=idle.state if before else say("Suspended"))
    cause = run_due(recommender, spec, before, observed, slot=slot, source=checked.source)
    if cause is None:
        return idle
    trigger, value = cause
    uid = recommender["metadata"]["uid"]
    run_id = f"{observed.now:%Y%m%d-%H%M%S}-{short_hash(uid, trigger, value, digits=6)}"
    run = {
        "id": run_id,
        "trigger": trigger,
        "cause": value,
        "specHash": wanted_hash,
        "podHash": runs.pod_hash(spec),
        "phase": "Running",
        "startedAt": timestamp(observed.now),
    } | request_of(recommender)
    if trigger == "Data":
        run["source"] = value
    started = _continued(recommender, spec, observed, settings, run)
    event = Event(
        type="Normal", reason="RunStarted", message=say("RunStarted", run=run_id, why=REASONS[trigger]).message
    )
    return replace(started, events=(event, *started.events), problems=problems)


def _told(*found: Found | None) -> tuple[Found, ...]:
    return tuple(one for one in found if one is not None)


def _rested(recommender: Object, before: dict[str, Any] | None, observed: Observed, wanted_hash: str) -> Found:
    """What there is to say about the last run, while none is under way."""
    name = recommender["metadata"]["name"]
    if before is None:
        known = {version["spec"].get("specHash") for version in versions_of(recommender, observed)}
        return say("NoRunNeeded") if wanted_hash in known else say("NoRunYet")
    if before["phase"] == "Failed":
        return say("RunFailed", run=before["id"], detail=before.get("message", ""), name=name)
    refused = any(
        version["spec"]["version"] == before.get("version") and not version["spec"]["passed"]
        for version in versions_of(recommender, observed)
    )
    return say("GateRefused" if refused else "RunSucceeded", run=before["id"], version=before.get("version", ""))


def _continued(
    recommender: Object, spec: RecommenderSpec, observed: Observed, settings: Settings, run: dict[str, Any]
) -> Training:
    if other_pods(spec, run):
        return _moved(recommender, spec, observed, settings, run)
    parts = runs.parts(spec)
    for index, part in enumerate(parts):
        live = observed.children.get(("Job", run_object_name(recommender, run["id"], index)))
        if live is None:
            return _waiting_for_job(recommender, spec, observed, settings, run, index)
        match outcome.state(live):
            case "Failed":
                run = run | _source(outcome.left(live, observed.pods))
                return _failed(recommender, observed, run, outcome.failure_message(live, observed.pods))
            case "Active":
                going = _active(live, observed, run, index, len(parts), part)
                if going.stalled and _image(live) != _image(runs.job(recommender, spec, run["id"], index, settings)):
                    return replace(going, delete=(("Job", live["metadata"]["name"]),), requeue_seconds=1)
                return replace(going, apply=_spec_of_run(recommender, observed, run["id"]))
    last = observed.children[("Job", run_object_name(recommender, run["id"], len(parts) - 1))]
    said = outcome.result(last, observed.pods)
    if said is None:
        return _failed(recommender, observed, run, say("ResultLost").message)
    if isinstance(said, str):
        return _failed(recommender, observed, run, say("ResultUnreadable", detail=said).message)
    return _succeeded(recommender, spec, observed, run, said)


def _image(job: Object) -> str:
    return str(job["spec"]["template"]["spec"]["containers"][0]["image"])


def _moved(
    recommender: Object, spec: RecommenderSpec, observed: Observed, settings: Settings, run: dict[str, Any]
) -> Training:
    """What is unfinished goes on in the pods that the spec asks for now: the old Jobs go, and then come the new ones.

    The steps may be cut into other parts now, so no Job is kept; steps that are done are found in the store.
    """
    jobs = _jobs_of(observed, run)
    for live in jobs:
        said = outcome.result(live, observed.pods) if outcome.state(live) == "Complete" else None
        if isinstance(said, dict):
            return _succeeded(recommender, spec, observed, run, said)
    if jobs:
        return Training(
            run=run, state=say("RunPending", run=run["id"]), under_way=True, requeue_seconds=1,
            delete=tuple(("Job", live["metadata"]["name"]) for live in jobs),
        )  # fmt: skip
    placed = run | {"podHash": runs.pod_hash(spec)}
    event = Event(type="Normal", reason="RunMoved", message=say("RunMoved", run=run["id"]).message)
    return replace(_waiting_for_job(recommender, spec, observed, settings, placed, 0), events=(event,))


def _jobs_of(observed: Observed, run: dict[str, Any]) -> list[Object]:
    return [
        live
        for (kind, _), live in observed.children.items()
        if kind == "Job" and live["metadata"].get("labels", {}).get(RUN_LABEL) == run["id"]
    ]


def _former_pod(observed: Observed, run: dict[str, Any]) -> str | None:
    """A pod that still works for the run, though its Job is gone: two must never write at once."""
    jobs = {live["metadata"].get("uid") for live in _jobs_of(observed, run)}
    for pod in observed.pods:
        meta = pod["metadata"]
        owned = any(owner["uid"] in jobs for owner in meta.get("ownerReferences", []))
        ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        if meta.get("labels", {}).get(RUN_LABEL) == run["id"] and not owned and not ended:
            return str(meta["name"])
    return None


def _waiting_for_job(
    recommender: Object, spec: RecommenderSpec, observed: Observed, settings: Settings, run: dict[str, Any], index: int
) -> Training:
    """Makes the Job of part ``index``, and what it needs where that is missing."""
    if former := _former_pod(observed, run):
        state = say("RunWaits", run=run["id"], pod=former)
        return Training(run=run, state=state, under_way=True, requeue_seconds=1)
    made: list[Object] = []
    if runs.needs_claim(spec) and not spec.store.claim:
        wanted = runs.claim(recommender, spec)
        if ("PersistentVolumeClaim", wanted["metadata"]["name"]) not in observed.children:
            made.append(wanted)
    made.extend(_spec_of_run(recommender, observed, run["id"]))
    made.append(runs.job(recommender, spec, run["id"], index, settings))
    return Training(
        run=run, state=say("RunPending", run=run["id"]), under_way=True, apply=tuple(made), requeue_seconds=POLL_SECONDS
    )


def _spec_of_run(recommender: Object, observed: Observed, run: str) -> tuple[Object, ...]:
    """The ConfigMap with the run's spec, where it is missing: a pod that is made again needs it."""
    missing = ("ConfigMap", run_object_name(recommender, run)) not in observed.children
    return (runs.config_map(recommender, run),) if missing else ()


def _active(live: Object, observed: Observed, run: dict[str, Any], index: int, count: int, part: runs.Part) -> Training:
    detail = outcome.trouble(outcome.pods_of(live, observed.pods)) or observed.warnings.get(live["metadata"]["name"])
    steps = part.steps[0] if len(part.steps) == 1 else f"{part.steps[0]} to {part.steps[-1]}"
    state = (
        say("RunStalled", run=run["id"], detail=detail)
        if detail
        else say("Running", run=run["id"], part=index + 1, parts=count, steps=steps)
    )
    return Training(run=run, state=state, under_way=True, stalled=bool(detail), requeue_seconds=POLL_SECONDS)


def _source(said: dict[str, Any]) -> dict[str, str]:
    """The digest of the data that a run read, if it says it."""
    return {"source": str(said["source"])} if said.get("source") else {}


def _failed(recommender: Object, observed: Observed, run: dict[str, Any], detail: str) -> Training:
    ended = run | {"phase": "Failed", "finishedAt": timestamp(observed.now), "message": detail[:1000]}
    state = say("RunFailed", run=run["id"], detail=detail, name=recommender["metadata"]["name"])
    event = Event(type="Warning", reason="RunFailed", message=state.message)
    return Training(run=ended, state=state, events=(event,))


def _succeeded(
    recommender: Object, spec: RecommenderSpec, observed: Observed, run: dict[str, Any], said: dict[str, Any]
) -> Training:
    parent = recommender.get("status", {}).get("version")
    version = runs.model_version(
        recommender, run, said, store=runs.store_uri(spec), parent=parent, known=versions_of(recommender, observed)
    )
    ended = run | {"phase": "Succeeded", "finishedAt": timestamp(observed.now), "version": str(said["version"])}
    ended |= _source(said)
    passed = bool(said["passed"])
    state = say("RunSucceeded" if passed else "GateRefused", run=run["id"], version=said["version"])
    event = _recorded(version) if passed else Event(type="Warning", reason="GateRefused", message=state.message)
    return Training(run=ended, state=state, apply=(version,), version=version, events=(event,), requeue_seconds=1)


def _recorded(version: Object) -> Event:
    verdict = "passed" if version["spec"]["passed"] else "refused"
    message = say("VersionRecorded", version=version["spec"]["version"], verdict=verdict).message
    return Event(type="Normal", reason="VersionRecorded", message=message)


def _lost_record(
    recommender: Object, spec: RecommenderSpec, observed: Observed, run: dict[str, Any] | None
) -> Object | None:
    """The record of what the last run made, once more, where somebody deleted it: its last pod still says it."""
    if not run or run["phase"] != "Succeeded":
        return None
    known = versions_of(recommender, observed)
    if any(version["spec"]["version"] == run.get("version") for version in known):
        return None
    jobs = _jobs_of(observed, run)
    if not jobs:
        return None
    last = max(jobs, key=lambda live: int(live["metadata"]["labels"].get(PART_LABEL, 0)))
    said = outcome.result(last, observed.pods)
    if not isinstance(said, dict):
        return None
    return runs.model_version(recommender, run, said, store=runs.store_uri(spec), parent=None, known=known)


def _superseded(
    recommender: Object, spec: RecommenderSpec, observed: Observed, settings: Settings, run: dict[str, Any]
) -> Training:
    """The spec asks for something else than the run under way makes: give it up and start anew."""
    stale: tuple[ChildKey, ...] = tuple(
        (kind, name)
        for (kind, name), live in observed.children.items()
        if kind in ("Job", "ConfigMap") and live["metadata"].get("labels", {}).get(RUN_LABEL) == run["id"]
    )
    detail = say("Superseded").message
    given_up = run | {"phase": "Failed", "finishedAt": timestamp(observed.now), "message": detail}
    fresh = _started_if_due(recommender, spec, observed, settings, given_up, runs.spec_hash(spec))
    event = Event(
        type="Warning", reason="RunDiscarded", message=say("RunDiscarded", run=run["id"], detail=detail).message
    )
    return replace(fresh, delete=(*stale, *fresh.delete), events=(event, *fresh.events))


def pruned_runs(recommender: Object, spec: RecommenderSpec, observed: Observed) -> tuple[ChildKey, ...]:
    """Jobs and ConfigMaps of runs beyond spec.retention.runs; the last run is always kept."""
    current = (recommender.get("status", {}).get("run") or {}).get("id", "")
    by_run: dict[str, list[ChildKey]] = {}
    for (kind, name), live in observed.children.items():
        run = live["metadata"].get("labels", {}).get(RUN_LABEL)
        if kind in ("Job", "ConfigMap") and run:
            by_run.setdefault(run, []).append((kind, name))
    kept = sorted({*by_run, current} - {""}, reverse=True)[: spec.retention.runs]
    return tuple(key for run, keys in sorted(by_run.items()) if run not in (*kept, current) for key in keys)


def sooner(left: float | None, right: float | None) -> float | None:
    """The earlier of two waits, of which none may be asked for."""
    return min((seconds for seconds in (left, right) if seconds is not None), default=None)
