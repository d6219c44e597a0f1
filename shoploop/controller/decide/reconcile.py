"""What a Recommender's world should look like: ``desired(recommender, observed) -> Plan``; pure.

Called for every event, after every failure and by the clock. It reads nothing but its arguments, so nearly all of the
operator's behaviour is tested without a cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from shoploop.api.kubernetes import STORE_KEYS
from shoploop.api.loading import problems_of
from shoploop.api.unbuilt import described, unbuilt
from shoploop.api.v1alpha1 import Recommender, RecommenderSpec
from shoploop.controller.decide import deletion, outcome, releases
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide.conditions import WARNINGS, Found, merged, say
from shoploop.controller.decide.due import versions_of
from shoploop.controller.decide.names import FINALIZER, Object
from shoploop.controller.decide.observed import ChildKey, Event, Install, Observed, Plan, Recover, Repair
from shoploop.controller.decide.runs import POLL_SECONDS, Training, advance, pruned_runs, sooner
from shoploop.controller.decide.settings import Settings

TOLD_ELSEWHERE = ("Running", "RunPending", "RunFailed", "GateRefused", "PodsNotReady")
"""Reasons without an event: the run tells them itself, or Kubernetes does."""

BLOCKED_SECONDS = 15
"""How soon it is seen that somebody mended what blocks a Recommender: a Secret is not watched."""

RELEASE = "release"
"""Key of a failure of the Helm release."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The part of a plan that is about the release and its pods."""

    ready: tuple[bool, Found]
    released: tuple[bool, Found]
    held: tuple[bool, Found]
    version: str | None
    replicas: int | None = None
    moving: bool = False
    plan: Plan


def desired(recommender: Object, observed: Observed, settings: Settings, *, chart_digest: str) -> Plan:
    """Everything to be done for one Recommender, and what to tell about it."""
    meta = recommender["metadata"]
    if meta.get("deletionTimestamp"):
        return deletion.plan(recommender, observed, settings)
    if FINALIZER not in meta.get("finalizers", []):
        # nothing is made before it is certain that it will be cleaned up
        return Plan(status=recommender.get("status", {}), requeue_seconds=1)
    try:
        spec = parse(recommender)
    except ValidationError as error:
        problems = "; ".join(problems_of(error))
        return _blocked(recommender, observed, say("SpecInvalid", problems=problems))
    blocker = _blocker(recommender, spec, observed)
    if blocker is not None:
        return _blocked(recommender, observed, blocker)
    training = advance(recommender, spec, observed, settings)
    serving = _serving(recommender, spec, observed, settings, training, chart_digest)
    return _assembled(recommender, spec, observed, training, serving)


def parse(recommender: Object) -> RecommenderSpec:
    known = {key: recommender[key] for key in ("apiVersion", "kind", "spec")}
    known["metadata"] = {"name": recommender["metadata"]["name"]}
    return Recommender.model_validate(known, strict=True, by_alias=True, by_name=False).spec


def store_path(recommender: Object, spec: RecommenderSpec) -> str | None:
    """Where its versions lie, if that can be somebody else's place too: a claim belongs to one namespace."""
    if runs.needs_claim(spec):
        return None
    return f"{runs.store_uri(spec)}/recommenders/{recommender['metadata']['name']}"


def _blocker(recommender: Object, spec: RecommenderSpec, observed: Observed) -> Found | None:
    """The first thing that somebody has to mend before anything can be done."""
    meta = recommender["metadata"]
    if beyond := unbuilt(spec, place="Cluster"):
        return say("NotBuilt", what=described(beyond))
    if observed.rival:
        return say("StoreTaken", other=observed.rival, path=store_path(recommender, spec))
    reference = spec.store.secret_ref
    if reference is not None:
        if observed.secret_keys is None:
            return say("SecretMissing", secret=reference.name, namespace=meta["namespace"])
        missing = [key for key in STORE_KEYS if key not in observed.secret_keys]
        if missing:
            return say("SecretKeyMissing", secret=reference.name, keys=" and ".join(missing))
    return None


