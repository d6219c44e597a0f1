"""Which version of a recommender serves: an append-only log in the store, written with put-if-absent.

Two people who promote at once cannot both win: the loser's command reads what the winner wrote and decides again. This
module must not know how a version is trained or served.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from shoploop.errors import AlreadyExists, ArtifactCorrupt, NotFound
from shoploop.hints import command
from shoploop.store import Log, Store, layout
from shoploop.versions.artifact import MANIFEST, load_version, version_files, version_id
from shoploop.versions.keys import Signer
from shoploop.versions.signing import Trust
from shoploop.versions.stored import check_version, sign_version

Action = Literal["promote", "rollback"]

VERSION_ID = re.compile(r"v[0-9a-f]{12}")

ATTEMPTS = 20
"""Appends tried before giving up against other writers."""

LOOKS, LOOK_SECONDS = 5, 1.0
"""At a manifest that is gone, and between two: who removes a version puts it back where it was promoted meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """One entry of the log: from here on ``version`` serves."""

    number: int
    action: Action
    version: str
    reason: str
    by: str
    time: str
    """UTC, ISO 8601."""


@dataclass(frozen=True, kw_only=True)
class VersionInfo:
    """A stored version, as a list shows it."""

    id: str
    serving: bool
    promoted: str | None
    """When it last began to serve, UTC, ISO 8601; None if never."""

    reason: str | None
    """Why it last began to serve."""

    metrics: dict[str, Any]
    lineage: dict[str, Any]


def publish_version(store: Store, name: str, folder: Path, *, signer: Signer | None = None) -> str:
    """Verifies the version in ``folder`` and copies it into the store, the manifest last; returns its id.

    A version that is there already is left as it is: the same id means the same bytes. A manifest that is there and is not
    whole, as after a power cut, is none. A new signer's signature is added.

    Args:
        signer: Who vouches for it; None leaves it unsigned.

    Raises:
        ArtifactCorrupt, ArtifactForeign: it must not be used; nothing was copied.
    """
    version = load_version(folder).id
    manifest = (folder / MANIFEST).read_bytes()
    if version_id(manifest) != version:
        raise ArtifactCorrupt(f"{folder} changes while it is published. Run again.")
    key = layout.version(name, version)
    new = not store.holds(f"{key}/{MANIFEST}", manifest)
    if new:
        for file in version_files(folder):
            if file != MANIFEST:
                store.put_file(f"{key}/{file}", folder / file)
    if signer is not None:
        sign_version(store, name, version, manifest, signer)
    if new:
        store.put(f"{key}/{MANIFEST}", manifest)
    return version


def promote(
    store: Store,
    name: str,
    version: str,
    *,
    reason: str,
    by: str,
    trust: Trust | None = None,
    after: int | None = None,
) -> Promotion:
    """Lets ``version`` serve from now on; durable on return. One that serves already is left alone.

    Args:
        trust: Who must have signed it; as the environment says where not given.
        after: Number of the last entry that was known when this was decided: where somebody has decided otherwise since,
            that stands.

    Raises:
        NotFound: no such version in the store, or it was removed at this moment: the one before serves again then.
        ArtifactCorrupt, ArtifactForeign, ArtifactUnsigned, KeyUntrusted, SignatureInvalid: it must not serve.
    """
    if not store.exists(f"{layout.version(name, version)}/{MANIFEST}"):
        known = version_ids(store, name)
        why = f"Known: {', '.join(known)}." if known else str(no_version(store, name))
        raise NotFound(f"Recommender {name!r} has no version {version}. {why}")
    check_version(store, name, version, trust or Trust.configured())

    def decide(history: list[Promotion]) -> Promotion | str:
        decided = after is not None and history[-1:] and history[-1].number != after
        return history[-1] if decided or (history and history[-1].version == version) else version

    promotion = _append(store, name, "promote", decide, reason=reason, by=by)
    if promotion.version == version and not stays(store, name, version):
        raise _taken_back(store, name, version, by=by)
    return promotion


