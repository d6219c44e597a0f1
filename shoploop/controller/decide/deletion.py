"""How a Recommender goes: its release, then its Jobs and its store if it asked for that, then itself; pure."""

from collections.abc import Iterable
from datetime import datetime

from pydantic import ValidationError

from shoploop.api.pods import needs_claim
from shoploop.api.v1alpha1 import Recommender
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide import outcome, store_place
from shoploop.controller.decide.conditions import Found, merged, say, spelt_out, told_once
from shoploop.controller.decide.names import FINALIZER, Object, event_claim_name, is_ours, store_claim_name
from shoploop.controller.decide.observed import ChildKey, Event, Observed, Plan, Uninstall
from shoploop.controller.decide.settings import Settings
from shoploop.controller.decide.train_jobs import TRAIN_JOB

POLL_SECONDS = 2
PATIENCE = 0.5
"""Of the time that a deletion may take: so long pods are waited for, of which one may be on a node that nobody reaches."""

NAMED = 5
"""Things whose names a sentence has room for."""


def plan(recommender: Object, observed: Observed, settings: Settings) -> Plan:
    """The next step of a deletion. Without a finalizer of ours there is nothing left to do."""
    meta = recommender["metadata"]
    gone = Plan(status=recommender.get("status", {}), finalizer=False)
    if FINALIZER not in meta.get("finalizers", []):
        return gone
    since = datetime.fromisoformat(meta["deletionTimestamp"].replace("Z", "+00:00"))
    seconds = (observed.now - since).total_seconds()
    waiting = _release(recommender, observed) or _store(recommender, observed, settings, seconds=seconds)
    if waiting is None or not waiting.finalizer:
        return waiting or gone
    if seconds > settings.deletion_seconds:
        detail = next((c["message"] for c in waiting.status["conditions"] if c["type"] == "Ready"), "")
        message = say("DeletionTimedOut", seconds=settings.deletion_seconds, detail=detail).message
        return Plan(
            status=gone.status,
            finalizer=False,
            events=(Event(type="Warning", reason="DeletionTimedOut", message=message),),
        )
    return waiting


def _release(recommender: Object, observed: Observed) -> Plan | None:
    name = recommender["metadata"]["name"]
    ours = [r for r in observed.releases if r.recommender == name and r.status != "uninstalled"]
    if not ours:
        return None
    failure = observed.failures.get("release")
    why = failure.found.message if failure else f"Helm release {name} is being uninstalled"
    event = Event(type="Normal", reason="Uninstalled", message=say("Uninstalled", release=name).message)
    return Plan(
        status=_status(recommender, observed, why),
        release=Uninstall(name=name),
        events=() if failure else (event,),
        requeue_seconds=POLL_SECONDS,
    )


def _store(recommender: Object, observed: Observed, settings: Settings, *, seconds: float) -> Plan | None:
    """Removes what lies in the store, where spec.deletionPolicy asks for it, once nobody writes into it any more."""
    try:
        spec = Recommender.model_validate(
            {"metadata": {"name": recommender["metadata"]["name"]}, "spec": recommender["spec"]}
        ).spec
    except ValidationError:
        return None  # what cannot be read was never stored
    if spec.deletion_policy != "Delete":
        return None
    events = _claim(recommender, observed, event_claim_name(recommender), "event log")
    if events is not None:
        return events
    if observed.rival or _was_refused(recommender):
        return _left(recommender, observed)
    if (ending := _jobs(recommender, observed)) is not None:
        return ending
    if needs_claim(spec) and not spec.store.claim:
        return _claim(recommender, observed, store_claim_name(recommender), "store")
    live = observed.children.get(("Job", runs.cleanup_job_name(recommender)))
    at_work = _pods_at_work(recommender, observed) if live is None else ()
    limit = settings.deletion_seconds * PATIENCE
    if at_work and seconds <= limit:
        why = f"what lies in its store is removed once its pods have ended: {_some(at_work)}"
        return Plan(status=_status(recommender, observed, why), requeue_seconds=POLL_SECONDS)
    if live is not None and outcome.state(live) == "Complete":
        return None
    why = "what lies in its store is being removed"
    if live is not None and outcome.state(live) == "Failed":
        why = f"what lies in its store could not be removed: {outcome.failure_message(live, observed.pods)}"
    if "apply" in {key.split(":")[0] for key in observed.failures}:
        why = "; ".join(failure.found.message for failure in observed.failures.values())
    made = () if live is not None else (runs.cleanup_job(recommender, spec, settings),)
    status = _status(recommender, observed, why)
    told: tuple[Event, ...] = ()
    if at_work and not observed.failures:
        left = say("PodsLeft", seconds=limit, pods=_some(at_work))
        told = (Event(type="Warning", reason=left.reason, message=left.message),)
    return Plan(status=status, apply=made, events=told, requeue_seconds=POLL_SECONDS)


