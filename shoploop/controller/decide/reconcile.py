"""What a Recommender's world should look like: ``desired(recommender, observed) -> Plan``; pure.

Called for every event, after every failure and by the clock. It reads nothing but its arguments, so nearly all of the
operator's behaviour is tested without a cluster.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from shoploop.api.kubernetes import STORE_KEYS
from shoploop.api.loading import problems_of
from shoploop.api.places import relative_uris
from shoploop.api.pods import needs_claim, store_uri
from shoploop.api.unbuilt import described, unbuilt
from shoploop.api.v1alpha1 import Recommender, RecommenderSpec
from shoploop.controller.decide import (
    compaction,
    deletion,
    feedback,
    handed_over,
    online,
    outcome,
    releases,
    rollouts,
    serve_decisions,
    signing,
)
from shoploop.controller.decide.conditions import (
    WARNINGS,
    Found,
    incumbent_not_compared,
    merged,
    say,
    spelt_out,
    told_once,
)
from shoploop.controller.decide.drift import holds
from shoploop.controller.decide.names import COMPONENT_LABEL, FINALIZER, Object
from shoploop.controller.decide.observed import ChildKey, Event, Install, Observed, Plan, Recover, Repair
from shoploop.controller.decide.pruning import prune
from shoploop.controller.decide.runs import POLL_SECONDS, Training, advance, pruned_runs, sooner
from shoploop.controller.decide.settings import Settings
from shoploop.controller.decide.situation import Situation
from shoploop.controller.decide.versions import Version
from shoploop.store import layout

TOLD_ELSEWHERE = ("Running", "RunPending", "RunFailed", "GateRefused", "PodsNotReady")
"""Reasons without an event: the run tells them itself, or Kubernetes does."""

QUIET = (
    "NoCandidate",
    "CandidateBegins",
    "AllWell",
    "NotHeld",
    "NoIncumbent",
    "IncumbentCompared",
    "LearnerStarting",
    "LearnerOff",
    "OnlineOff",
)
"""Reasons without an event: nothing is amiss."""

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
    """What serves: the version that the release runs, once its pods are out."""

    target: Version | None = None
    """What pods are to be started with."""

    rollout: rollouts.Rollout = field(default_factory=lambda: rollouts.Rollout(base=None))
    """Who serves, and who is tried beside."""

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
    situation = Situation(
        recommender=recommender, spec=spec, observed=observed, settings=settings, chart_digest=chart_digest
    )
    blocker = (
        _blocker(situation)
        or signing.blocker(spec, settings, observed.signing_keys, meta["namespace"])
        or handed_over.blocker(situation.name, spec)
        or online.blocker(spec)
        or feedback.blocker(spec, observed.feedback_secrets, meta["namespace"])
    )
    if blocker is not None:
        return _blocked(recommender, observed, blocker)
    training = advance(situation)
    versions = _with_made(situation.versions, training.version)
    serving = _serving(situation, training, versions)
    return _assembled(situation, training, serving, versions)


def parse(recommender: Object) -> RecommenderSpec:
    known = {key: recommender[key] for key in ("apiVersion", "kind", "spec")}
    known["metadata"] = {"name": recommender["metadata"]["name"]}
    return Recommender.model_validate(known, strict=True, by_alias=True, by_name=False).spec


def store_path(recommender: Object, spec: RecommenderSpec) -> str | None:
    """Where its versions lie, if that can be somebody else's place too: a claim belongs to one namespace."""
    if needs_claim(spec):
        return None
    return f"{store_uri(spec)}/{layout.recommender(recommender['metadata']['name'])}"


def _blocker(situation: Situation) -> Found | None:
    """The first thing that somebody has to mend before anything can be done."""
    spec, observed = situation.spec, situation.observed
    if beyond := unbuilt(spec, place="Cluster"):
        return say("NotBuilt", what=described(beyond))
    if observed.rival:
        return say("StoreTaken", other=observed.rival, path=store_path(situation.recommender, spec))
    reference = spec.store.secret_ref
    if reference is not None:
        if observed.secret_keys is None:
            return say("SecretMissing", secret=reference.name, namespace=situation.namespace)
        missing = [key for key in STORE_KEYS if key not in observed.secret_keys]
        if missing:
            return say("SecretKeyMissing", secret=reference.name, keys=" and ".join(missing))
    if (authority := spec.store.ca_ref) is not None:
        about = {"secret": authority.name, "field": "spec.store.caRef", "namespace": situation.namespace}
        keys = observed.feedback_secrets.get(authority.name)
        if keys is None:
            return say("FeedbackSecretMissing", **about)
        if authority.key not in keys:
            return say("FeedbackSecretKeyMissing", **about, key=authority.key)
    return _unreachable_data(spec)