def stays(store: Store, name: str, version: str) -> bool:
    """Whether a version is there behind the entry by which it is to stay: who removes one looks at the entries behind the
    manifest's removal, so one of both sees the other."""
    for look in range(LOOKS):
        if look:
            time.sleep(LOOK_SECONDS)
        if store.exists(f"{layout.version(name, version)}/{MANIFEST}"):
            return True
    return False


def _taken_back(store: Store, name: str, version: str, *, by: str) -> NotFound:
    """Lets the version before serve again where ``version`` is gone, if there is one; returns the error to raise."""

    def decide(history: list[Promotion]) -> Promotion | str:
        stack = rollback_stack(history)
        earlier = _earlier(store, name, stack) if stack[-1] == version else None
        return earlier or history[-1]

    now = _append(store, name, "rollback", decide, reason=f"{version} was removed while it was promoted", by=by)
    serves = f"{now.version} serves. " if now.version != version else ""
    return NotFound(
        f"Version {version} of {name!r} was removed from the store while it was promoted: it was beyond "
        f"spec.retention.versions. {serves}Name another one of `{command(store, f'versions {name}')}`: "
        f"{command(store, f'promote {name} VERSION')}."
    )


def rollback(store: Store, name: str, *, reason: str = "rolled back by hand", by: str) -> Promotion:
    """Lets the version serve again that served before the present one; durable on return.

    Rolling back twice goes back two versions, not forth again. One that is no longer in the store, as of many renewals the
    older ones, is passed over.

    Raises:
        NotFound: no version served before, or none of those that did is there.
        ArtifactCorrupt, ArtifactForeign, ArtifactUnsigned, KeyUntrusted, SignatureInvalid: it must not serve again.
    """
    trust = Trust.configured()

    def decide(history: list[Promotion]) -> str:
        stack = rollback_stack(history)
        if len(stack) < 2:
            raise NotFound(
                f"Recommender {name!r} has no earlier version to go back to. "
                f"Name one of `{command(store, f'versions {name}')}`: {command(store, f'promote {name} VERSION')}."
            )
        earlier = _earlier(store, name, stack)
        if earlier is None:
            raise NotFound(
                f"Version {stack[-2]} of {name!r}, which served before, is no longer in the store: it went beyond "
                f"spec.retention.versions. Name another one of `{command(store, f'versions {name}')}`: "
                f"{command(store, f'promote {name} VERSION')}."
            )
        check_version(store, name, earlier, trust)
        return earlier

    return _append(store, name, "rollback", decide, reason=reason, by=by)


def _earlier(store: Store, name: str, stack: Sequence[str]) -> str | None:
    """The version below the top of the stack that is there to go back to; going back to what serves is none."""
    below = (version for version in reversed(stack[:-1]) if version != stack[-1])
    return next((version for version in below if store.exists(f"{layout.version(name, version)}/{MANIFEST}")), None)


def promotions(store: Store, name: str) -> list[Promotion]:
    """The log, oldest first."""
    entries = _log(store, name).entries()
    return [Promotion(**{field: entry[field] for field in Promotion.__dataclass_fields__}) for entry in entries]


def since(store: Store, name: str, number: int) -> list[Promotion]:
    """The entries after that number, oldest first; costs no more in a long log than in a short one."""
    return [
        Promotion(**{field: entry[field] for field in Promotion.__dataclass_fields__})
        for entry in _log(store, name).since(number)
    ]


def serving_version(store: Store, name: str) -> str | None:
    """The version that serves; None where none was promoted yet."""
    history = promotions(store, name)
    return history[-1].version if history else None


