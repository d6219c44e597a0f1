"""How a Recommender's status and events tell what was found; pure."""

from collections.abc import Mapping
from typing import Any

from shoploop.controller.decide import online, rollouts
from shoploop.controller.decide.conditions import WARNINGS, Found, merged, spelt_out, told_once
from shoploop.controller.decide.names import Object
from shoploop.controller.decide.observed import Event, Observed

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


def status_of(
    recommender: Object, observed: Observed, found: Mapping[str, tuple[bool, Found]], *, keep: dict[str, Any]
) -> dict[str, Any]:
    """The status with what was found now; ``keep`` is what it said before."""
    generation = recommender["metadata"]["generation"]
    before = spelt_out(keep.get("conditions", []))
    fresh = merged(before, found, generation=generation, now=observed.now)
    rest = [condition for condition in before if condition["type"] not in found]
    return keep | {"observedGeneration": generation, "conditions": told_once([*fresh, *rest])}


def present(status: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The status with ``values``; None is absent, never null."""
    whole = status | values
    return {key: value for key, value in whole.items() if value is not None}


def transitions(before: dict[str, Any], after: dict[str, Any]) -> tuple[Event, ...]:
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