def _jobs(recommender: Object, observed: Observed) -> Plan | None:
    """Ends the Jobs and TrainJobs that go on: their pods, too, write into the store."""
    own = ("Job", runs.cleanup_job_name(recommender))
    going = tuple(
        key
        for key, live in sorted(observed.children.items())
        if key[0] in ("Job", TRAIN_JOB.kind) and key != own and is_ours(live, recommender)
        if outcome.state(live) == "Active" and not live["metadata"].get("deletionTimestamp")
    )
    if not going:
        return None
    failed = [failure.found.message for key, failure in sorted(observed.failures.items()) if key.startswith("delete:")]
    why = "; ".join(failed) or f"what goes on for it is being ended: {_some(name for _, name in going)}"
    return Plan(status=_status(recommender, observed, why), delete=going, requeue_seconds=POLL_SECONDS)


def _pods_at_work(recommender: Object, observed: Observed) -> tuple[str, ...]:
    """Names of the Recommender's pods that have not ended, but for those of the cleanup."""
    cleanup = runs.cleanup_job_name(recommender)
    return tuple(
        sorted(
            pod["metadata"]["name"]
            for pod in observed.pods
            if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
            and all(owner.get("name") != cleanup for owner in pod["metadata"].get("ownerReferences", []))
        )
    )


def _some(names: Iterable[str]) -> str:
    """The first few of many."""
    some = list(names)
    return ", ".join(some[:NAMED]) + (f" and {len(some) - NAMED} more" if len(some) > NAMED else "")


def _was_refused(recommender: Object) -> bool:
    """Whether the last word on it, while it lived, was that somebody else has its place: that one may have gone since, and
    what it left was never this one's."""
    return any(c["reason"] == "StoreTaken" for c in recommender.get("status", {}).get("conditions", []))


def _left(recommender: Object, observed: Observed) -> Plan:
    other = observed.rival or "another Recommender"
    why = say("StoreLeft", path=store_place.named(recommender), other=other)
    event = Event(type="Warning", reason=why.reason, message=why.message)
    return Plan(status=recommender.get("status", {}), finalizer=False, events=(event,))


def _claim(recommender: Object, observed: Observed, name: str, what: str) -> Plan | None:
    key: ChildKey = ("PersistentVolumeClaim", name)
    live = observed.children.get(key)
    if live is None or not is_ours(live, recommender) or live["metadata"].get("deletionTimestamp"):
        return None
    return Plan(
        status=_status(recommender, observed, f"the claim of its {what} is being removed"),
        delete=(key,),
        requeue_seconds=POLL_SECONDS,
    )


def _status(recommender: Object, observed: Observed, detail: str) -> Object:
    before: Object = recommender.get("status", {})
    found: dict[str, tuple[bool, Found]] = {"Ready": (False, say("Deleting", detail=detail))}
    conditions = merged(
        before.get("conditions", []), found, generation=recommender["metadata"]["generation"], now=observed.now
    )
    rest = [c for c in spelt_out(before.get("conditions", [])) if c["type"] != "Ready"]
    return before | {"conditions": told_once([*conditions, *rest])}
