"""When the version that serves is brought up to date without training, why not yet, and what is told of it; pure.

A renewal is carried out as a run is (runs.py), by one Job. It must not stand for a run: what the last run trained is kept
beside it, and is what the next one is compared with. docs/decisions/0117.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shoploop.api.pod_result import VersionMade
from shoploop.controller.decide.conditions import Found, say, timestamp
from shoploop.controller.decide.names import RENEW_ANNOTATION
from shoploop.controller.decide.serve_decisions import is_done, requested, states, wished, with_written
from shoploop.controller.decide.situation import Situation
from shoploop.controller.decide.target import target_of
from shoploop.controller.decide.versions import RENEWAL, Version

CONDITION = "Renewed"
REQUEST, SCHEDULE = "a request", "the schedule"
"""What asks for one, in the words of its event."""

CAUSE_LENGTH = 253


def is_renewal(run: Mapping[str, Any] | None) -> bool:
    """Whether a ``status.run`` is a renewal's."""
    return run is not None and run.get("trigger") == RENEWAL


def is_given_up(run: Mapping[str, Any] | None) -> bool:
    """Whether a ``status.run`` is of a renewal that a changed spec has ended."""
    return is_renewal(run) and (run or {}).get("reason") == "Superseded"


def last_training(situation: Situation, last: dict[str, Any] | None) -> dict[str, Any] | None:
    """The last run that trained; ``last`` is the last of all."""
    found: dict[str, Any] | None = situation.status.get("trainingRun") if is_renewal(last) else last
    return found


def asked(situation: Situation, last: Mapping[str, Any] | None, slot: datetime | None) -> tuple[str, str] | None:
    """What asks for a renewal, in words, and the value that tells it from another asking.

    Args:
        situation: Of a Recommender without a run under way, of which none is due.
        last: The last run or renewal.
        slot: When spec.renewal fired last.
    """
    known = last or {}
    value = situation.annotations.get(RENEW_ANNOTATION, "")[:CAUSE_LENGTH]
    if value and value != known.get("renewRequest"):
        return REQUEST, value
    if slot is None:
        return None
    at = timestamp(slot)
    if is_given_up(known) and known.get("cause") == at:
        return SCHEDULE, at
    since = situation.recommender["metadata"]["creationTimestamp"]
    # a run that brought nothing that serves is in no renewal's place
    if is_renewal(known) or known.get("version") == situation.status.get("version"):
        since = max(since, known.get("startedAt", ""), known.get("finishedAt", ""))
    return (SCHEDULE, at) if at > since else None


def held(situation: Situation) -> str | None:
    """Why nothing can be renewed now, in words; None where what serves can be."""
    version, spec = situation.status.get("version"), situation.spec
    if not version:
        return "no version serves yet"
    if (why := _decided_otherwise(situation)) is not None:
        return why
    if isinstance(situation.observed.predictors, str):
        return "nobody knows which version the predictors serve"
    record = next((one for one in situation.versions if one.id == version), None)
    if record is None:
        return f"there is no record of {version}, which serves"
    if record.verdict is None or not record.verdict.passed:
        return f"the gate's last word on {version}, which serves, is that it should not"
    target = target_of(situation, situation.versions)
    if not isinstance(target, Version):
        return f"there is no Bento of {version}, which serves, on record"
    newest = max(states(situation), key=lambda state: state.promotions, default=None)
    wish = wished(situation, target, newest)
    before = with_written(situation, situation.status.get("serving") or {}, wish)
    if spec.serving.replicas == 0:
        on_its_way = target.id != version
    else:
        promoted = (newest.promoted if newest is not None else None) or before.get("promoted")
        undecided = wish is not None and not is_done(situation, wish, before, newest)
        on_its_way = undecided or promoted not in (None, version) or requested(situation, before) is not None
    return "another version is about to serve" if on_its_way else None


def overtaken(situation: Situation, run: Mapping[str, Any], made: VersionMade) -> Found | None:
    """Why a renewal that was made is not to serve: somebody has decided otherwise, meanwhile or before."""
    serves = situation.status.get("version")
    if made.parent != serves:
        why: str | None = f"{serves} serves"
    elif any(one.id == made.version for one in situation.versions):  # of the same data comes the same version
        why = f"it was made before, and {serves} serves since somebody decided so"
    else:
        why = _decided_otherwise(situation)
    if why is None:
        return None
    return say("RenewalOvertaken", run=run["id"], version=made.version, parent=made.parent, why=f"{why}.")


def _decided_otherwise(situation: Situation) -> str | None:
    if pinned := situation.spec.serving.pinned_version:
        return f"spec.serving.pinnedVersion names {pinned}"
    for state in states(situation):
        if state.candidate is not None:
            return f"{state.candidate.version} is being tried beside {state.stable}"
    return None


PASSING = ("RenewalWaits", "RenewalCollects", "RunPending", "RunStalled", "RunWaits", "Running")
"""Of the condition: what is said only for as long as it is so."""


def not_due(situation: Situation) -> tuple[bool, Found] | None:
    """What there is to say where nothing is under way and nothing asked for, in the place of what is so no longer."""
    before = next((one for one in situation.status.get("conditions", []) if one["type"] == CONDITION), None)
    return (False, say("RenewalNotDue")) if before is not None and before.get("reason") in PASSING else None


def told(situation: Situation, run: Mapping[str, Any], made: Version | None) -> tuple[bool, Found]:
    """What there is to say of a renewal that has ended.

    Args:
        situation: Of the Recommender.
        run: Its ``status.run``.
        made: The version that it made; None where it made none, or its record is gone.
    """
    if is_given_up(run):
        return False, say("RenewalGivenUp", run=run["id"])
    if run["phase"] == "Failed":
        return False, say("RenewalFailed", run=run["id"], detail=run.get("message", ""), name=situation.name)
    if not run.get("version"):
        # where there is nothing new all that is known is served
        return run["reason"] == "NothingToRenew", Found(reason=run["reason"], message=run["message"])
    verdict = made.verdict_of(run["id"]) if made is not None else None
    about = {"run": run["id"], "version": run["version"]}
    if verdict is not None and not verdict.passed:
        return False, say("GateRefused", **about, rule=verdict.rule, why=verdict.reason)
    lost = "What the gate said of its weights is recorded nowhere."
    return True, say("Renewed", **about, why=verdict.reason if verdict is not None else lost)
