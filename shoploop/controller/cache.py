"""What the watches told, cut down to what decisions need. Safe to use from several threads."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from threading import Lock

from shoploop.controller.decide.kinds import MODEL_VERSION, RECOMMENDER, SECRET, Kind
from shoploop.controller.decide.names import RECOMMENDER_LABEL, Object
from shoploop.controller.decide.observed import ChildKey, Release
from shoploop.controller.helm import read_release

Key = tuple[str, str]
"""Namespace and name of a Recommender."""


@dataclass
class _World:
    """What is known around one Recommender."""

    children: dict[ChildKey, Object] = field(default_factory=dict)
    releases: dict[str, tuple[Release, bytes]] = field(default_factory=dict)
    """By the Secret's name; the manifest is kept packed beside its release."""


class Cache:
    def __init__(self) -> None:
        self._lock = Lock()
        self._recommenders: dict[Key, Object] = {}
        self._worlds: dict[Key, _World] = {}
        self._versions: dict[str, dict[Key, str]] = {}
        """By plural: namespace and name of every object that was seen, with its resource version."""

    def put(self, kind: Kind, live: Object) -> Key | None:
        """Remembers an object unless a newer state of it is known; returns whose it is."""
        key = owner_of(kind, live)
        meta = live["metadata"]
        with self._lock:
            seen = self._versions.setdefault(kind.plural, {})
            where = (meta["namespace"], meta["name"])
            if int(seen.get(where, "0")) > int(meta["resourceVersion"]):
                return key
            seen[where] = meta["resourceVersion"]
            if key is None:
                return None
            if kind is RECOMMENDER:
                self._recommenders[key] = trimmed(kind, live)
            elif kind is SECRET:
                release = read_release(live)
                if release is not None:
                    packed = zlib.compress(release.manifest.encode())
                    self._world(key).releases[meta["name"]] = (replace(release, manifest=""), packed)
            else:
                self._world(key).children[(kind.kind, meta["name"])] = trimmed(kind, live)
        return key

    def remove(self, kind: Kind, namespace: str, name: str) -> list[Key]:
        """Forgets an object; returns whose it was."""
        with self._lock:
            self._versions.get(kind.plural, {}).pop((namespace, name), None)
            if kind is RECOMMENDER:
                return [(namespace, name)] * bool(self._recommenders.pop((namespace, name), None))
            owners = []
            for key, world in self._worlds.items():
                if key[0] != namespace:
                    continue
                gone = world.releases.pop(name, None) if kind is SECRET else world.children.pop((kind.kind, name), None)
                if gone is not None:
                    owners.append(key)
            for key in owners:
                world = self._worlds[key]
                if not world.children and not world.releases:
                    del self._worlds[key]
            return owners

    def recommender(self, key: Key) -> Object | None:
        with self._lock:
            return self._recommenders.get(key)

    def recommenders(self) -> list[Object]:
        with self._lock:
            return list(self._recommenders.values())

    def children(self, key: Key) -> dict[ChildKey, Object]:
        with self._lock:
            return dict(self._worlds[key].children) if key in self._worlds else {}

    def releases(self, key: Key) -> tuple[Release, ...]:
        """Revisions, oldest first; only the newest has its manifest."""
        with self._lock:
            held = list(self._worlds[key].releases.values()) if key in self._worlds else []
        held.sort(key=lambda pair: pair[0].revision)
        return tuple(
            replace(release, manifest=zlib.decompress(packed).decode()) if index == len(held) - 1 else release
            for index, (release, packed) in enumerate(held)
        )

    def known(self, kind: Kind) -> dict[Key, str]:
        """Everything of a kind that was seen, with its resource version."""
        with self._lock:
            return dict(self._versions.get(kind.plural, {}))

    def keys(self) -> Iterator[Key]:
        with self._lock:
            yield from list(self._recommenders)

    def _world(self, key: Key) -> _World:
        return self._worlds.setdefault(key, _World())


def owner_of(kind: Kind, live: Object) -> Key | None:
    """The Recommender that an object belongs to."""
    meta = live["metadata"]
    if kind is RECOMMENDER:
        return meta["namespace"], meta["name"]
    name = live["spec"]["recommender"] if kind is MODEL_VERSION else meta.get("labels", {}).get(RECOMMENDER_LABEL)
    return (meta["namespace"], name) if name else None


def trimmed(kind: Kind, live: Object) -> Object:
    """The object without what only the API server needs."""
    meta = {key: value for key, value in live["metadata"].items() if key not in ("managedFields", "selfLink")}
    return {**live, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}
