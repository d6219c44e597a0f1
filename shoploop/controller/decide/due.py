"""What asks for a run: somebody, a changed spec, the schedule, changed data; pure."""

from datetime import datetime, timedelta
from typing import Any

from shoploop.api.v1alpha1 import RecommenderSpec, ScheduleSpec
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide.conditions import Found, say, timestamp
from shoploop.controller.decide.names import RUN_ANNOTATION
from shoploop.controller.decide.schedule import last_slot, next_slot
from shoploop.controller.decide.situation import Situation
from shoploop.errors import SpecInvalid

REASONS = {"Request": "a request", "Spec": "the spec", "Schedule": "the schedule", "Data": "changed data"}
"""What started a run, in the words of its event."""


def run_due(
    situation: Situation, before: dict[str, Any] | None, *, slot: datetime | None, source: str | None
) -> tuple[str, str] | None:
    """What asks for a run now, and the value that tells it from another asking.

    Args:
        situation: Of a Recommender without a run under way.
        before: The last run that trained.
        slot: When the schedule fired last.
        source: Digest of the data as they now are, where somebody looked.
    """
    wanted_hash = situation.spec_hash
    asked = situation.annotations.get(RUN_ANNOTATION)
    if asked and asked != (before or {}).get("request"):
        return "Request", asked
    judged = any(version.judged_by(wanted_hash) for version in situation.versions)
    failed_elsewhere = before is not None and before["phase"] == "Failed" and other_pods(situation.spec, before)
    if not judged and (wanted_hash != (before or {}).get("specHash") or failed_elsewhere):
        return "Spec", wanted_hash
    if slot is not None:
        since = situation.recommender["metadata"]["creationTimestamp"]
        if before:
            since = max(since, before["startedAt"], before.get("finishedAt", ""))
        if timestamp(slot) > since:
            return "Schedule", timestamp(slot)
    if source is not None and _learned_from_other_data(situation, before, source):
        return "Data", source
    return None


def _learned_from_other_data(situation: Situation, before: dict[str, Any] | None, source: str) -> bool:
    """Whether the last run read other data; one that failed before it had read any counts as such."""
    if before is not None:
        return bool(before.get("source", "" if before["phase"] == "Failed" else source) != source)
    made = [version for version in situation.versions if version.judged_by(situation.spec_hash)]
    return bool(made) and (made[-1].learned_from or source) != source


def request_of(situation: Situation) -> dict[str, str]:
    """What was asked for when a run started, so that it is asked for once."""
    asked = situation.annotations.get(RUN_ANNOTATION)
    return {"request": asked} if asked else {}


def other_pods(spec: RecommenderSpec, run: dict[str, Any]) -> bool:
    """Whether the spec asks for other pods than those that a run was given."""
    wanted = runs.pod_hash(spec)
    return bool(run.get("podHash", wanted) != wanted)


def schedule_of(schedule: ScheduleSpec | None, now: datetime, *, field: str) -> tuple[datetime | None, Found | None]:
    """The last time at which a schedule fired, or why it never does.

    Args:
        field: Where it stands in the spec.
    """
    if schedule is None:
        return None, None
    try:
        return last_slot(schedule, now), None
    except SpecInvalid as error:
        return None, say("ScheduleNeverFires", field=field, cron=schedule.cron, why=str(error))


def slots_of(spec: RecommenderSpec, now: datetime) -> tuple[datetime | None, datetime | None, tuple[Found, ...]]:
    """When spec.schedule and spec.renewal fired last, and which of the two never does."""
    run, amiss = schedule_of(spec.schedule, now, field="spec.schedule")
    renewal, too = schedule_of(spec.renewal, now, field="spec.renewal")
    return run, renewal, tuple(found for found in (amiss, too) if found is not None)


def next_look(spec: RecommenderSpec, now: datetime) -> float | None:
    """Seconds until one of the two fires."""
    waits = [_until(schedule, now) for schedule in (spec.schedule, spec.renewal) if schedule and not spec.suspend]
    return min((seconds for seconds in waits if seconds is not None), default=None)


def _until(schedule: ScheduleSpec, now: datetime) -> float | None:
    try:
        slot = next_slot(schedule, now)
    except SpecInvalid:
        return None
    return max((slot - now + timedelta(seconds=1)).total_seconds(), 1) if slot else None
