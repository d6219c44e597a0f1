"""Whether the data changed since the last run: a small Job looks at every turn of spec.dataCheck; pure.

The operator itself reads no data and has no right to: what the Job's pod says at its end is all it knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shoploop.api.pod_result import DataSeen
from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide import outcome
from shoploop.controller.decide.conditions import Found, say
from shoploop.controller.decide.names import CHECK_COMPONENT, COMPONENT_LABEL, DATA_LABEL, Object, short_hash
from shoploop.controller.decide.observed import ChildKey
from shoploop.controller.decide.situation import Situation


@dataclass(frozen=True, kw_only=True)
class Checked:
    source: str | None = None
    """Digest of the data as they were at this turn; None where nobody knows yet."""

    problem: Found | None = None
    apply: tuple[Object, ...] = ()
    delete: tuple[ChildKey, ...] = ()
    requeue_seconds: float | None = None


def jobs(children: Mapping[ChildKey, Object]) -> list[Object]:
    """The Jobs that looked at the data, or do."""
    return [
        live
        for (kind, _), live in children.items()
        if kind == "Job" and live["metadata"].get("labels", {}).get(COMPONENT_LABEL) == CHECK_COMPONENT
    ]


def check(situation: Situation) -> Checked:
    """What this turn's Job found, or that Job where there is none yet."""
    spec, observed = situation.spec, situation.observed
    there = jobs(observed.children)
    if spec.data_check is None:
        return Checked(delete=_keys(there))
    name, wait = _turn(situation)
    kept = [live for live in there if live["metadata"]["name"] == name or _still_looks(live, spec)]
    gone = _keys([live for live in there if live not in kept])
    if not kept:
        made = runs.check_job(situation.recommender, spec, situation.settings, name)
        return Checked(apply=(made,), delete=gone, requeue_seconds=wait)
    live, pods = kept[-1], observed.pods
    detail, source = None, None
    match outcome.state(live):
        case "Complete":
            match outcome.result(live, pods):
                case DataSeen(source=seen):
                    source = seen
                case Found(message=message):
                    detail = message
                case other:
                    detail = f"its pod said {other.kind}."
        case "Failed":
            detail = outcome.failure_message(live, pods)
        case "Active":
            name = live["metadata"]["name"]
            detail = outcome.trouble(outcome.pods_of(live, pods)) or observed.warnings.get(name)
    problem = say("DataCheckFailed", detail=detail) if detail else None
    return Checked(source=source, problem=problem, delete=gone, requeue_seconds=wait)


def _still_looks(live: Object, spec: RecommenderSpec) -> bool:
    """A Job of an earlier turn that takes its time: it is not cut short, or none would ever end."""
    return outcome.state(live) == "Active" and live["metadata"]["labels"].get(DATA_LABEL) == runs.data_hash(spec)


def _turn(situation: Situation) -> tuple[str, float]:
    """Name of this turn's Job, and seconds to the next turn; Recommenders do not all look at the same moment."""
    spec, uid = situation.spec, situation.uid
    assert spec.data_check is not None
    seconds = spec.data_check.every_minutes * 60
    since = situation.now.timestamp() + int(short_hash(uid), 16) % seconds
    turn = short_hash(uid, runs.data_hash(spec), seconds, int(since // seconds))
    return f"{situation.name}-check-{turn}", seconds - since % seconds + 1


def _keys(found: list[Object]) -> tuple[ChildKey, ...]:
    return tuple(("Job", live["metadata"]["name"]) for live in found)
