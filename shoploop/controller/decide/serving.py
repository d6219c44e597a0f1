"""Which version serves, and how far its release and its pods are; pure."""

from dataclasses import dataclass, field, replace

from shoploop.controller.decide import outcome, releases, rollouts, serve_decisions
from shoploop.controller.decide.conditions import Found, say
from shoploop.controller.decide.drift import holds
from shoploop.controller.decide.names import COMPONENT_LABEL, Object
from shoploop.controller.decide.observed import Event, Install, Plan, Recover, Repair
from shoploop.controller.decide.runs import POLL_SECONDS, Training, sooner
from shoploop.controller.decide.situation import Situation
from shoploop.controller.decide.target import target_of
from shoploop.controller.decide.versions import Version

RELEASE = "release"
"""Key of a failure of the Helm release."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The part of a plan that is about the release and its pods."""

    ready: tuple[bool, Found]
    released: tuple[bool, Found]
    held: tuple[bool, Found]
    version: str | None
    """What serves: the version that the release runs, once its pods are out."""

    target: Version | None = None
    """What pods are to be started with."""

    rollout: rollouts.Rollout = field(default_factory=lambda: rollouts.Rollout(base=None))
    """Who serves, and who is tried beside."""

    replicas: int | None = None
    moving: bool = False
    plan: Plan


def serving_of(situation: Situation, training: Training, versions: tuple[Version, ...]) -> Serving:
    """What of the versions is released, serves, and is tried beside."""
    target = target_of(situation, versions)
    rollout = rollouts.look(situation, None if isinstance(target, Found) else target)
    serving = _released_or_not(situation, training, target, rollout)
    return replace(serving, target=rollout.base, rollout=rollout)


def _released_or_not(
    situation: Situation, training: Training, target: Version | Found | None, rollout: rollouts.Rollout
) -> Serving:
    if isinstance(target, Found):
        return _as_it_is(situation, target, wanted=True)
    base, package = rollout.base, rollout.package
    if target is None or base is None:
        nothing = training.state.reason in ("RunSucceeded", "NoRunNeeded")
        return _as_it_is(situation, say("NoVersion") if nothing else training.state)
    if package is None:
        return _as_it_is(situation, say("PackageMissing", version=base.id, name=situation.name), wanted=True)
    return _released(situation, base, releases.decide(situation, releases.values(situation, base, package)))


def _as_it_is(situation: Situation, why: Found, *, wanted: bool = False) -> Serving:
    """Nothing can be released, so what is released stays as it is.

    Args:
        situation: Of the Recommender.
        why: Why nothing can be.
        wanted: Whether the spec asks for something that is not there, so that it is not ready whatever serves.
    """
    plan, not_held, latest = Plan(status={}), (False, say("NotHeld")), situation.release
    if latest is None or latest.status != "deployed":
        return Serving(
            ready=(False, why),
            released=(False, say("NotReleased")),
            held=not_held,
            version=_serves(situation),
            plan=plan,
        )
    version = _serves(situation)
    count, ready, done = _pods(situation.predictor)
    state = (False, why)
    if version and done and not wanted:
        state = (True, _serves_well(version, ready, count))
    return Serving(
        ready=state,
        released=(True, _is_released(situation)),
        held=not_held,
        version=version,
        replicas=ready,
        plan=plan,
    )


def _released(situation: Situation, target: Version, decision: releases.Decision) -> Serving:
    """How far the release is on its way to pods that are started with ``target``."""
    name, failure = situation.name, situation.observed.failures.get(RELEASE)
    not_held = (False, say("NotHeld"))
    plan = Plan(status={}, release=decision.action, requeue_seconds=decision.requeue_seconds)
    serves, latest = _serves(situation), situation.release
    if decision.foreign:
        why = say("ForeignObject", object=f"Helm release {name}", detail=f"helm uninstall {name}, if it is not needed.")
        return Serving(ready=(False, why), released=(False, why), held=not_held, version=None, plan=plan)
    if decision.held_since is not None:
        assert latest is not None
        why = say(
            "ReleaseHeld", revision=latest.revision, release=name, description=latest.description or "no description",
            name=name,
        )  # fmt: skip
        return Serving(
            ready=(False, why), released=(True, why), held=(True, why), version=serves, plan=plan,
            replicas=_ready_replicas(situation),
        )  # fmt: skip
    under_way = latest is not None and latest.status != "deployed"
    if isinstance(decision.action, Install | Recover) or under_way:
        why = failure.found if failure else say("Releasing", release=name, version=target.id)
        return Serving(
            ready=(False, why), released=(False, why), held=not_held, version=serves, moving=True,
            plan=replace(plan, events=_release_events(situation, decision, target.id)),
            replicas=_ready_replicas(situation),
        )  # fmt: skip
    return _rolled_out(situation, plan, target.id)


