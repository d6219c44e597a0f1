"""What of the past goes on a cluster: records of versions, and by a small Job their files in the store; pure.

The operator reaches no store. It knows what serves, and what may be gone back to is what has a ModelVersion: the Job is
told these, and removes what the rule of :mod:`shoploop.versions.retention` lets go of the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shoploop.controller.decide import manifests
from shoploop.controller.decide.names import COMPONENT_LABEL, GC_COMPONENT, Object, short_hash
from shoploop.controller.decide.observed import ChildKey
from shoploop.controller.decide.situation import Situation
from shoploop.controller.decide.versions import Version

RENEWALS_KEPT = 2
"""Of the same weights: the one that serves, and one to go back to."""


@dataclass(frozen=True, kw_only=True)
class Pruned:
    versions: tuple[ChildKey, ...]
    """Records that go."""

    apply: tuple[Object, ...] = ()
    delete: tuple[ChildKey, ...] = ()


def prune(situation: Situation, in_use: set[str | None], *, settled: bool) -> Pruned:
    """Records beyond ``spec.retention.versions``, and the Job for the store.

    Args:
        in_use: Versions that serve, are to serve, are released, or were made last.
        settled: Nothing is under way: no run, no release. Only then the store is looked at.
    """
    newest = situation.spec.retention.versions
    kept = in_use | _newest(situation.versions, newest)
    gone = tuple(version.key for version in situation.versions if version.id not in kept)
    there = [
        (key, live)
        for key, live in situation.children("Job")
        if live["metadata"].get("labels", {}).get(COMPONENT_LABEL) == GC_COMPONENT
    ]
    if not settled or len(situation.versions) < newest:
        return Pruned(versions=gone)
    stays = sorted({version.id for version in situation.versions} & kept)
    name = f"{situation.name}-gc-{short_hash(situation.uid, newest, stays)}"
    old = tuple(key for key, _ in there if key[1] != name)
    if any(key[1] == name for key, _ in there):
        return Pruned(versions=gone, delete=old)
    made = manifests.gc_job(situation.recommender, situation.spec, situation.settings, name, keep=stays)
    return Pruned(versions=gone, apply=(made,), delete=old)


def _newest(versions: Sequence[Version], most: int) -> set[str]:
    """The newest ones. Renewals of the same weights count once, else a month of nights would push out every version of other
    weights; of each the last two stay, so that one can be gone back to, and what was trained (docs/decisions/0117)."""
    found: dict[str, list[str]] = {}
    for version in reversed(versions):
        if version.weights in found or len(found) < most:
            found.setdefault(version.weights, []).append(version.id)
    return {each for weights, ids in found.items() for each in (weights, *ids[:RENEWALS_KEPT])}
