"""What asks for a run: somebody, a changed spec, the schedule, changed data; pure."""

from datetime import datetime, timedelta
from typing import Any

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide.conditions import Found, say, timestamp
from shoploop.controller.decide.names import RUN_ANNOTATION, Object
from shoploop.controller.decide.observed import Observed
from shoploop.controller.decide.schedule import last_slot, next_slot
from shoploop.errors import SpecInvalid

REASONS = {"Request": "a request", "Spec": "the spec", "Schedule": "the schedule", "Data": "changed data"}
"""What started a run, in the words of its event."""


def versions_of(recommender: Object, observed: Observed) -> list[Object]:
    """Its ModelVersions, oldest first."""
    name = recommender["metadata"]["name"]
    own = [
        c for (kind, _), c in observed.children.items() if kind == "ModelVersion" and c["spec"]["recommender"] == name
    ]
    return sorted(own, key=lambda v: (v["metadata"].get("creationTimestamp", ""), v["metadata"]["name"]))


def run_due(
    recommender: Object, spec: RecommenderSpec, before: dict[str, Any] | None, observed: Observed, *,
    slot: datetime | None, source: str | None,
) -> tuple[str, str] | None:  # fmt: skip
    """What asks for a run now, and the value that tells it from another asking.

    Args:
        before: The last run.
        slot: When the schedule fired last.
        source: Digest of the data as they now are, where somebody looked.
    """
    wanted_hash = runs.spec_hash(spec)
    asked = recommender["metadata"].get("annotations", {}).get(RUN_ANNOTATION)
    if asked and asked != (before or {}).get("request"):
        return "Request", asked
    known = {version["spec"].get("specHash") for version in versions_of(recommender, observed)}
    failed_elsewhere = before is not None and before["phase"] == "Failed" and other_pods(spec, before)
    if wanted_hash not in known and (wanted_hash != (before or {}).get("specHash") or failed_elsewhere):
        return "Spec", wanted_hash
    if slot is not None:
        since = recommender["metadata"]["creationTimestamp"]
        if before:
            since = max(since, before["startedAt"], before.get("finishedAt", ""))
        if timestamp(slot) > since:
            return "Schedule", timestamp(slot)
    if source is not None and _learned_from_other_data(recommender, before, observed, wanted_hash, source):
        return "Data", source
    return None


def _learned_from_other_data(
    recommender: Object, before: dict[str, Any] | None, observed: Observed, wanted_hash: str, source: str
) -> bool:
    """Whether the last run read other data; one that failed before it had read any counts as such."""
    if before is not None:
        return bool(before.get("source", "" if before["phase"] == "Failed" else source) != source)
    records = [v["spec"] for v in versions_of(recommender, observed) if v["spec"].get("specHash") == wanted_hash]
    return bool(records) and bool(records[-1].get("lineage", {}).get("data", source) != source)


def request_of(recommender: Object) -> dict[str, str]:
    """What was asked for when a run started, so that it is asked for once."""
    asked = recommender["metadata"].get("annotations", {}).get(RUN_ANNOTATION)
    return {"request": asked} if asked else {}


def other_pods(spec: RecommenderSpec, run: dict[str, Any]) -> bool:
    """Whether the spec asks for other pods than those that a run was given."""
    wanted = runs.pod_hash(spec)
    return bool(run.get("podHash", wanted) != wanted)


def schedule_of(spec: RecommenderSpec, now: datetime) -> tuple[datetime | None, Found | None]:
    """The last time at which the schedule fired, or why it never does."""
    if spec.schedule is None:
        return None, None
    try:
        return last_slot(spec.schedule, now), None
    except SpecInvalid as error:
        return None, say("ScheduleNeverFires", cron=spec.schedule.cron, why=str(error))


def next_look(spec: RecommenderSpec, now: datetime) -> float | None:
    if spec.schedule is None or spec.suspend:
        return None
    try:
        slot = next_slot(spec.schedule, now)
    except SpecInvalid:
        return None
    return max((slot - now + timedelta(seconds=1)).total_seconds(), 1) if slot else None
