"""Which version meets its first shoppers beside the one that serves: an append-only log in the store, as promotions are.

An entry begins a candidacy, or ends it. It brings a salt of its own: with it every predictor finds the same users, and nobody
outside can tell which. A candidate that was promoted is one no longer, also after a rollback: to try it again is to begin
again. This module must not know how a version is served.
"""

import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from shoploop.errors import AlreadyExists, NotFound, SpecInvalid
from shoploop.hints import command
from shoploop.store import Log, Store, layout
from shoploop.versions import promotions
from shoploop.versions.artifact import MANIFEST
from shoploop.versions.signing import Trust
from shoploop.versions.stored import check_version

EVERYBODY = 100


@dataclass(frozen=True, kw_only=True)
class Candidacy:
    """One entry of the log."""

    number: int
    action: Literal["begin", "end"]
    version: str
    percent: int
    """Share of the users that it answers; 0 where it answers nobody."""

    shadow: bool
    """Whether it scores what the other answers, and shows nobody."""

    steps: tuple[tuple[int, int], ...]
    """Percent and minutes, one after another; after the last it is promoted."""

    salt: str
    after: int
    """Number of the last promotion when it began."""

    reason: str
    by: str
    time: str
    """UTC, ISO 8601."""

    def is_over(self, history: Iterable[promotions.Promotion]) -> bool:
        """Whether it was ended, or the candidate was promoted since it began.

        Args:
            history: Promotions, at least all after :attr:`after`.
        """
        promoted = any(each.version == self.version and each.number > self.after for each in history)
        return self.action == "end" or promoted

    @property
    def steps_over(self) -> datetime | None:
        """When the last step is over; None where there is no step, and somebody is to decide."""
        minutes = sum(minutes for _, minutes in self.steps)
        return datetime.fromisoformat(self.time) + timedelta(minutes=minutes) if self.steps else None

    def percent_at(self, now: datetime) -> int:
        """Share of users at a time; :data:`EVERYBODY` once the last step is over."""
        if not self.steps:
            return self.percent
        left = (now - datetime.fromisoformat(self.time)).total_seconds() / 60
        for percent, minutes in self.steps:
            if left < minutes:
                return percent
            left -= minutes
        return EVERYBODY


def begin(
    store: Store,
    name: str,
    version: str,
    *,
    percent: int = 0,
    shadow: bool = False,
    steps: tuple[tuple[int, int], ...] = (),
    reason: str,
    by: str,
    trust: Trust | None = None,
) -> Candidacy:
    """Lets ``version`` meet some shoppers from now on, in place of a former candidate; durable on return.

    Raises:
        NotFound: no such version, or it was removed at this moment; or none serves yet.
        SpecInvalid: it serves already, or nothing is asked of it.
        ArtifactCorrupt, ArtifactForeign, ArtifactUnsigned, KeyUntrusted, SignatureInvalid: it must not serve.
    """
    history = promotions.promotions(store, name)
    if not history:
        raise NotFound(f"No version of {name!r} serves yet, so there is none to be a candidate beside.")
    if not store.exists(f"{layout.version(name, version)}/{MANIFEST}"):
        known = ", ".join(promotions.version_ids(store, name))
        raise NotFound(f"Recommender {name!r} has no version {version}. Known: {known}.")
    if version == history[-1].version:
        raise SpecInvalid(f"Version {version} serves all users of {name!r} already: it can be no candidate.")
    if not (shadow or steps or 0 < percent < EVERYBODY):
        raise SpecInvalid(
            f"A candidate answers 1 to 99 percent of users, or is in the shadow; to let it serve everybody: "
            f"{command(store, f'promote {name} {version}')}."
        )
    check_version(store, name, version, trust or Trust.configured())
    entry = {
        "action": "begin",
        "version": version,
        "percent": 0 if shadow else percent,
        "shadow": shadow,
        "steps": [] if shadow else [list(step) for step in steps],
        "salt": secrets.token_hex(16),
        "after": history[-1].number,
    }
    begun = _append(store, name, entry, reason=reason, by=by)
    if not promotions.stays(store, name, version):
        with suppress(NotFound):  # another one by now
            end(store, name, reason="it was removed from the store", by=by, number=begun.number)
        raise NotFound(
            f"Version {version} of {name!r} was removed from the store while it became the candidate: it was beyond "
            f"spec.retention.versions. Name another one of `{command(store, f'versions {name}')}`."
        )
    return begun


def end(store: Store, name: str, *, reason: str, by: str, number: int | None = None) -> Candidacy:
    """Lets the version that serves answer everybody again; durable on return.

    Args:
        number: Only where the candidacy with this number goes on.

    Raises:
        NotFound: there is no candidate.
    """
    now = current(store, name)
    if now is None or number not in (None, now.number):
        raise NotFound(f"Recommender {name!r} has no candidate.")
    nobody = {"percent": 0, "shadow": False, "steps": [], "salt": ""}
    entry = {"action": "end", "version": now.version, "after": now.after} | nobody
    return _append(store, name, entry, reason=reason, by=by, after=now.number)


def current(store: Store, name: str) -> Candidacy | None:
    """The candidacy that goes on; None where there is none."""
    history = since(store, name, 0)
    return history[-1] if history and not history[-1].is_over(promotions.promotions(store, name)) else None


def since(store: Store, name: str, number: int) -> list[Candidacy]:
    """The entries after that number, oldest first."""
    fields = Candidacy.__dataclass_fields__
    return [Candidacy(**_typed({field: entry[field] for field in fields})) for entry in _log(store, name).since(number)]


def _append(
    store: Store, name: str, entry: dict[str, Any], *, reason: str, by: str, after: int | None = None
) -> Candidacy:
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    entry = entry | {"reason": reason, "by": by, "time": time}
    for _ in range(promotions.ATTEMPTS):
        history = since(store, name, 0)
        last = history[-1].number if history else 0
        if after not in (None, last):
            raise NotFound(f"Recommender {name!r} has another candidate by now.")
        try:
            number = _log(store, name).append(entry, after=last)
        except AlreadyExists:
            continue
        return Candidacy(**_typed(entry), number=number)
    raise AlreadyExists(f"Candidates of {name!r}: other writers were first {promotions.ATTEMPTS} times.")


def _typed(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"steps": tuple(map(tuple, entry["steps"]))}


def _log(store: Store, name: str) -> Log:
    return Log(store, layout.candidates(name))