def _blocked(recommender: Object, observed: Observed, why: Found) -> Plan:
    """Nothing is started, changed or repaired; what serves goes on serving."""
    before = recommender.get("status", {})
    found = {
        "Ready": (False, why),
        "Progressing": (False, say("AsWanted")),
        "Degraded": (True, why),
    }
    status = _status(recommender, observed, found, keep=before)
    return Plan(status=status, events=_transitions(before, status), requeue_seconds=BLOCKED_SECONDS)


def _target(
    recommender: Object, spec: RecommenderSpec, observed: Observed, made: Object | None
) -> Object | Found | None:
    """The ModelVersion that should serve; a reason where the pinned one is not there; None where there is none."""
    versions = versions_of(recommender, observed)
    if made is not None and all(v["metadata"]["name"] != made["metadata"]["name"] for v in versions):
        versions.append(made)
    if spec.serving.pinned_version:
        pinned = [v for v in versions if v["spec"]["version"] == spec.serving.pinned_version]
        known = ", ".join(v["spec"]["version"] for v in versions) or "none"
        return pinned[-1] if pinned else say("VersionNotFound", version=spec.serving.pinned_version, known=known)
    passed = [v for v in versions if v["spec"]["passed"]]
    serving = recommender.get("status", {}).get("version")
    current = [v for v in versions if v["spec"]["version"] == serving]
    if spec.suspend and current:
        return current[-1]
    return passed[-1] if passed else None


def _serving(
    recommender: Object, spec: RecommenderSpec, observed: Observed, settings: Settings, training: Training,
    chart_digest: str,
) -> Serving:  # fmt: skip
    before = recommender.get("status", {})
    target = _target(recommender, spec, observed, training.version)
    not_held = (False, say("NotHeld"))
    if target is None or isinstance(target, Found):
        why = target or training.state
        if target is None and training.state.reason in ("RunSucceeded", "NoRunNeeded"):
            why = say("NoVersion")
        return Serving(
            ready=(False, why),
            released=(bool(observed.releases), say("NotReleased", detail=why.message)),
            held=not_held,
            version=before.get("version"),
            plan=Plan(status={}),
        )
    wanted = releases.values(recommender, spec, target, settings)
    decision = releases.decide(recommender, wanted, observed, chart_digest=chart_digest)
    plan = Plan(status={}, release=decision.action, requeue_seconds=decision.requeue_seconds)
    name, version = recommender["metadata"]["name"], target["spec"]["version"]
    failure = observed.failures.get(RELEASE)
    if decision.foreign:
        why = say("ForeignObject", object=f"Helm release {name}", detail=f"helm uninstall {name}, if it is not needed.")
        return Serving(ready=(False, why), released=(False, why), held=not_held, version=None, plan=plan)
    if decision.held_since is not None:
        latest = observed.releases[-1]
        why = say(
            "ReleaseHeld", revision=latest.revision, release=name, description=latest.description or "no description",
            name=name,
        )  # fmt: skip
        return Serving(
            ready=(False, why), released=(True, why), held=(True, why), version=before.get("version"), plan=plan,
            replicas=_ready_replicas(observed, name),
        )  # fmt: skip
    under_way = bool(observed.releases) and observed.releases[-1].status != "deployed"
    if isinstance(decision.action, Install | Recover) or under_way:
        why = failure.found if failure else say("Releasing", release=name, version=version)
        events = _release_events(recommender, observed, decision, version)
        return Serving(
            ready=(False, why), released=(False, why), held=not_held, version=before.get("version"), moving=True,
            plan=replace(plan, events=events), replicas=_ready_replicas(observed, name),
        )  # fmt: skip
    return _rolled_out(recommender, observed, plan, name, version, not_held)


def _release_events(
    recommender: Object, observed: Observed, decision: releases.Decision, version: str
) -> tuple[Event, ...]:
    """Told once per change: a failed attempt that is made again is told by its condition."""
    if observed.failures.get(RELEASE):
        return ()
    events: list[Event] = []
    status = recommender.get("status", {})
    if isinstance(decision.action, Recover):
        message = say("ReleaseRecovered", revision=decision.action.revision).message
        return (Event(type="Warning", reason="ReleaseRecovered", message=message),)
    if status.get("release", {}).get("heldSinceGeneration") is not None and observed.releases:
        message = say("ReleaseResumed", revision=observed.releases[-1].revision).message
        events.append(Event(type="Normal", reason="ReleaseResumed", message=message))
    if status.get("version") != version:
        events.append(Event(type="Normal", reason="Promoted", message=say("Promoted", version=version).message))
    return tuple(events)


