"""A version, the verdicts on it and the packages of it: three facts, each looked up as itself; pure.

A ModelVersion is the record of one version, and there is one per version. Its spec never changes; its status holds what
the gate said about the version and the Bentos that were packed of it, one entry each time. An entry that cannot be read
counts for nothing: it lets no version serve.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import ValidationError

from shoploop.api.pod_result import VersionMade
from shoploop.api.status import ENTRIES, Package, Verdict
from shoploop.controller.decide.names import RUN_LABEL, Object, child_metadata
from shoploop.controller.decide.observed import ChildKey
from shoploop.store import layout

REASON_LENGTH = 1024

RENEWAL = "Renewal"
"""The trigger of a renewal; every other one is a run's."""

TRAINED, WEIGHTS = "trained", "weights"
"""In the lineage of a renewal: digest of the data that its weights learned from, and the version whose weights they are."""

UNKNOWN = "unknown"
"""Of a renewal whose parent's record is gone; no hash and no digest reads so."""

Entry = TypeVar("Entry", Verdict, Package)


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version and what is known about it."""

    record: Object
    """The ModelVersion, or what it is to be."""

    verdicts: tuple[Verdict, ...] = ()
    """Newest first."""

    packages: tuple[Package, ...] = ()
    """Newest first."""

    @property
    def id(self) -> str:
        return str(self.record["spec"]["version"])

    @property
    def key(self) -> ChildKey:
        return "ModelVersion", self.record["metadata"]["name"]

    @property
    def renews(self) -> bool:
        """Whether it has the weights of its parent."""
        return TRAINED in self._lineage

    @property
    def parent(self) -> str | None:
        """The version that it renews, or was compared with."""
        found: str | None = self.record["spec"].get("parent")
        return found

    @property
    def learned_from(self) -> str | None:
        """Digest of the data that its weights learned from; None where nobody knows."""
        found = self._lineage.get(TRAINED, self._lineage.get("data"))
        return None if found == UNKNOWN else found

    @property
    def weights(self) -> str:
        """The version that was trained, and whose weights this one has."""
        return self._lineage.get(WEIGHTS, self.id)

    @property
    def _lineage(self) -> dict[str, str]:
        return dict(self.record["spec"].get("lineage") or {})

    @property
    def verdict(self) -> Verdict | None:
        """The last one; None where the gate said nothing."""
        return self.verdicts[0] if self.verdicts else None

    @property
    def passed_last(self) -> Verdict | None:
        """The last verdict that let it serve."""
        return next((verdict for verdict in self.verdicts if verdict.passed), None)

    def verdict_of(self, run: str) -> Verdict | None:
        return next((verdict for verdict in self.verdicts if verdict.run == run), None)

    def judged_by(self, spec_hash: str) -> bool:
        """Whether the gate said anything about it for a spec of that hash."""
        return any(verdict.spec_hash == spec_hash for verdict in self.verdicts)

    def package(self, pack_hash: str) -> Package | None:
        """The newest Bento packed by a spec of that hash, else the newest of all."""
        fitting = (package for package in self.packages if package.pack_hash == pack_hash)
        return next(fitting, self.packages[0] if self.packages else None)

    def status(self, *, serving: bool) -> dict[str, Any]:
        """``status`` of the ModelVersion."""
        status: dict[str, Any] = {"serving": serving}
        for name, entries in (("verdicts", self.verdicts), ("packages", self.packages)):
            if entries:
                status[name] = [entry.model_dump(mode="json", by_alias=True, exclude_none=True) for entry in entries]
        return status


def record_name(recommender: str, version: str) -> str:
    """What the ModelVersion of a version is called: with one name there is one of them."""
    return f"{recommender}-{version}"


def versions_of(recommender: Object, children: Mapping[ChildKey, Object]) -> tuple[Version, ...]:
    """The versions of a Recommender, oldest record first."""
    name = recommender["metadata"]["name"]
    found = [
        _read(live)
        for (kind, known), live in children.items()
        if kind == "ModelVersion"
        and live["spec"]["recommender"] == name
        and known == record_name(name, live["spec"]["version"])
    ]
    return tuple(sorted(found, key=lambda v: (str(v.record["metadata"].get("creationTimestamp", "")), v.id)))


def _read(live: Object) -> Version:
    status = live.get("status") or {}
    return Version(
        record=live,
        verdicts=_newest_first(_readable(Verdict, status.get("verdicts"))),
        packages=_newest_first(_readable(Package, status.get("packages"))),
    )


def _readable(kind: type[Entry], entries: Any) -> list[Entry]:
    found = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            found.append(kind.model_validate(entry))
        except ValidationError:
            continue
    return found


def _newest_first(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: (entry.time, entry.run), reverse=True))


def with_result(
    recommender: Object, known: Sequence[Version], run: Mapping[str, Any], made: VersionMade, *, store: str,
    pack_hash: str,
) -> Version:  # fmt: skip
    """The version that a run made, with that run's verdict and package among those that are known.

    A renewal trains nothing, so what its verdict and its lineage say of training is what is known of its parent: or the
    present spec, or the present data, would seem to be trained.

    Args:
        known: The versions that there are.
        run: ``status.run``, which has ended.
        made: What its last pod said.
        store: Where pods reach the store.
        pack_hash: Hash of the fields of the spec that were packed.
    """
    name = recommender["metadata"]["name"]
    version = next((one for one in known if one.id == made.version), None)
    spec_hash, of_weights = run["specHash"], {}
    if run.get("trigger") == RENEWAL:
        parent = next((one for one in known if one.id == made.parent), None)
        judged = parent and (parent.passed_last or parent.verdict)
        spec_hash = judged.spec_hash if judged else UNKNOWN
        weights = parent.weights if parent else made.parent or UNKNOWN
        of_weights = {TRAINED: (parent and parent.learned_from) or UNKNOWN, WEIGHTS: weights}
    if version is None:
        version = Version(record=_record(recommender, run, made, of_weights))
    reason = made.reason if len(made.reason) <= REASON_LENGTH else made.reason[: REASON_LENGTH - 1] + "…"
    verdict = Verdict(
        run=run["id"], time=run["finishedAt"], rule=made.rule, passed=made.passed, reason=reason,
        answers=made.answers, spec_hash=spec_hash,
    )  # fmt: skip
    package = Package(
        digest=made.digest,
        bento=f"{store}/{layout.bento_archive(name, made.version, made.digest)}",
        run=run["id"],
        time=run["finishedAt"],
        pack_hash=pack_hash,
        code=made.code,
    )
    verdicts = _newest_first((verdict, *(one for one in version.verdicts if one.run != verdict.run)))
    packages = _newest_first((package, *(one for one in version.packages if one.digest != package.digest)))
    return replace(version, verdicts=_kept(verdicts), packages=packages[:ENTRIES])


def _kept(verdicts: tuple[Verdict, ...]) -> tuple[Verdict, ...]:
    """As many as a record holds; the last that passed is never given up for newer refusals."""
    kept, older = verdicts[:ENTRIES], verdicts[ENTRIES:]
    if any(verdict.passed for verdict in kept):
        return kept
    passed = next((verdict for verdict in older if verdict.passed), None)
    return kept if passed is None else (*kept[:-1], passed)


def _record(recommender: Object, run: Mapping[str, Any], made: VersionMade, of_weights: Mapping[str, str]) -> Object:
    name = recommender["metadata"]["name"]
    spec: Object = {
        "recommender": name,
        "version": made.version,
        "run": run["id"],
        "metrics": dict(made.metrics),
        "lineage": {"data": made.source, **of_weights},
    }
    if made.parent and made.parent != made.version:
        spec["parent"] = made.parent
    return {
        "apiVersion": recommender["apiVersion"],
        "kind": "ModelVersion",
        "metadata": child_metadata(recommender, record_name(name, made.version), {RUN_LABEL: run["id"]}),
        "spec": spec,
    }