def _unreachable_data(spec: RecommenderSpec) -> Found | None:
    """A table that no pod could find: known before one is started."""
    relative = relative_uris(spec.data)
    if spec.data.claim is not None or not relative:
        return None
    field, uri = next(iter(relative.items()))
    return say("DataClaimMissing", field=field, uri=repr(uri))


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


def _with_made(versions: tuple[Version, ...], made: Version | None) -> tuple[Version, ...]:
    """The versions as they will be once what a run just made is written."""
    if made is None:
        return versions
    if all(version.id != made.id for version in versions):
        return (*versions, made)
    return tuple(made if version.id == made.id else version for version in versions)


def _target(situation: Situation, versions: tuple[Version, ...]) -> Version | Found | None:
    """The version that should serve; a reason where the pinned one is not there; None where there is none.

    A verdict that lets a version serve promotes it, as an entry of a log: of several versions the one that passed last
    serves. A later refusal demotes nothing that serves, but nobody goes back to a version that was refused last.
    """
    spec = situation.spec
    if spec.serving.pinned_version:
        pinned = [version for version in versions if version.id == spec.serving.pinned_version]
        known = ", ".join(version.id for version in versions) or "none"
        return pinned[0] if pinned else say("VersionNotFound", version=spec.serving.pinned_version, known=known)
    serves = situation.status.get("version") or (situation.release.version if situation.release else None)
    current = next((version for version in versions if version.id == serves and version.packages), None)
    if spec.suspend and current:
        return current
    passed = [
        (verdict.time, verdict.run, version.id, version)
        for version in versions
        if version.packages and (verdict := version.passed_last) and (version is current or version.verdict is verdict)
    ]
    return max(passed)[-1] if passed else current


def _serving(situation: Situation, training: Training, versions: tuple[Version, ...]) -> Serving:
    target = _target(situation, versions)
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


def _assembled(situation: Situation, training: Training, serving: Serving, versions: tuple[Version, ...]) -> Plan:
    observed, before = situation.observed, situation.status
    failures = [failure.found for key, failure in sorted(observed.failures.items()) if key != RELEASE]
    ready = serving.ready
    if failures and not ready[0]:
        ready = (False, failures[0])
    run_ok = bool(training.run and training.run["phase"] == "Succeeded") or training.state.reason == "NoRunNeeded"
    learned = online.look(situation, serving.version)
    rollout, compacted = serving.rollout, compaction.look(situation)
    degraded = (
        _degraded(situation, training, serving, versions, failures)
        or rollout.degraded
        or learned.degraded
        or compacted.problem
    )
    moving = training.under_way or serving.moving or rollout.waits is not None
    why_moving = training.state if training.under_way else ready[1] if serving.moving else rollout.waits or ready[1]
    found: dict[str, tuple[bool, Found]] = {
        "Ready": ready,
        "RunSucceeded": (run_ok, training.state),
        "Released": serving.released,
        "ReleaseHeld": serving.held,
        "Progressing": (moving, why_moving if moving else say("AsWanted")),
        **rollout.condition,
        **learned.condition,
        "Degraded": (degraded is not None, degraded or say("AllWell")),
    } | incumbent_not_compared(training.run)
    status = _status(situation.recommender, observed, found, keep=before)
    status = _with(status, version=serving.version, replicas=serving.replicas, run=training.run)
    status = _with(status, release=_release_status(situation, serving), online=learned.status, serving=rollout.status)
    if observed.releases:
        status["selector"] = f"app.kubernetes.io/name=recommender,app.kubernetes.io/instance={situation.name}"
    in_use = {serving.version, situation.spec.serving.pinned_version, (training.run or {}).get("version")}
    in_use |= {release.version for release in observed.releases} | rollout.in_use
    in_use |= {serving.target.id} if serving.target is not None else set()
    pruned = prune(situation, in_use, settled=ready[0] and not moving)
    old_versions = pruned.versions
    events = (*training.events, *serving.plan.events, *rollout.events, *learned.events, *_transitions(before, status))
    if serve_decisions.states(situation) and (was := before.get("version")) and serving.version != was:
        message = say("Exchanged", version=serving.version, before=was).message
        events = (*events, Event(type="Normal", reason="Exchanged", message=message))
    if old_versions:
        names = ", ".join(name for _, name in old_versions)
        events = (*events, Event(type="Normal", reason="Pruned", message=say("Pruned", objects=names).message))
    return Plan(
        status=status,
        apply=(
            *training.apply,
            *pruned.apply,
            *_event_claim(situation),
            *rollout.apply,
            *compacted.apply,
            *learned.apply,
        ),
        delete=(
            *training.delete,
            *pruned_runs(situation),
            *old_versions,
            *pruned.delete,
            *rollout.delete,
            *compacted.delete,
            *learned.delete,
        ),
        release=serving.plan.release,
        version_status=_version_status(versions, serving.version, old_versions),
        events=events,
        requeue_seconds=sooner(
            sooner(training.requeue_seconds, serving.plan.requeue_seconds),
            sooner(sooner(rollout.requeue_seconds, compacted.requeue_seconds), learned.requeue_seconds),
        ),
    )


