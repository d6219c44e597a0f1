"""Which stored versions may go: one rule, for a laptop and a cluster; pure.

Kept are the version that serves, those that a rollback may go back to, those that somebody else names (a pin, a candidate,
a release that is up), the parents that these were compared with, those whose weights they have, and the newest ones up to
``spec.retention.versions``. Renewals of the same weights count once: else a month of nights would push out every version of
other weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shoploop.versions.promotions import Promotion, rollback_stack

FEWEST_ROLLBACKS = 2
"""Of the versions that served, the last ones that always stay: what serves, and one to go back to."""


@dataclass(frozen=True, kw_only=True)
class StoredVersion:
    """What the rule looks at of a version."""

    id: str
    parent: str | None
    """The version that it was compared with."""

    modified: float
    """When it was stored, seconds since 1970."""

    weights_of: str | None = None
    """The version whose weights it has, where it is a renewal."""

    @property
    def weights(self) -> str:
        return self.weights_of or self.id


def kept_versions(
    versions: Sequence[StoredVersion],
    history: Sequence[Promotion],
    *,
    newest: int,
    named: Mapping[str, str],
) -> dict[str, str]:
    """The versions that stay, each with the reason.

    Args:
        versions: All that are stored.
        history: The promotions, oldest first.
        newest: How many stay for being new, and how many of those that served for going back to.
        named: Versions that must stay whatever the log says, each with the reason.
    """
    known = {version.id: version for version in versions}
    stack = rollback_stack(history)
    reasons: dict[str, str] = {}
    if stack:
        reasons[stack[-1]] = "serves"
    for version, why in named.items():
        reasons.setdefault(version, why)
    served = list(dict.fromkeys(reversed(stack)))
    for version in [*served[:FEWEST_ROLLBACKS], *_of_each(served, known)[: max(newest, FEWEST_ROLLBACKS)]]:
        reasons.setdefault(version, "may be rolled back to")
    for used in [known[id_] for id_ in reasons if id_ in known]:
        if used.parent:
            reasons.setdefault(used.parent, f"is what {used.id} {'renews' if used.weights_of else 'was compared with'}")
        if used.weights_of:
            reasons.setdefault(used.weights_of, f"has the weights of {used.id}")
    by_age = sorted(versions, key=lambda version: (-version.modified, version.id))
    for young in _of_each([version.id for version in by_age], known)[:newest]:
        reasons.setdefault(young, f"is one of the newest {newest}")
    return {id_: why for id_, why in reasons.items() if id_ in known}


def _of_each(ids: Sequence[str], known: Mapping[str, StoredVersion]) -> list[str]:
    """Of those that have the same weights the first one, in their order."""
    firsts: dict[str, str] = {}
    for id_ in ids:
        firsts.setdefault(known[id_].weights if id_ in known else id_, id_)
    return list(firsts.values())
