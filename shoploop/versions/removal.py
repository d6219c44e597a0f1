"""Removing stored versions that the rule of retention lets go.

The manifest goes first: without it a version is none, so that nobody can promote what is half gone. Whoever promoted it
in the moment before is noticed, since the log of promotions is read again after that, and then the manifest comes back; who
promotes it later has looked at the manifest too early, and looks again.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from shoploop.errors import NotFound
from shoploop.store import Store, layout
from shoploop.versions import candidacy, promotions
from shoploop.versions.artifact import MANIFEST, WEIGHTS_OF, version_id
from shoploop.versions.retention import StoredVersion, kept_versions

OURS = re.compile(r".*\.dsse\.json|[0-9a-f]{16}\.bento|bento\.json|\d{12}\.json")
"""Names of what lies beside a version's own files: signatures, packages, verdicts. Other files are somebody else's."""

LEARNED = re.compile(r"\d{12}\.json|[0-9a-f]{64}")
"""Names of what was learned online on top of it."""


@dataclass(frozen=True, kw_only=True)
class VersionsChosen:
    """What a removal would do."""

    kept: dict[str, str]
    """Why each of these stays."""

    removed: tuple[str, ...]
    """Oldest first."""


def choose_versions(store: Store, name: str, *, newest: int, named: Mapping[str, str]) -> VersionsChosen:
    """Applies the rule to what lies in ``store``; see :func:`~.retention.kept_versions`. Nothing is changed."""
    stored = []
    for id_ in promotions.version_ids(store, name):
        key = f"{layout.version(name, id_)}/{MANIFEST}"
        try:
            body = store.get(key)
            readable = version_id(body) == id_
            stored.append(_stored(id_, body, store.modified(key)))
        except NotFound:
            continue  # another one is removing it
        if not readable:
            named = {id_: "was changed after it was written: look at it", **named}
    named = _with_candidate(store, name, named)
    kept = kept_versions(stored, promotions.promotions(store, name), newest=newest, named=named)
    gone = sorted((version for version in stored if version.id not in kept), key=lambda version: version.modified)
    return VersionsChosen(kept=kept, removed=tuple(version.id for version in gone))


def weights_of(store: Store, name: str, version: str) -> str:
    """The version whose weights a stored one has: itself, where it is no renewal, or where that cannot be read."""
    try:
        body = store.get(f"{layout.version(name, version)}/{MANIFEST}")
    except NotFound:
        return version
    return _stored(version, body, 0.0).weights


def remove_version(store: Store, name: str, version: str, *, named: Mapping[str, str]) -> bool:
    """Removes one version, its packages, its verdicts and what was learned on top of it, unless it has become one that stays.

    Returns:
        Whether it was removed.
    """
    manifest = f"{layout.version(name, version)}/{MANIFEST}"
    try:
        body = store.get(manifest)
    except NotFound:
        return False
    at = store.modified(manifest)
    store.delete(manifest)
    alone = _stored(version, body, at)
    named = _with_candidate(store, name, named)
    if version in kept_versions([alone], promotions.promotions(store, name), newest=0, named=named):
        store.put(manifest, body)
        return False
    ours = {f"{layout.version(name, version)}/{file}" for file in _files(body)}
    for prefix in (layout.version(name, version), layout.verdicts(name, version)):
        for key in list(store.list(f"{prefix}/")):
            if key in ours or OURS.fullmatch(key.rpartition("/")[2]):
                store.delete(key)
        store.delete_empty_folders(prefix)
    for folder in (layout.online_commits(name, version), layout.online_objects(name, version)):
        for key in list(store.list(f"{folder}/")):
            if LEARNED.fullmatch(key.removeprefix(f"{folder}/")):
                store.delete(key)
    store.delete_empty_folders(layout.online(name, version))
    return True


def _with_candidate(store: Store, name: str, named: Mapping[str, str]) -> Mapping[str, str]:
    now = candidacy.current(store, name)
    return {now.version: "is the candidate", **named} if now else named


def _files(manifest: bytes) -> list[str]:
    try:
        return list(json.loads(manifest)["files"])
    except (ValueError, KeyError, TypeError):
        return []


def _stored(version: str, manifest: bytes, modified: float) -> StoredVersion:
    """What the rule looks at; of a manifest that cannot be read nothing is known."""
    try:
        lineage = json.loads(manifest)["lineage"]
        parent, weights_of = lineage.get("parent"), lineage.get(WEIGHTS_OF)
    except (ValueError, KeyError, TypeError, AttributeError):
        parent = weights_of = None
    return StoredVersion(
        id=version,
        parent=str(parent) if parent else None,
        modified=modified,
        weights_of=str(weights_of) if weights_of else None,
    )