def _event_claim(situation: Situation) -> tuple[Object, ...]:
    """The claim of the event log's file, where it is missing: the predictor waits for it."""
    wanted = feedback.claim(situation.recommender, situation.spec)
    there = wanted and situation.child("PersistentVolumeClaim", wanted["metadata"]["name"])
    return (wanted,) if wanted and not there else ()


def _degraded(
    situation: Situation, training: Training, serving: Serving, versions: tuple[Version, ...], failures: list[Found]
) -> Found | None:
    """The first thing that is amiss though something may serve."""
    if failures:
        return failures[0]
    for why in (*training.problems, serving.ready[1], training.state):
        if why.reason in WARNINGS:
            return why
    version = next((version for version in versions if version.id == serving.version), None)
    if version is None:
        recorded = serving.version is None or not situation.observed.releases
        return None if recorded else say("RecordMissing", version=serving.version, name=situation.name)
    return _serves_all_the_same(situation, version) or _too_old(situation, version)


def _serves_all_the_same(situation: Situation, version: Version) -> Found | None:
    """Why a version serves that the gate does not stand by."""
    verdict = version.verdict
    if verdict is not None and verdict.passed:
        return None
    if situation.spec.serving.pinned_version == version.id:
        why = "spec.serving.pinnedVersion names it."
    elif version.passed_last:
        why = f"it passed before, in run {version.passed_last.run}, and nothing has passed since."
    else:
        why = "there is no other version that passed."
    if verdict is None:
        return say("ServesUnjudged", version=version.id, why=why)
    return say("ServesRefused", version=version.id, run=verdict.run, rule=verdict.rule, why=why)


def _too_old(situation: Situation, version: Version) -> Found | None:
    made = version.record["metadata"].get("creationTimestamp")
    if made:
        age = situation.now - datetime.fromisoformat(made.replace("Z", "+00:00"))
        if age > timedelta(days=situation.spec.gate.max_age_days):
            return say("VersionTooOld", version=version.id, days=age.days, limit=situation.spec.gate.max_age_days)
    return None


def _release_status(situation: Situation, serving: Serving) -> dict[str, Any] | None:
    latest = situation.release
    if latest is None or serving.released[1].reason == "ForeignObject":
        return None
    status: dict[str, Any] = {"name": situation.name, "revision": latest.revision}
    if serving.held[0]:
        before = situation.status.get("release", {})
        status["heldSinceGeneration"] = before.get("heldSinceGeneration", situation.generation)
    return status


def _version_status(
    versions: tuple[Version, ...], serving: str | None, gone: tuple[ChildKey, ...]
) -> dict[str, dict[str, Any]]:
    """ModelVersions whose status says something else than what is known of their version."""
    changed = {}
    # the one that no longer serves first: at no moment two of them say that they do
    for version in sorted(versions, key=lambda version: version.id == serving):
        wanted = version.status(serving=version.id == serving)
        known = version.record.get("status") or {}
        if version.key not in gone and wanted != {"serving": False} | known:
            changed[version.key[1]] = wanted
    return changed


def _status(
    recommender: Object, observed: Observed, found: Mapping[str, tuple[bool, Found]], *, keep: dict[str, Any]
) -> dict[str, Any]:
    generation = recommender["metadata"]["generation"]
    before = spelt_out(keep.get("conditions", []))
    fresh = merged(before, found, generation=generation, now=observed.now)
    rest = [condition for condition in before if condition["type"] not in found]
    return keep | {"observedGeneration": generation, "conditions": told_once([*fresh, *rest])}


def _with(status: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The status with ``values``; None is absent, never null."""
    whole = status | values
    return {key: value for key, value in whole.items() if value is not None}


def _transitions(before: dict[str, Any], after: dict[str, Any]) -> tuple[Event, ...]:
    """One event where a condition that people wait for changed its reason."""
    old = {condition["type"]: condition for condition in before.get("conditions", [])}
    events: dict[str, Event] = {}
    for condition in spelt_out(after["conditions"]):
        if condition["type"] not in (
            "Ready",
            "ReleaseHeld",
            "Degraded",
            "IncumbentNotCompared",
            online.CONDITION,
            rollouts.CONDITION,
        ):
            continue
        reason = condition["reason"]
        if old.get(condition["type"], {}).get("reason") == reason or reason in QUIET:
            continue
        if reason in TOLD_ELSEWHERE:
            continue
        warns = reason in WARNINGS
        event = Event(type="Warning" if warns else "Normal", reason=reason, message=condition["message"])
        events.setdefault(reason, event)
    return tuple(events.values())
