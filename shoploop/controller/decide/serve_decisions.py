"""Decisions about who serves, from where they come and how they get into the store: a verdict, a pin, an annotation, how a
candidate has done; pure. Each is written by one Job, since the operator reaches no store.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shoploop.api.predictor_state import PredictorState
from shoploop.api.status import Verdict
from shoploop.api.v1alpha1 import CandidateSpec
from shoploop.controller.decide import manifests, outcome
from shoploop.controller.decide.conditions import Found, say
from shoploop.controller.decide.names import (
    COMPONENT_LABEL,
    PROMOTES_ANNOTATION,
    SERVE_ANNOTATION,
    SERVE_COMPONENT,
    WROTE_ANNOTATION,
    Object,
    short_hash,
)
from shoploop.controller.decide.observed import ChildKey
from shoploop.controller.decide.situation import Situation
from shoploop.controller.decide.versions import Version

AGAIN_SECONDS = 60
"""Before a decision that could not be written is tried again."""

A_PREDICTOR = "a predictor"
"""Who ends a candidacy that fails."""

VERSION = r"(?P<version>[A-Za-z0-9._-]{1,64})"
ANNOTATION = re.compile(
    rf"\s*(?:promote\s+{VERSION}|candidate\s+(?P<tried>[A-Za-z0-9._-]{{1,64}})\s+(?:(?P<percent>[1-9]\d?)%?|(?P<shadow>shadow))"
    r"|(?P<alone>rollback|end))(?:\s+(?P<why>\S.*))?\s*",
    re.S,
)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Something that is to stand in the store."""

    key: str
    """What it is known by: with another key it is another decision."""

    what: str
    """For people, e.g. ``promote v0123``."""

    arguments: tuple[str, ...]
    """Of the pod that writes it."""

    reason: str
    by: str = "the operator"
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Of its Job, by which :func:`with_written` knows it when nothing asks for it any more."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the newest verdict, or the pin, asks for."""

    version: Version
    decision: Decision
    tries: bool
    """Whether the version is to be a candidate first."""

    known_by: frozenset[str]
    """Keys by which it may have been carried out: a verdict that a later run only repeats is no new one."""


@dataclass(frozen=True, kw_only=True)
class Carried:
    """How the Jobs of decisions fare."""

    done: frozenset[str] = frozenset()
    """Keys of decisions that are written."""

    failed: Mapping[str, str] = field(default_factory=dict)
    """Keys of those that could not be, and why."""

    problem: Found | None = None
    apply: tuple[Object, ...] = ()
    delete: tuple[ChildKey, ...] = ()
    waiting: bool = False


def states(situation: Situation) -> tuple[PredictorState, ...]:
    told = situation.observed.predictors
    return told if isinstance(told, tuple) else ()


def wished(situation: Situation, target: Version, told: PredictorState | None) -> Wish | None:
    """What the newest fact asks for; None where there is no fact to act on."""
    serving = situation.spec.serving
    if serving.pinned_version == target.id:
        number = told.promotions if told is not None and told.promoted != target.id else 0
        decision = Decision(
            key=f"{target.id} pinned",
            what=f"promote {target.id}",
            arguments=(
                "--verb",
                "promote",
                "--version",
                target.id,
                "--alone",
                *(["--after", str(number)] if number else []),
            ),
            reason="spec.serving.pinnedVersion names it",
            annotations={WROTE_ANNOTATION: f"{target.id} pinned", PROMOTES_ANNOTATION: target.id},
        )
        return Wish(version=target, decision=decision, tries=False, known_by=frozenset({decision.key}))
    verdict = target.passed_last
    if verdict is None or situation.spec.suspend:
        return None
    keys = [f"{target.id} {one.run}" for one in target.verdicts if _said(one) == _said(verdict)]  # newest first
    key, known_by, serves = keys[-1], frozenset(keys), situation.status.get("version")
    asked = serving.candidate
    tries = asked is not None and (asked.shadow or asked.percent or asked.steps)
    # the weights of a renewal have been tried
    if asked is not None and tries and serves and serves != target.id and not target.renews:
        arguments: tuple[str, ...] = ("--verb", "candidate", "--version", target.id, "--serving", serves, *_how(asked))
        arguments += ("--waits", "--run", verdict.run)
        decision = Decision(
            key=key,
            what=f"candidate {target.id}",
            arguments=arguments,
            reason=verdict.reason,
            annotations={WROTE_ANNOTATION: key},
        )
        return Wish(version=target, decision=decision, tries=True, known_by=known_by)
    arguments = ("--verb", "promote", "--version", target.id, "--run", verdict.run)
    decision = Decision(
        key=key,
        what=f"promote {target.id}",
        arguments=arguments,
        reason=verdict.reason,
        annotations={WROTE_ANNOTATION: key, PROMOTES_ANNOTATION: target.id},
    )
    return Wish(version=target, decision=decision, tries=False, known_by=known_by)


def _said(verdict: Verdict) -> tuple[str, bool, str]:
    return verdict.rule, verdict.passed, verdict.reason


def _how(asked: CandidateSpec) -> tuple[str, ...]:
    """How a candidate is tried, as the pod is told."""
    if asked.shadow:
        return ("--shadow",)
    if asked.steps:
        return tuple(word for step in asked.steps for word in ("--step", f"{step.percent}:{step.minutes}"))
    return ("--percent", str(asked.percent))


def is_done(situation: Situation, wish: Wish, before: Mapping[str, Any], told: PredictorState | None) -> bool:
    """Whether a wish stands in the store, or stood there until somebody decided otherwise. A pin is a state, not a moment: it
    is written again."""
    written = before.get("request") in wish.known_by
    pinned = situation.spec.serving.pinned_version is not None
    return written and not (pinned and told is not None and told.promoted not in (None, wish.version.id))


