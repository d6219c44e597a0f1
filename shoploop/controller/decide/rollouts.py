"""Who serves, and who is tried beside: what goes into the logs of the store, and what predictors make of it; pure.

The store's logs say who serves, for everybody who may write them. The operator adds an entry for each new fact, a verdict
that lets a version serve or a pin; what a person decides by the annotation ``shoploop.io/serve`` goes the same way.
Predictors follow the logs by themselves, and say what came of it when they are asked. Pods are made anew only for a version
of other serving code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shoploop.api.predictor_state import CandidateState, PredictorState
from shoploop.api.status import Package
from shoploop.controller.decide.conditions import WARNINGS, Found, say, timestamp
from shoploop.controller.decide.names import SERVE_ANNOTATION, Object
from shoploop.controller.decide.observed import ChildKey, Event
from shoploop.controller.decide.serve_decisions import (
    A_PREDICTOR,
    ANNOTATION,
    Carried,
    Decision,
    Wish,
    annotated,
    by_itself,
    carry,
    is_done,
    requested,
    states,
    wished,
    with_written,
)
from shoploop.controller.decide.situation import Situation
from shoploop.controller.decide.versions import Version

CONDITION = "Candidate"
LOOK_SECONDS = 10
"""Between two questions to predictors that try a candidate: so late its end is told at most."""

SOON_SECONDS = 2
"""Between two while something is on its way."""

IDLE_SECONDS = 60
"""Between two where nothing is under way: so late a promotion from the command line shows at most."""

SILENT_SECONDS = 120
"""Predictors that are ready may be silent for as long."""

PATIENCE = 10
"""Those that are silent are asked again after this part of the time that they have been: a question that nobody answers
keeps a worker of the operator from other Recommenders."""

GREW = 1.5
"""A count that grew by less is not written anew: each write is another look."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """The part of a plan that is about who serves."""

    base: Version | None
    """What pods are to be started with."""

    package: Package | None = None
    """Which Bento of it."""

    condition: Mapping[str, tuple[bool, Found]] = field(default_factory=dict)
    status: dict[str, Any] | None = None
    """``status.serving``."""

    waits: Found | None = None
    """Why the promoted version does not serve yet."""

    degraded: Found | None = None
    in_use: frozenset[str] = frozenset()
    """Versions that somebody is served by, or may be at once."""

    apply: tuple[Object, ...] = ()
    delete: tuple[ChildKey, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_seconds: float | None = None


def stable(situation: Situation) -> str | None:
    """The version that serves in all predictors that answered; None where they differ, or none did."""
    found = {state.stable for state in states(situation)}
    return found.pop() if len(found) == 1 else None


def look(situation: Situation, target: Version | None) -> Rollout:
    """What pods are to be started with, what is to be written, and what is to be told.

    Args:
        situation: Of the Recommender.
        target: The version that passed last, or is pinned; None where there is none.
    """
    before: dict[str, Any] = situation.status.get("serving") or {}
    told = max(states(situation), key=lambda state: state.promotions, default=None)
    asleep = situation.spec.serving.replicas == 0
    # nothing is promoted before it is on record why it may serve; until then what was decided before stands, for its Job may
    # have ended and not been read yet
    unrecorded = target is not None and all(
        (one.id, one.verdicts) != (target.id, target.verdicts) for one in situation.versions
    )
    wish = wished(situation, target, told) if target is not None and not unrecorded and not asleep else None
    before = with_written(situation, before, wish)
    open_wish = wish if wish is not None and not is_done(situation, wish, before, told) else None
    request = requested(situation, before)
    decisions = [
        *([open_wish.decision] if open_wish else []),
        *([request] if request else []),
        *by_itself(situation, told),
    ]
    carried = carry(situation, decisions, keep=unrecorded)
    status, events = _status(situation, before, told, open_wish, request, carried)
    value = annotated(situation)
    if value and value != before.get("asked") and ANNOTATION.fullmatch(value) is None:
        status["asked"] = value
        events = (*events, _event("ServeAnnotationUnread", value=value, annotation=SERVE_ANNOTATION))
    waits, silent = _waits(told), _silent(situation, before)
    status |= silent
    held = waits is not None and waits.reason in WARNINGS
    condition = _condition(situation, told, open_wish)
    base, package = _base(situation, target, open_wish, status, told, asleep=asleep, unrecorded=unrecorded)
    why = condition.get(CONDITION)
    degraded = (
        carried.problem
        or (waits if held else None)
        or _unreachable(situation, silent)
        or (why[1] if why is not None and why[1].reason in WARNINGS else None)
    )
    return Rollout(
        base=base,
        package=package,
        condition=condition,
        status=status or None,
        waits=waits,
        degraded=degraded,
        in_use=_in_use(situation, told),
        apply=carried.apply,
        delete=carried.delete,
        events=events,
        requeue_seconds=_again(situation, told, carried, waits, silent),
    )


def _status(
    situation: Situation, before: Mapping[str, Any], told: PredictorState | None, wish: Wish | None,
    request: Decision | None, carried: Carried,
) -> tuple[dict[str, Any], tuple[Event, ...]]:  # fmt: skip
    """``status.serving``, and what was decided since."""
    known = {key: before[key] for key in ("request", "asked", "promoted") if before.get(key) is not None}
    events: list[Event] = []
    if told is not None and told.promoted is not None:
        known["promoted"] = told.promoted
    if wish is not None and wish.decision.key in carried.done:
        known["request"] = wish.decision.key
        if not wish.tries:
            known["promoted"] = wish.version.id
        events.append(_event("ServeDecided", what=wish.decision.what))
    if request is not None:
        if request.key in carried.done:
            known["asked"] = request.what
            events.append(_event("ServeDecided", what=request.what))
        elif request.key in carried.failed:  # a person reads it and writes another
            known["asked"] = request.what
            events.append(_event("ServeNotDecided", what=request.what, detail=carried.failed[request.key]))
    if told is not None and told.candidate is not None:
        known["candidate"] = _candidate_status(situation, before.get("candidate") or {}, told.candidate)
    return known, tuple(events)


def _candidate_status(situation: Situation, before: Mapping[str, Any], now: CandidateState) -> dict[str, Any]:
    seen = [state.candidate for state in states(situation)]
    same = [one for one in seen if one is not None and one.number == now.number]
    counts = {name: sum(getattr(one, name) for one in same) for name in ("given", "failed", "different")}
    if before.get("number") == now.number:
        counts = {name: _grown(before.get(name, 0), count) for name, count in counts.items()}
    return {
        "version": now.version,
        "number": now.number,
        "percent": now.percent,
        "shadow": now.shadow,
        "pods": sum(one.answers for one in same),
    } | counts


def _grown(before: int, now: int) -> int:
    return before if before and before <= now < GREW * before else now


def _condition(situation: Situation, told: PredictorState | None, wish: Wish | None) -> dict[str, tuple[bool, Found]]:
    """How a candidate fares; nothing where nobody asked for one and none was ever told of."""
    was_told = any(found["type"] == CONDITION for found in situation.status.get("conditions", []))
    if wish is not None and wish.tries:
        return {CONDITION: (False, say("CandidateBegins", version=wish.version.id))}
    if told is not None and (now := told.candidate) is not None:
        about = {"version": now.version, "stable": told.stable}
        seen = [state.candidate for state in states(situation)]
        same = [one for one in seen if one is not None and one.number == now.number]
        if returned := next((one.returned for one in same if one.returned), None):
            return {CONDITION: (False, say("CandidateReturned", reason=returned, **about))}
        if same and not any(one.answers for one in same):
            if told.problem:
                return {CONDITION: (False, say("CandidateRefused", detail=told.problem, **about))}
            return {
                CONDITION: (False, say("CandidateOtherCode", annotation=SERVE_ANNOTATION, name=situation.name, **about))
            }
        if now.shadow:
            return {CONDITION: (True, say("CandidateInShadow", **about))}
        return {CONDITION: (True, say("CandidateAnswers", percent=now.percent, **about))}
    if told is not None and (ended := told.ended) is not None:
        reason = "CandidateReturned" if ended.by.startswith(A_PREDICTOR) else "CandidateEnded"
        return {CONDITION: (False, say(reason, version=ended.version, reason=ended.reason, stable=told.stable))}
    if told is not None and (was_told or situation.spec.serving.candidate is not None):
        return {CONDITION: (False, say("NoCandidate"))}
    return {}


def _waits(told: PredictorState | None) -> Found | None:
    """Why the promoted version does not serve where that was read; of other code is a rollout, and told as such."""
    if told is None or told.waiting is None or told.waiting.code == "OtherCode":
        return None
    reasons = {"CatchingUp": "CatchingUp", "LearningStopped": "PromotionHeld", "Refused": "PromotionHeld"}
    return say(reasons[told.waiting.code], detail=told.waiting.message)


def _silent(situation: Situation, before: Mapping[str, Any]) -> dict[str, str]:
    """Since when no predictor says who answers, though there are some to ask."""
    if not isinstance(situation.observed.predictors, str):
        return {}
    return {"silentSince": before.get("silentSince") or timestamp(situation.now)}


def _unreachable(situation: Situation, silent: Mapping[str, str]) -> Found | None:
    ready = int((situation.predictor or {}).get("status", {}).get("readyReplicas", 0))
    if not silent or not ready:
        return None
    if _silence_seconds(situation, silent) < SILENT_SECONDS:
        return None
    return say("PredictorsUnreachable", detail=situation.observed.predictors)


def _silence_seconds(situation: Situation, silent: Mapping[str, str]) -> float:
    since = datetime.fromisoformat(silent["silentSince"].replace("Z", "+00:00"))
    return (situation.now - since).total_seconds()


def _base(
    situation: Situation, target: Version | None, wish: Wish | None, status: Mapping[str, Any],
    told: PredictorState | None, *, asleep: bool, unrecorded: bool,
) -> tuple[Version | None, Package | None]:  # fmt: skip
    """The version that is released: what pods have now, for as long as who serves was packaged by the same serving code."""
    versions = {version.id: version for version in situation.versions} | ({target.id: target} if target else {})
    now = versions.get(situation.release.version) if situation.release is not None else None
    wanted = target
    if not asleep and target is not None:
        if unrecorded:
            wanted = now or target
        elif wish is not None:
            wanted = now or target if wish.tries else wish.version
        else:
            promoted = told.promoted if told is not None and told.promoted else status.get("promoted")
            wanted = versions.get(promoted or target.id) or now or target
    if wanted is None:
        return None, None
    package = wanted.package(situation.pack_hash)
    if now is None or asleep or package is None or now.id == wanted.id:
        return wanted, package
    held, fits = _released_package(situation, now), now.package(situation.pack_hash)
    if held is not None and held == fits and held.code is not None and held.code == package.code:
        return now, held
    return wanted, package


def _released_package(situation: Situation, version: Version) -> Package | None:
    """The Bento that pods are started with now."""
    digest = situation.release.digest if situation.release is not None else ""
    return next((package for package in version.packages if package.digest == digest), None)


def _in_use(situation: Situation, told: PredictorState | None) -> frozenset[str]:
    found = {state.stable for state in states(situation)} | {state.base for state in states(situation)}
    if told is not None:
        found |= {told.promoted} if told.promoted else set()
        found |= {told.candidate.version} if told.candidate else set()
    return frozenset(found)


def _again(
    situation: Situation, told: PredictorState | None, carried: Carried, waits: Found | None, silent: Mapping[str, str]
) -> float | None:
    if situation.observed.predictors == () and not carried.waiting and not carried.problem:
        return None
    differ = told is not None and any(state.stable != (told.promoted or state.stable) for state in states(situation))
    if silent:
        return min(max(_silence_seconds(situation, silent) / PATIENCE, SOON_SECONDS), IDLE_SECONDS)
    if carried.waiting or waits is not None or differ:
        return SOON_SECONDS
    tries = told is not None and told.candidate is not None
    return LOOK_SECONDS if tries or carried.problem else IDLE_SECONDS


def _event(reason: str, **values: object) -> Event:
    return Event(
        type="Warning" if reason in WARNINGS else "Normal", reason=reason, message=say(reason, **values).message
    )