def _release_events(situation: Situation, decision: releases.Decision, version: str) -> tuple[Event, ...]:
    """Told once per change: a failed attempt that is made again is told by its condition."""
    if situation.observed.failures.get(RELEASE):
        return ()
    events: list[Event] = []
    status, latest = situation.status, situation.release
    if isinstance(decision.action, Recover):
        message = say("ReleaseRecovered", revision=decision.action.revision).message
        return (Event(type="Warning", reason="ReleaseRecovered", message=message),)
    if status.get("release", {}).get("heldSinceGeneration") is not None and latest is not None:
        message = say("ReleaseResumed", revision=latest.revision).message
        events.append(Event(type="Normal", reason="ReleaseResumed", message=message))
    if status.get("version") != version and (latest is None or latest.version != version):
        events.append(Event(type="Normal", reason="Promoted", message=say("Promoted", version=version).message))
    return tuple(events)


def _rolled_out(situation: Situation, plan: Plan, version: str) -> Serving:
    """The release is as wanted; the pods may still be on their way."""
    observed, latest, name = situation.observed, situation.release, situation.name
    assert latest is not None
    failure = observed.failures.get(RELEASE)
    if isinstance(plan.release, Repair):
        objects = ", ".join(f"{o['kind']} {o['metadata']['name']}" for o in plan.release.objects)
        message = say("Repaired", objects=objects, revision=latest.revision).message
        repaired = Event(type="Normal", reason="Repaired", message=message)
        plan = replace(plan, events=() if failure else (repaired,), requeue_seconds=5)
    live = situation.predictor
    wanted, ready, done = _pods(live)
    pods = [pod for pod in observed.pods if _is_predictor(pod, name)]
    detail = outcome.trouble(pods) or _replica_failure(live)
    if failure:
        state = (False, failure.found)
    elif live is None or not done:
        values = {"ready": ready, "wanted": wanted, "version": version}
        state = (False, say("PodsStalled", detail=detail, **values) if detail else say("PodsNotReady", **values))
        plan = replace(plan, requeue_seconds=sooner(plan.requeue_seconds, POLL_SECONDS))
    else:
        state = (True, _serves_well(_serves(situation) or version, ready, wanted))
    return Serving(
        ready=state,
        released=(True, _is_released(situation)),
        held=(False, say("NotHeld")),
        version=_serves(situation),
        replicas=ready,
        moving=not done,
        plan=plan,
    )


def _is_predictor(pod: Object, name: str) -> bool:
    labels: dict[str, str] = pod["metadata"].get("labels", {})
    return labels.get("app.kubernetes.io/instance") == name and labels.get(COMPONENT_LABEL) != "learner"


def _serves_well(version: str, ready: int, wanted: int) -> Found:
    if wanted == 0:
        return say("ScaledToZero", version=version)
    return say("Serving", version=version, ready=ready, wanted=wanted)


def _is_released(situation: Situation) -> Found:
    latest = situation.release
    assert latest is not None
    return say("Released", release=situation.name, revision=latest.revision, version=latest.version)


def _serves(situation: Situation) -> str | None:
    """The version that serves once the release's pods are out, whoever made it: what they say, and where they do not say
    anything what they run; until then as before."""
    before = situation.status.get("version")
    latest, live = situation.release, situation.predictor
    if latest is None or latest.status != "deployed" or latest.recommender != situation.name or not latest.version:
        return before
    if not _pods(live)[2]:
        return before
    ours = [wanted for wanted in situation.rendered if wanted["kind"] == "Deployment"]
    if any(not holds(wanted, situation.child("Deployment", wanted["metadata"]["name"])) for wanted in ours):
        return before  # what was seen of it is older than the revision, or somebody changed it
    if serve_decisions.states(situation):
        return rollouts.stable(situation) or before
    return latest.version


def _pods(live: Object | None) -> tuple[int, int, bool]:
    """Wanted pods, ready pods, and whether all of the newest template are ready and no others are left."""
    if live is None:
        return 0, 0, False
    wanted, status = int(live["spec"].get("replicas", 1)), live.get("status", {})
    ready = int(status.get("readyReplicas", 0))
    current = status.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    updated, total = int(status.get("updatedReplicas", 0)), int(status.get("replicas", 0))
    return wanted, ready, current and ready >= wanted and updated >= wanted and total == updated


def _ready_replicas(situation: Situation) -> int | None:
    live = situation.predictor
    return _pods(live)[1] if live else None


def _replica_failure(live: Object | None) -> str | None:
    for condition in (live or {}).get("status", {}).get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", ""))[:300]
    return None