def with_written(situation: Situation, before: Mapping[str, Any], wish: Wish | None) -> dict[str, Any]:
    """``status.serving`` with what stands in the store by a Job that nothing asks for any more: a pin may be taken back
    before its Job's end was read, and what serves by it is then to be replaced."""
    known = dict(before)
    ended = [
        (_ended_at(live), live["metadata"]["name"], annotations)
        for _, live in _jobs(situation)
        if outcome.state(live) == "Complete"
        and (annotations := live["metadata"].get("annotations", {})).get(WROTE_ANNOTATION)
    ]
    if not ended:
        return known
    last = max(ended)[-1]
    if wish is not None and last[WROTE_ANNOTATION] == wish.decision.key:
        return known
    known["request"] = last[WROTE_ANNOTATION]
    if promoted := last.get(PROMOTES_ANNOTATION):
        known["promoted"] = promoted
    return known


def _jobs(situation: Situation) -> list[tuple[ChildKey, Object]]:
    """Those of decisions."""
    return [
        (key, live)
        for key, live in situation.children("Job")
        if live["metadata"].get("labels", {}).get(COMPONENT_LABEL) == SERVE_COMPONENT
    ]


def _ended_at(live: Object) -> str:
    found = [one.get("lastTransitionTime") for one in live["status"]["conditions"] if one["type"] == "Complete"]
    return str((found and found[0]) or live["metadata"].get("creationTimestamp", ""))


def annotated(situation: Situation) -> str:
    return situation.annotations.get(SERVE_ANNOTATION, "")[:253]


def requested(situation: Situation, before: Mapping[str, Any]) -> Decision | None:
    """What a person decides by the annotation, if it was not carried out yet."""
    value = annotated(situation)
    match = ANNOTATION.fullmatch(value)
    if match is None or value == before.get("asked") or situation.release is None:
        return None
    reason = " ".join((match["why"] or "as the annotation asks").split())[:200]
    if match["version"]:
        arguments: tuple[str, ...] = ("--verb", "promote", "--version", match["version"])
    elif match["tried"]:
        how = ("--shadow",) if match["shadow"] else ("--percent", match["percent"])
        serves = situation.status.get("version")
        arguments = (
            "--verb",
            "candidate",
            "--version",
            match["tried"],
            *how,
            *(["--serving", serves] if serves else []),
        )
    else:
        arguments = ("--verb", match["alone"])
    return Decision(key=f"asked {value}", what=value, arguments=arguments, reason=reason, by="kubectl annotate")


def by_itself(situation: Situation, told: PredictorState | None) -> list[Decision]:
    """What follows from how a candidate has done: its end where a pod gave it up, its promotion after its last step."""
    if told is None or told.candidate is None:
        return []
    now = told.candidate
    found: list[Decision] = []
    arguments: tuple[str, ...]
    seen = [state.candidate for state in states(situation) if state.candidate and state.candidate.number == now.number]
    if returned := next((one.returned for one in seen if one.returned), None):
        arguments = ("--verb", "end", "--number", str(now.number))
        key = f"returned {now.number}"
        what = f"end of {now.version}"
        found.append(Decision(key=key, what=what, arguments=arguments, reason=returned, by=A_PREDICTOR))
    elif any(one.over for one in seen):
        arguments = ("--verb", "promote", "--version", now.version, "--after", str(told.promotions))
        reason = "the last step of its candidacy is over"
        key = f"over {now.number}"
        found.append(Decision(key=key, what=f"promote {now.version}", arguments=arguments, reason=reason))
    return found


def carry(situation: Situation, decisions: Iterable[Decision], *, keep: bool = False) -> Carried:
    """Each decision has one Job; what is no longer to be decided has none, unless it is kept for now."""
    there = {key[1]: (key, live) for key, live in _jobs(situation)}
    names: set[str] = set()
    done: set[str] = set()
    failed: dict[str, str] = {}
    apply: list[Object] = []
    delete: list[ChildKey] = []
    problem: Found | None = None
    waiting = False
    for decision in decisions:
        name = f"{situation.name}-serve-{short_hash(situation.uid, decision.key, decision.arguments)}"
        names.add(name)
        if name not in there:
            apply.append(
                manifests.serve_job(
                    situation.recommender,
                    situation.spec,
                    situation.settings,
                    name,
                    decision.arguments,
                    reason=decision.reason[:500],
                    by=decision.by,
                    annotations=decision.annotations,
                )
            )
            waiting = True
            continue
        key, live = there[name]
        match outcome.state(live):
            case "Complete":
                done.add(decision.key)
            case "Failed":
                detail = outcome.failure_message(live, situation.observed.pods)
                failed[decision.key] = detail
                problem = problem or say("ServeNotDecided", what=decision.what, detail=detail)
                if _failed_since(live, situation.now) > AGAIN_SECONDS:
                    delete.append(key)
            case _:
                waiting = True
                stuck = outcome.trouble(outcome.pods_of(live, situation.observed.pods))
                if stuck := stuck or situation.observed.warnings.get(name):
                    problem = problem or say("ServeNotDecided", what=decision.what, detail=stuck)
    if not keep:
        delete += [key for name, (key, live) in there.items() if name not in names and outcome.state(live) != "Active"]
    return Carried(
        done=frozenset(done), failed=failed, problem=problem, apply=tuple(apply), delete=tuple(delete), waiting=waiting
    )


def _failed_since(live: Object, now: datetime) -> float:
    for condition in live.get("status", {}).get("conditions", []):
        if condition["type"] == "Failed" and condition["status"] == "True" and condition.get("lastTransitionTime"):
            since = datetime.fromisoformat(condition["lastTransitionTime"].replace("Z", "+00:00"))
            return (now - since).total_seconds()
    return 0.0
