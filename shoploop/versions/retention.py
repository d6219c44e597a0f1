"""Which stored versions may go: one rule, for a laptop and a cluster; pure.

Kept are the version that serves, those that a rollback may go back to, those that somebody else names (a pin, a candidate,
a release that is up), the parents that these were compared with, and the newest ones up to ``spec.retention.versions``.
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
    for version in list(dict.fromkeys(reversed(stack)))[: max(newest, FEWEST_ROLLBACKS)]:
        reasons.setdefault(version, "may be rolled back to")
    for used in [known[id_] for id_ in reasons if id_ in known]:
        if used.parent:
            reasons.setdefault(used.parent, f"is what {used.id} was compared with")
    by_age = sorted(versions, key=lambda version: (-version.modified, version.id))
    for young in by_age[:newest]:
        reasons.setdefault(young.id, f"is one of the newest {newest}")
    return {id_: why for id_, why in reasons.items() if id_ in known}