def versions(store: Store, name: str) -> list[VersionInfo]:
    """Every stored version, in the order of their promotion and the unpromoted ones before.

    Raises:
        NotFound: no recommender of that name has a version in this store.
        ArtifactCorrupt: a manifest is not the one that its version's id names.
    """
    history = promotions(store, name)
    last = {promotion.version: promotion for promotion in history}
    found = []
    for version in version_ids(store, name):
        key = f"{layout.version(name, version)}/{MANIFEST}"
        body = store.get(key)
        if version_id(body) != version:
            raise ArtifactCorrupt(f"{store.url(key)} was changed after it was written. Remove that version.")
        manifest = json.loads(body)
        promotion = last.get(version)
        found.append(
            VersionInfo(
                id=version,
                serving=bool(history) and history[-1].version == version,
                promoted=promotion.time if promotion else None,
                reason=promotion.reason if promotion else None,
                metrics=manifest["metrics"],
                lineage=manifest["lineage"],
            )
        )
    if not found:
        raise no_version(store, name)
    return sorted(found, key=lambda info: (last[info.id].number if info.id in last else 0, info.id))


def lineage_of(store: Store, name: str, version: str) -> dict[str, Any]:
    """What a stored version was made of.

    Raises:
        NotFound: there is no such version.
    """
    lineage: dict[str, Any] = store.get_json(f"{layout.version(name, version)}/{MANIFEST}")["lineage"]
    return lineage


def recommenders(store: Store) -> list[str]:
    """Names of the recommenders that have anything in this store; what else lies there is somebody else's."""
    places = (layout.runs, layout.versions, layout.promotions, layout.work)
    names = store.folders(layout.RECOMMENDERS)
    return [
        name
        for name in names
        if set(store.folders(layout.recommender(name))) & {place(name).rpartition("/")[2] for place in places}
    ]


def no_version(store: Store, name: str) -> NotFound:
    """The error to raise where a recommender has no version: nobody has run it, or no run has reached its end."""
    if name in recommenders(store):
        return NotFound(
            f"Recommender {name!r} has no version in {store.uri} yet: no run of it has reached its end. "
            f"`{command(store, f'runs {name}')}` lists its runs, `{command(store, f'report {name}')}` tells of the last one."
        )
    return NotFound(f"No recommender {name!r} in {store.uri}. {_choices(recommenders(store))}")


def _append(
    store: Store,
    name: str,
    action: Action,
    decide: Callable[[list[Promotion]], Promotion | str],
    *,
    reason: str,
    by: str,
) -> Promotion:
    """Appends what ``decide`` makes of the log as it is, again whenever another writer was first."""
    for _ in range(ATTEMPTS):
        history = promotions(store, name)
        decision = decide(history)
        if isinstance(decision, Promotion):
            return decision
        after = history[-1].number if history else 0
        promotion = Promotion(
            number=after + 1,
            action=action,
            version=decision,
            reason=reason,
            by=by,
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        try:
            entry = {k: v for k, v in asdict(promotion).items() if k != "number"}
            # two who go back in the same moment go back two versions: neither takes the other's entry for their own
            _log(store, name).append(entry | {"nonce": secrets.token_hex(8)}, after=after)
        except AlreadyExists:
            continue
        return promotion
    raise AlreadyExists(f"Promotions of {name!r}: other writers were first {ATTEMPTS} times. Look who else promotes.")


def rollback_stack(history: Sequence[Promotion]) -> list[str]:
    """Versions as they came to serve, without those that were rolled back, or that a rollback passed over."""
    stack: list[str] = []
    for promotion in history:
        if promotion.action == "rollback" and len(stack) > 1:
            stack.pop()
            while len(stack) > 1 and promotion.version in stack and stack[-1] != promotion.version:
                stack.pop()
        else:
            stack.append(promotion.version)
    return stack


def _log(store: Store, name: str) -> Log:
    return Log(store, layout.promotions(name))


def version_ids(store: Store, name: str) -> list[str]:
    """Every version with a manifest, in the order of their ids; a folder of another name is somebody else's."""
    prefix = f"{layout.versions(name)}/"
    keys = (key.removeprefix(prefix).split("/") for key in store.list(prefix))
    return sorted({key[0] for key in keys if key[1:] == [MANIFEST] and VERSION_ID.fullmatch(key[0])})


def _choices(known: list[str]) -> str:
    return f"Known: {', '.join(known)}." if known else "There is none yet: `shoploop run` makes one."
