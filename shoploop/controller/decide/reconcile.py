"""What a Recommender's world should look like: ``desired(recommender, observed) -> Plan``; pure.

Called for every event, after every failure and by the clock. It reads nothing but its arguments, so nearly all of the
operator's behaviour is tested without a cluster.
"""

from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from shoploop.api.kubernetes import STORE_KEYS
from shoploop.api.loading import problems_of
from shoploop.api.places import relative_uris
from shoploop.api.unbuilt import described, unbuilt
from shoploop.api.v1alpha1 import Recommender, RecommenderSpec
from shoploop.controller.decide import (
    compaction,
    deletion,
    feedback,
    handed_over,
    online,
    renewals,
    serve_decisions,
    signing,
    store_place,
)
from shoploop.controller.decide.conditions import WARNINGS, Found, incumbent_not_compared, say
from shoploop.controller.decide.names import FINALIZER, Object
from shoploop.controller.decide.observed import ChildKey, Event, Observed, Plan
from shoploop.controller.decide.pruning import prune
from shoploop.controller.decide.runs import Training, advance, pruned_runs, sooner
from shoploop.controller.decide.serving import RELEASE, Serving, serving_of
from shoploop.controller.decide.settings import Settings
from shoploop.controller.decide.situation import Situation
from shoploop.controller.decide.telling import present, status_of, transitions
from shoploop.controller.decide.versions import Version

BLOCKED_SECONDS = 15
"""How soon it is seen that somebody mended what blocks a Recommender: a Secret is not watched."""


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
    serving = serving_of(situation, training, versions)
    return _assembled(situation, training, serving, versions)


def parse(recommender: Object) -> RecommenderSpec:
    known = {key: recommender[key] for key in ("apiVersion", "kind", "spec")}
    known["metadata"] = {"name": recommender["metadata"]["name"]}
    return Recommender.model_validate(known, strict=True, by_alias=True, by_name=False).spec


def _blocker(situation: Situation) -> Found | None:
    """The first thing that somebody has to mend before anything can be done."""
    spec, observed = situation.spec, situation.observed
    if beyond := unbuilt(spec, place="Cluster"):
        return say("NotBuilt", what=described(beyond))
    if observed.rival:
        return say("StoreTaken", other=observed.rival, path=store_place.named(situation.recommender))
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
    status = status_of(recommender, observed, found, keep=before)
    return Plan(status=status, events=transitions(before, status), requeue_seconds=BLOCKED_SECONDS)


def _with_made(versions: tuple[Version, ...], made: Version | None) -> tuple[Version, ...]:
    """The versions as they will be once what a run just made is written."""
    if made is None:
        return versions
    if all(version.id != made.id for version in versions):
        return (*versions, made)
    return tuple(made if version.id == made.id else version for version in versions)


def _assembled(situation: Situation, training: Training, serving: Serving, versions: tuple[Version, ...]) -> Plan:
    observed, before = situation.observed, situation.status
    failures = [failure.found for key, failure in sorted(observed.failures.items()) if key != RELEASE]
    ready = serving.ready
    if failures and not ready[0]:
        ready = (False, failures[0])
    about_run = training.rested or training.state
    run_ok = bool(training.last and training.last["phase"] == "Succeeded") or about_run.reason == "NoRunNeeded"
    learned = online.look(situation, serving.version)
    renews = training.run["id"] if training.run and training.under_way and renewals.is_renewal(training.run) else None
    rollout, compacted = serving.rollout, compaction.look(situation, renewal=renews)
    degraded = (
        _degraded(situation, training, serving, versions, failures)
        or rollout.degraded
        or learned.degraded
        or compacted.problem
    )
    moving = training.under_way or serving.moving or rollout.waits is not None
    why_moving = training.state if training.under_way else ready[1] if serving.moving else rollout.waits or ready[1]
    renewal = training.renewal or (None if renews else renewals.not_due(situation))
    found: dict[str, tuple[bool, Found]] = {
        "Ready": ready,
        "RunSucceeded": (run_ok, about_run),
        **({renewals.CONDITION: renewal} if renewal else {}),
        "Released": serving.released,
        "ReleaseHeld": serving.held,
        "Progressing": (moving, why_moving if moving else say("AsWanted")),
        **rollout.condition,
        **learned.condition,
        "Degraded": (degraded is not None, degraded or say("AllWell")),
    } | incumbent_not_compared(training.last)
    status = status_of(situation.recommender, observed, found, keep=before)
    status = present(status, version=serving.version, replicas=serving.replicas, run=training.run)
    status = present(status, trainingRun=training.trained)
    status = present(status, release=_release_status(situation, serving), online=learned.status, serving=rollout.status)
    if observed.releases:
        status["selector"] = f"app.kubernetes.io/name=recommender,app.kubernetes.io/instance={situation.name}"
    made = {(run or {}).get("version") for run in (training.run, training.trained)}
    in_use = {serving.version, situation.spec.serving.pinned_version, *made}
    in_use |= {release.version for release in observed.releases} | rollout.in_use
    in_use |= {serving.target.id} if serving.target is not None else set()
    pruned = prune(situation, in_use, settled=ready[0] and not moving)
    old_versions = pruned.versions
    events = (*training.events, *serving.plan.events, *rollout.events, *learned.events, *transitions(before, status))
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
    rested = (training.rested, training.renewal and training.renewal[1])
    for why in (*training.problems, serving.ready[1], training.state, *rested):
        if why is not None and why.reason in WARNINGS:
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