def _rolled_out(
    recommender: Object, observed: Observed, plan: Plan, name: str, version: str, not_held: tuple[bool, Found]
) -> Serving:
    """The release is as wanted; the pods may still be on their way."""
    latest = observed.releases[-1]
    released = (True, say("Released", release=name, revision=latest.revision, version=version))
    failure = observed.failures.get(RELEASE)
    if isinstance(plan.release, Repair):
        objects = ", ".join(f"{o['kind']} {o['metadata']['name']}" for o in plan.release.objects)
        message = say("Repaired", objects=objects, revision=latest.revision).message
        told = Event(type="Normal", reason="Repaired", message=message)
        plan = replace(plan, events=() if failure else (told,), requeue_seconds=5)
    live = observed.children.get(("Deployment", f"{name}-predictor"))
    wanted, ready, done = _pods(live)
    pods = [p for p in observed.pods if p["metadata"].get("labels", {}).get("app.kubernetes.io/instance") == name]
    detail = outcome.trouble(pods) or _replica_failure(live)
    if failure:
        state = (False, failure.found)
    elif live is None or not done:
        values = {"ready": ready, "wanted": wanted, "version": version}
        state = (False, say("PodsStalled", detail=detail, **values) if detail else say("PodsNotReady", **values))
        plan = replace(plan, requeue_seconds=sooner(plan.requeue_seconds, POLL_SECONDS))
    elif wanted == 0:
        state = (True, say("ScaledToZero", version=version))
    else:
        state = (True, say("Serving", version=version, ready=ready, wanted=wanted))
    serves = version if done else recommender.get("status", {}).get("version")
    return Serving(
        ready=state, released=released, held=not_held, version=serves, replicas=ready, moving=not done, plan=plan
    )


def _pods(live: Object | None) -> tuple[int, int, bool]:
    """Wanted pods, ready pods, and whether all of the newest template are ready and no others are left."""
    if live is None:
        return 0, 0, False
    wanted, status = int(live["spec"].get("replicas", 1)), live.get("status", {})
    ready = int(status.get("readyReplicas", 0))
    current = status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    updated, total = int(status.get("updatedReplicas", 0)), int(status.get("replicas", 0))
    return wanted, ready, current and ready >= wanted and updated >= wanted and total == updated


def _ready_replicas(observed: Observed, name: str) -> int | None:
    live = observed.children.get(("Deployment", f"{name}-predictor"))
    return _pods(live)[1] if live else None


def _replica_failure(live: Object | None) -> str | None:
    for condition in (live or {}).get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", ""))[:300]
    return None


def _assembled(
    recommender: Object, spec: RecommenderSpec, observed: Observed, training: Training, serving: Serving
) -> Plan:
    before = recommender.get("status", {})
    failures = [failure.found for key, failure in sorted(observed.failures.items()) if key != RELEASE]
    ready = serving.ready
    if failures and not ready[0]:
        ready = (False, failures[0])
    run_ok = bool(training.run and training.run["phase"] == "Succeeded") or training.state.reason == "NoRunNeeded"
    degraded = _degraded(recommender, spec, observed, training, serving, failures)
    moving = training.under_way or serving.moving
    found: dict[str, tuple[bool, Found]] = {
        "Ready": ready,
        "RunSucceeded": (run_ok, training.state),
        "Released": serving.released,
        "ReleaseHeld": serving.held,
        "Progressing": (moving, (training.state if training.under_way else ready[1]) if moving else say("AsWanted")),
        "Degraded": (degraded is not None, degraded or say("AllWell")),
    }
    status = _status(recommender, observed, found, keep=before)
    status = _with(status, version=serving.version, replicas=serving.replicas, run=training.run)
    status = _with(status, release=_release_status(recommender, observed, serving))
    if observed.releases:
        status["selector"] = (
            f"app.kubernetes.io/name=recommender,app.kubernetes.io/instance={recommender['metadata']['name']}"
        )
    old_runs = pruned_runs(recommender, spec, observed)
    old_versions = _pruned_versions(recommender, spec, observed, serving.version)
    pruned = (*old_runs, *old_versions)
    events = (*training.events, *serving.plan.events, *_transitions(before, status))
    if old_versions:
        names = ", ".join(name for _, name in old_versions)
        events = (*events, Event(type="Normal", reason="Pruned", message=say("Pruned", objects=names).message))
    return Plan(
        status=status,
        apply=training.apply,
        delete=(*training.delete, *pruned),
        release=serving.plan.release,
        version_status=_version_status(recommender, observed, serving.version),
        events=events,
        requeue_seconds=sooner(training.requeue_seconds, serving.plan.requeue_seconds),
    )


