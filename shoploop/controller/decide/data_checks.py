"""Whether the data changed since the last run: a small Job looks at every turn of spec.dataCheck; pure.

The operator itself reads no data and has no right to: what the Job's pod says at its end is all it knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.controller.decide import manifests as runs
from shoploop.controller.decide import outcome
from shoploop.controller.decide.conditions import Found, say
from shoploop.controller.decide.names import CHECK_COMPONENT, COMPONENT_LABEL, DATA_LABEL, Object, short_hash
from shoploop.controller.decide.observed import ChildKey, Observed
from shoploop.controller.decide.settings import Settings


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


def check(recommender: Object, spec: RecommenderSpec, observed: Observed, settings: Settings) -> Checked:
    """What this turn's Job found, or that Job where there is none yet."""
    there = jobs(observed.children)
    if spec.data_check is None:
        return Checked(delete=_keys(there))
    name, wait = _turn(recommender, spec, observed)
    kept = [live for live in there if live["metadata"]["name"] == name or _still_looks(live, spec)]
    gone = _keys([live for live in there if live not in kept])
    if not kept:
        made = runs.check_job(recommender, spec, settings, name)
        return Checked(apply=(made,), delete=gone, requeue_seconds=wait)
    live, pods = kept[-1], observed.pods
    detail, source = None, None
    match outcome.state(live):
        case "Complete":
            source = outcome.left(live, pods).get("source")
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


def _turn(recommender: Object, spec: RecommenderSpec, observed: Observed) -> tuple[str, float]:
    """Name of this turn's Job, and seconds to the next turn; Recommenders do not all look at the same moment."""
    assert spec.data_check is not None
    uid, seconds = recommender["metadata"]["uid"], spec.data_check.every_minutes * 60
    since = observed.now.timestamp() + int(short_hash(uid), 16) % seconds
    turn = short_hash(uid, runs.data_hash(spec), seconds, int(since // seconds))
    return f"{recommender['metadata']['name']}-check-{turn}", seconds - since % seconds + 1


def _keys(found: list[Object]) -> tuple[ChildKey, ...]:
    return tuple(("Job", live["metadata"]["name"]) for live in found)
