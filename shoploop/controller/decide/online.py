"""Learning between two runs, on a cluster: what it needs, how it fares, and what a person decides about it; pure.

The operator reaches no store. How far learning is, the learner itself says when it is asked; what a person writes into the
annotation ``shoploop.io/online`` is carried by a small Job into the chain of commits, where the learner and every predictor
find it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shoploop.api.learner_state import LearnerState
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests, outcome
from shoploop.controller.decide.conditions import WARNINGS, Found, say
from shoploop.controller.decide.names import (
    COMPONENT_LABEL,
    ONLINE_ANNOTATION,
    ONLINE_COMPONENT,
    Object,
    learner_name,
    short_hash,
)
from shoploop.controller.decide.observed import ChildKey, Event
from shoploop.controller.decide.situation import Situation

CONDITION = "OnlineLearning"
LOOK_SECONDS = 10
"""Between two questions to a learner: so late a trip is told at most."""

UNREACHABLE_SECONDS = 60
"""Between two to one that has long been silent: each keeps a worker of the operator from other Recommenders."""

SILENT_SECONDS = 120
"""A learner whose pod is ready, or that has none of its own, may be silent for as long: it may just start again."""

STILL_SECONDS, STILL_SHARE = 2.0, 0.2
"""A lag that moved by less is not written anew: each write is another look."""

VERB = re.compile(
    r"\s*(?:(?P<to>pin|rollback)\s+(?P<commit>\d{1,12})|(?P<alone>unpin|resume))(?:\s+(?P<why>\S.*))?\s*", re.S
)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a person wrote into the annotation."""

    verb: str
    commit: int | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Online:
    """The part of a plan that is about learning between two runs."""

    condition: Mapping[str, tuple[bool, Found]]
    status: dict[str, Any] | None
    """``status.online``."""

    degraded: Found | None = None
    apply: tuple[Object, ...] = ()
    delete: tuple[ChildKey, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_seconds: float | None = None


def blocker(spec: RecommenderSpec) -> Found | None:
    """What somebody has to mend before it can be learned as it is asked for."""
    if not spec.online.enabled:
        return None
    return say("OnlineLogUnset") if spec.online.log is None else None


def look(situation: Situation, version: str | None) -> Online:
    """How learning fares, and what is to be done about it.

    Args:
        situation: Of the Recommender.
        version: That serves.
    """
    if not situation.spec.online.enabled:
        return Online(condition={CONDITION: (False, say("OnlineOff"))} if _was_told(situation) else {}, status=None)
    state = situation.observed.learner
    why = _why(situation, state)
    learns = why.reason == "Learning"
    before: dict[str, Any] = situation.status.get("online") or {}
    status: dict[str, Any] = {}
    if isinstance(state, LearnerState):
        lag = _lag(before.get("lagSeconds"), state.lag_seconds)
        pinned = state.served if state.served != state.commit else None
        known = {"lagSeconds": lag, "servedCommit": pinned, "frozen": state.frozen and state.frozen[:1024]}
        status = {key: value for key, value in known.items() if value is not None}
    asked = _asked(situation, version)
    if request := asked.request or before.get("request"):
        status["request"] = request
    return Online(
        condition={CONDITION: (learns, why)},
        status=status,
        degraded=why if why.reason in WARNINGS else asked.problem,
        apply=asked.apply,
        delete=asked.delete,
        events=asked.events,
        requeue_seconds=UNREACHABLE_SECONDS if why.reason == "LearnerUnreachable" else LOOK_SECONDS,
    )


def _was_told(situation: Situation) -> bool:
    return any(found["type"] == CONDITION for found in situation.status.get("conditions", []))


def _lag(before: float | None, now: float | None) -> float | None:
    """In whole seconds, and as it was told last where it has hardly moved."""
    if now is None:
        return None
    rounded = float(round(now))
    if before is None or rounded == 0:
        return rounded
    return before if abs(rounded - before) <= STILL_SECONDS + STILL_SHARE * before else rounded


def _why(situation: Situation, state: LearnerState | str | None) -> Found:
    """The reason that learning is as it is."""
    name = situation.name
    if situation.release is None:
        return say("LearnerStarting", detail="nothing is released")
    learner = situation.child("Deployment", learner_name(name))
    if learner is not None and learner["spec"].get("replicas") == 0:
        return say("LearnerOff")
    if isinstance(state, LearnerState):
        about = {"version": state.version, "commit": state.commit, "name": name}
        if state.halt is not None:
            return say("LearnerHalted", code=state.halt.code, detail=state.halt.message, **about)
        if state.frozen is not None:
            reason = "GuardrailTripped" if re.match(r"[a-z_]+: ", state.frozen) else "LearningFrozen"
            return say(reason, detail=state.frozen, served=state.served, annotation=ONLINE_ANNOTATION, **about)
        if state.waits_for is not None:
            return say("LearnerWaits", detail=state.waits_for)
        if state.settled is None:
            return say("LearnerStarting", detail="it takes up where the chain is")
        if state.served != state.commit:
            return say("Learning", version=state.version, more=f", and commit {state.served} is pinned")
        return say("Learning", version=state.version, more="")
    pods = [pod for pod in situation.observed.pods if _is_learner(pod, name)]
    if detail := outcome.trouble(pods):
        return say("LearnerStalled", detail=detail)
    starts = learner is not None and not int(learner.get("status", {}).get("readyReplicas", 0))
    if state is None or starts or not _is_silent_since(situation, SILENT_SECONDS):
        return say("LearnerStarting", detail=state or "it was not asked yet")
    return say("LearnerUnreachable", detail=state)


def _is_silent_since(situation: Situation, seconds: float) -> bool:
    """Whether learning has been told of as not going on for as long."""
    for told in situation.status.get("conditions", []):
        if told["type"] == CONDITION and told["status"] == "False":
            since = datetime.fromisoformat(told["lastTransitionTime"].replace("Z", "+00:00"))
            return bool((situation.now - since).total_seconds() > seconds)
    return False


def _is_learner(pod: Object, name: str) -> bool:
    labels: dict[str, str] = pod["metadata"].get("labels", {})
    return labels.get("app.kubernetes.io/instance") == name and labels.get(COMPONENT_LABEL) == "learner"


@dataclass(frozen=True, kw_only=True)
class _Asked:
    request: str | None = None
    """The value that was carried out, or given up, just now."""

    problem: Found | None = None
    apply: tuple[Object, ...] = ()
    delete: tuple[ChildKey, ...] = ()
    events: tuple[Event, ...] = ()


def parse(text: str) -> Decision | None:
    """What the annotation asks for; None where it asks for nothing that there is."""
    match = VERB.fullmatch(text)
    if match is None:
        return None
    commit = match["commit"]
    return Decision(
        verb=match["to"] or match["alone"],
        commit=int(commit) if commit is not None else None,
        reason=" ".join((match["why"] or "as the annotation asks").split())[:200],
    )


def _asked(situation: Situation, version: str | None) -> _Asked:
    """What a person decides goes into the store by a Job, once, and for the version that served when it was made: a commit's
    number means nothing in another chain."""
    value = situation.annotations.get(ONLINE_ANNOTATION, "")[:253]
    there = [
        (key, live)
        for key, live in situation.children("Job")
        if live["metadata"].get("labels", {}).get(COMPONENT_LABEL) == ONLINE_COMPONENT
    ]
    before = (situation.status.get("online") or {}).get("request")
    mine = next((live for _, live in there if value != before and _is_of(situation, live, value)), None)
    others = tuple(key for key, live in there if live is not mine and outcome.state(live) != "Active")
    if not value or value == before or (version is None and mine is None):
        return _Asked(delete=others)
    decision = parse(value)
    if decision is None:
        return _Asked(
            request=value, events=(_event("OnlineAnnotationUnread", value=value, annotation=ONLINE_ANNOTATION),)
        )
    if mine is None:
        assert version is not None
        made = manifests.online_job(
            situation.recommender, situation.spec, situation.settings, _name(situation, version, value), version=version,
            verb=decision.verb, commit=decision.commit, reason=decision.reason,
        )  # fmt: skip
        return _Asked(apply=(made,), delete=others)
    match outcome.state(mine):
        case "Complete":
            done = _event("OnlineDecided", value=value, version=_meant_for(mine))
            return _Asked(request=value, delete=others, events=(done,))
        case "Failed":
            detail = outcome.failure_message(mine, situation.observed.pods)
            return _Asked(
                request=value, delete=others, events=(_event("OnlineNotDecided", value=value, detail=detail),)
            )
    named = situation.observed.warnings.get(mine["metadata"]["name"])
    stuck = outcome.trouble(outcome.pods_of(mine, situation.observed.pods)) or named
    return _Asked(delete=others, problem=say("OnlineNotDecided", value=value, detail=stuck) if stuck else None)


def _name(situation: Situation, version: str, value: str) -> str:
    return f"{situation.name}-online-{short_hash(situation.uid, version, value)}"


def _meant_for(job: Object) -> str:
    """The version whose chain a Job writes into."""
    words: list[str] = job["spec"]["template"]["spec"]["containers"][0].get("args", [])
    return words[words.index("--version") + 1] if "--version" in words[:-1] else ""


def _is_of(situation: Situation, job: Object, value: str) -> bool:
    """Whether a Job carries out this value, for whichever version."""
    return bool(job["metadata"]["name"] == _name(situation, _meant_for(job), value))


def _event(reason: str, **values: object) -> Event:
    return Event(
        type="Warning" if reason in WARNINGS else "Normal", reason=reason, message=say(reason, **values).message
    )
