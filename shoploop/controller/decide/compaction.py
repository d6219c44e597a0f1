"""What was collected becomes interactions, so that the next run learns from it: a small Job at every turn, and one before
each renewal, which is to know what was only just collected; pure.

The operator reads neither log nor store. A Job that fails is told and followed by the next turn's; one that takes its time is
not cut short, and of two that run at once one wins.
"""

from dataclasses import dataclass

from shoploop.controller.decide import feedback, manifests, outcome
from shoploop.controller.decide.conditions import Found, say
from shoploop.controller.decide.names import COMPACT_COMPONENT, COMPONENT_LABEL, Object, short_hash
from shoploop.controller.decide.observed import ChildKey
from shoploop.controller.decide.situation import Situation


@dataclass(frozen=True, kw_only=True)
class Compaction:
    """The part of a plan that is about collected events."""

    problem: Found | None = None
    apply: tuple[Object, ...] = ()
    delete: tuple[ChildKey, ...] = ()
    requeue_seconds: float | None = None


def look(situation: Situation, renewal: str | None = None) -> Compaction:
    """This turn's Job, or how it fares.

    Args:
        situation: Of the Recommender.
        renewal: Id of the renewal that is under way, whose Job comes in the place of the turn's.
    """
    spec = situation.spec
    there = _jobs(situation)
    done = tuple(key for key, live in there if outcome.state(live) != "Active")
    if spec.online.log is None or not _is_wanted(situation):
        return Compaction(delete=done)
    turn, wait = _turn(situation)
    name = _before(situation, renewal) if renewal else turn
    old = tuple(key for key in done if key[1] not in (name, turn))
    active = [live for _, live in there if outcome.state(live) == "Active"]
    mine = [live for key, live in there if key[1] == name]
    if not mine and not active:
        log = feedback.reached(situation.name, spec.online.log)
        made = manifests.compact_job(situation.recommender, spec, situation.settings, name, log)
        feedback.equip(made["spec"]["template"]["spec"], situation.recommender, spec)
        # the last one stays until the new one says how it fares
        return Compaction(apply=(made,), delete=old, requeue_seconds=wait)
    live = (mine or active)[-1]
    detail = None
    match outcome.state(live):
        case "Failed":
            detail = outcome.failure_message(live, situation.observed.pods)
        case "Active":
            detail = _trouble(situation, live)
    return Compaction(
        problem=say("CompactionFailed", detail=detail) if detail else None, delete=old, requeue_seconds=wait
    )


def pending(situation: Situation, renewal: str) -> bool:
    """Whether a renewal has to wait for its Job; one that failed, or cannot get going, is told, and waited for no longer."""
    if not _is_wanted(situation):
        return False
    live = situation.child("Job", _before(situation, renewal))
    if live is None:  # that of a turn may be at work
        return not any(_trouble(situation, other) for _, other in _jobs(situation) if outcome.state(other) == "Active")
    return outcome.state(live) == "Active" and _trouble(situation, live) is None


def _jobs(situation: Situation) -> list[tuple[ChildKey, Object]]:
    return [
        (key, live)
        for key, live in situation.children("Job")
        if live["metadata"].get("labels", {}).get(COMPONENT_LABEL) == COMPACT_COMPONENT
    ]


def _trouble(situation: Situation, live: Object) -> str | None:
    """Why a Job's pod does not get going."""
    stuck = outcome.trouble(outcome.pods_of(live, situation.observed.pods))
    return stuck or situation.observed.warnings.get(live["metadata"]["name"])


def _is_wanted(situation: Situation) -> bool:
    spec = situation.spec
    return bool(spec.online.log and spec.data.feedback and not spec.suspend and situation.release)


def _before(situation: Situation, renewal: str) -> str:
    return f"{situation.name}-compact-{short_hash(situation.uid, renewal)}"


def _turn(situation: Situation) -> tuple[str, float]:
    """Name of this turn's Job, and seconds to the next turn; Recommenders do not all begin at the same moment."""
    seconds = situation.spec.online.compact_every_minutes * 60
    since = situation.now.timestamp() + int(short_hash(situation.uid, "compact"), 16) % seconds
    log = situation.spec.online.log
    turn = short_hash(situation.uid, seconds, log and log.model_dump(mode="json"), int(since // seconds))
    return f"{situation.name}-compact-{turn}", seconds - since % seconds + 1