def _degraded(
    recommender: Object, spec: RecommenderSpec, observed: Observed, training: Training, serving: Serving,
    failures: list[Found],
) -> Found | None:  # fmt: skip
    """The first thing that is amiss though something may serve."""
    if failures:
        return failures[0]
    for why in (*training.problems, serving.ready[1], training.state):
        if why is not None and why.reason in WARNINGS:
            return why
    return _too_old(recommender, spec, observed, serving.version)


def _too_old(recommender: Object, spec: RecommenderSpec, observed: Observed, version: str | None) -> Found | None:
    for found in versions_of(recommender, observed):
        made = found["metadata"].get("creationTimestamp")
        if found["spec"]["version"] == version and made:
            age = observed.now - datetime.fromisoformat(made.replace("Z", "+00:00"))
            if age > timedelta(days=spec.gate.max_age_days):
                return say("VersionTooOld", version=version, days=age.days, limit=spec.gate.max_age_days)
    return None


def _release_status(recommender: Object, observed: Observed, serving: Serving) -> dict[str, Any] | None:
    if not observed.releases or serving.released[1].reason == "ForeignObject":
        return None
    meta = recommender["metadata"]
    status: dict[str, Any] = {"name": meta["name"], "revision": observed.releases[-1].revision}
    if serving.held[0]:
        before = recommender.get("status", {}).get("release", {})
        status["heldSinceGeneration"] = before.get("heldSinceGeneration", meta["generation"])
    return status


def _version_status(recommender: Object, observed: Observed, serving: str | None) -> dict[str, bool]:
    """ModelVersions whose status says something else than what serves."""
    return {
        version["metadata"]["name"]: version["spec"]["version"] == serving
        for version in versions_of(recommender, observed)
        if bool(version.get("status", {}).get("serving")) != (version["spec"]["version"] == serving)
    }


def _pruned_versions(
    recommender: Object, spec: RecommenderSpec, observed: Observed, serving: str | None
) -> tuple[ChildKey, ...]:
    versions = versions_of(recommender, observed)
    kept = {serving, spec.serving.pinned_version}
    return tuple(
        ("ModelVersion", version["metadata"]["name"])
        for version in versions[: -spec.retention.versions]
        if version["spec"]["version"] not in kept
    )


def _status(
    recommender: Object, observed: Observed, found: Mapping[str, tuple[bool, Found]], *, keep: dict[str, Any]
) -> dict[str, Any]:
    generation = recommender["metadata"]["generation"]
    before = keep.get("conditions", [])
    fresh = merged(before, found, generation=generation, now=observed.now)
    rest = [condition for condition in before if condition["type"] not in found]
    return keep | {"observedGeneration": generation, "conditions": [*fresh, *rest]}


def _with(status: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The status with ``values``; None is absent, never null."""
    whole = status | values
    return {key: value for key, value in whole.items() if value is not None}


def _transitions(before: dict[str, Any], after: dict[str, Any]) -> tuple[Event, ...]:
    """One event where Ready, Degraded or ReleaseHeld changed its reason."""
    old = {condition["type"]: condition for condition in before.get("conditions", [])}
    events: dict[str, Event] = {}
    for condition in after["conditions"]:
        if condition["type"] not in ("Ready", "ReleaseHeld", "Degraded"):
            continue
        reason = condition["reason"]
        if old.get(condition["type"], {}).get("reason") == reason or reason in ("AllWell", "NotHeld"):
            continue
        if reason in TOLD_ELSEWHERE:
            continue
        warns = reason in WARNINGS
        event = Event(type="Warning" if warns else "Normal", reason=reason, message=condition["message"])
        events.setdefault(reason, event)
    return tuple(events.values())
