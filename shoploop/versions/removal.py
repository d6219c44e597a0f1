"""Removing stored versions that the rule of retention lets go.

The manifest goes first: without it a version is none, so that nobody can promote what is half gone. Whoever promoted it
in the moment before is noticed, since the log of promotions is read again after that, and then the manifest comes back; who
promotes it later has looked at the manifest too early, and looks again. Who was killed after the manifest went, or before it
came, leaves files that belong to no version: they go once none of them has changed for a day.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shoploop.errors import NotFound
from shoploop.store import Store, layout
from shoploop.versions import candidacy, promotions
from shoploop.versions.artifact import MANIFEST, WEIGHTS_OF, version_id
from shoploop.versions.retention import StoredVersion, kept_versions

OURS = re.compile(r".*\.dsse\.json|[0-9a-f]{16}\.bento|bento\.json|\d{12}\.json")
"""Names of what lies beside a version's own files: signatures, packages, verdicts. Other files are somebody else's."""

PARTS = re.compile(r"[a-z_]+\.(safetensors|arrow|parquet)|(contract|encoder|reference)\.json")
"""Names of a version's own files, where there is no manifest to name them."""

UNTOUCHED_DAYS = 1
"""How long nothing of what is left of a version has changed when nobody is at work with it any more."""

LEARNED = re.compile(r"\d{12}\.json|[0-9a-f]{64}")
"""Names of what was learned online on top of it."""


@dataclass(frozen=True, kw_only=True)
class VersionsChosen:
    """What a removal would do."""

    kept: dict[str, str]
    """Why each of these stays."""

    removed: tuple[str, ...]
    """Oldest first."""

    left: tuple[str, ...] = ()
    """Of which only files without a manifest are there."""


def choose_versions(
    store: Store, name: str, *, newest: int, named: Mapping[str, str], now: datetime | None = None
) -> VersionsChosen:
    """Applies the rule to what lies in ``store``; see :func:`~.retention.kept_versions`. Nothing is changed.

    Args:
        now: What is left of a version is old or young by it; the wall clock's where not given.
    """
    stored = []
    ids = promotions.version_ids(store, name)
    for id_ in ids:
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
    history = promotions.promotions(store, name)
    kept = kept_versions(stored, history, newest=newest, named=named)
    gone = sorted((version for version in stored if version.id not in kept), key=lambda version: version.modified)
    untouched = ((now or datetime.now(UTC)) - timedelta(days=UNTOUCHED_DAYS)).timestamp()
    left = [id_ for id_ in _without_manifest(store, name, ids) if _touched(store, name, id_) < untouched]
    # what serves has lost its manifest by somebody's hand, which may bring it back
    alone = [StoredVersion(id=id_, parent=None, modified=0.0) for id_ in left]
    wanted = kept_versions(alone, history, newest=0, named=named)
    return VersionsChosen(
        kept=kept,
        removed=tuple(version.id for version in gone),
        left=tuple(id_ for id_ in left if id_ not in wanted),
    )


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
    folder = f"{layout.version(name, version)}/"
    own = _files(body)  # these names may be anybody's, so only what is there counts
    files = [key for key in store.list(folder) if key.removeprefix(folder) in own]
    _remove(store, name, version, [*files, *_beside(store, name, version)])
    return True


def remove_left(store: Store, name: str, version: str) -> bool:
    """Removes what is left of a version whose manifest went, or never came.

    Returns:
        Whether it was removed: not where a manifest has come meanwhile.
    """
    if store.exists(f"{layout.version(name, version)}/{MANIFEST}"):
        return False
    _remove(store, name, version, _left(store, name, version))
    return True


def _remove(store: Store, name: str, version: str, keys: Iterable[str]) -> None:
    for key in keys:
        store.delete(key)
    for folder in (layout.version(name, version), layout.verdicts(name, version), layout.online(name, version)):
        store.delete_empty_folders(folder)


def _beside(store: Store, name: str, version: str) -> list[str]:
    """What lies beside a version's own files, and is of no other's making."""
    named = [(layout.version(name, version), OURS), (layout.verdicts(name, version), OURS)]
    learned = [(layout.online_commits(name, version), LEARNED), (layout.online_objects(name, version), LEARNED)]
    found = []
    for folder, ours in named:
        found += [key for key in store.list(f"{folder}/") if ours.fullmatch(key.rpartition("/")[2])]
    for folder, ours in learned:
        found += [key for key in store.list(f"{folder}/") if ours.fullmatch(key.removeprefix(f"{folder}/"))]
    return found


def _left(store: Store, name: str, version: str) -> list[str]:
    """All that is there of a version without a manifest."""
    folder = f"{layout.version(name, version)}/"
    own = [key for key in store.list(folder) if PARTS.fullmatch(key.removeprefix(folder))]
    return own + _beside(store, name, version)


def _without_manifest(store: Store, name: str, ids: Collection[str]) -> list[str]:
    folders = {*store.folders(layout.versions(name)), *store.folders(layout.all_online(name))}
    return sorted(id_ for id_ in folders.difference(ids) if promotions.VERSION_ID.fullmatch(id_))


def _touched(store: Store, name: str, version: str) -> float:
    """When what is left of a version changed last, seconds since 1970; never, where nothing is."""
    left = set(_left(store, name, version))
    folders = (layout.version(name, version), layout.verdicts(name, version), layout.online(name, version))
    facts = (facts for folder in folders for facts in store.list_facts(folder) if facts["path"] in left)
    return max((float(each["last_modified"].timestamp()) for each in facts), default=float("inf"))


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
