"""Packages a version as a Bento that holds all it needs to answer: code, model, features and settings.

BentoML builds it as a process of its own in a folder of its own, so nothing of this machine gets in by accident. The
archive is packed anew from what BentoML built, with fixed times, owners and order: equal content has an equal digest.
"""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shoploop import progress
from shoploop.api.v1alpha1 import GateSpec, ServingSpec
from shoploop.data.collected import CollectedThrough, collected_in
from shoploop.errors import ArtifactCorrupt, ArtifactForeign, NotFound, ShoploopError
from shoploop.packaging.archive import pack, unpack
from shoploop.packaging.serving_code import code_of
from shoploop.packaging.staging import NAME, RANKER, stage_code, stage_description, stage_ranker
from shoploop.packaging.unpacked import used
from shoploop.ranking.settings import RankerSettings
from shoploop.store import Store, disk, layout
from shoploop.versions.artifact import load_version
from shoploop.versions.keys import Signer
from shoploop.versions.signing import Statement, Trust, digest, signed
from shoploop.versions.stored import check_signature, stored_signature

REPORT = "bento.json"
SHA256 = re.compile(r"[0-9a-f]{64}")
NO_MOMENT = "creation_time: '1970-01-01T00:00:00+00:00'"

STAGED, BUILT, PACKED = PARTS = ("what serves is put together", "BentoML builds it", "it is packed")
"""Of the step, for who watches."""


class BentoFailed(ShoploopError):
    """BentoML could not build."""


def build_bento(
    *,
    data: Path,
    features: Path,
    model: Path,
    out: Path,
    serving_spec: ServingSpec | None = None,
    max_age_days: int | None = None,
    falls_back: Mapping[str, str] | None = None,
    unread: bool = False,
) -> dict[str, Any]:
    """Builds the Bento of a version and exports it as a ``.bento`` archive, as ``bentoml import`` takes it.

    Of what the gate said it holds which surfaces the model must not answer, and nothing else: judged again with the same
    end it has the same bytes.

    Args:
        data: Folder of ``load_data``.
        features: Folder of ``materialize_features``.
        model: Folder of a version.
        out: Folder to write: ``<version>.bento`` and ``bento.json``.
        serving_spec: Fields, deadline and rules of the answers, and whose pages may ask.
        max_age_days: See :class:`RankerSettings`; unset means the gate's default.
        falls_back: See :class:`RankerSettings`; unset means that the model answers on all surfaces that it has.
        unread: Whether the gate could not read the version that serves: who judges again then packs again.

    Returns:
        ``bento.json``: version, archive, sha256, bytes, tag, and the digest of its serving code.

    Raises:
        ArtifactCorrupt, ArtifactForeign: the version must not be used.
        SpecInvalid: an item field is no column of the items table.
        BentoFailed: BentoML's own words.
    """
    serving = serving_spec or ServingSpec()
    version = load_version(model)
    collected = collected_in(data)
    settings = RankerSettings(
        version=version.id,
        item_fields=tuple(serving.item_fields),
        deadline_milliseconds=serving.deadline_milliseconds,
        allowed_origins=tuple(serving.allowed_origins),
        list_rules=serving.list_rules,
        exploration=serving.exploration,
        max_age_days=GateSpec().max_age_days if max_age_days is None else max_age_days,
        events_offset=collected.offset,
        falls_back=dict(falls_back or {}),
    )
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shoploop-bento-") as work:
        context, home = Path(work, "context"), Path(work, "home")
        parts = progress.Parts(*PARTS)
        parts.begin(STAGED)
        stage_code(context)
        stage_ranker(context / RANKER, data=data, features=features, model=model, settings=settings)
        stage_description(context)
        parts.begin(BUILT)
        built = _build(context, home, version.id)
        parts.begin(PACKED)
        archive = out / f"{version.id}.bento"
        pack(built, archive)
        code = code_of(built)
        parts.end()
    report = {
        "version": version.id,
        "archive": archive.name,
        "sha256": disk.digest_of(archive),
        "bytes": archive.stat().st_size,
        "tag": f"{NAME}:{version.id}",
        "code": code,
        "bentoml": importlib.metadata.version("bentoml"),
        "collected": collected.to_json(),
    }
    report |= {"incumbent_unread": True} if unread else {}
    (out / REPORT).write_text(json.dumps(report, sort_keys=True, indent=1) + "\n")
    return report


def publish_bento(store: Store, name: str, version: str, folder: Path, *, signer: Signer | None = None) -> str:
    """Copies what :func:`build_bento` wrote into the store beside its version; returns the archive's sha256.

    The description comes last, so that what it names is there.

    Args:
        signer: Who vouches for it, for a Bento is code; None leaves it unsigned.

    Raises:
        ArtifactCorrupt: the archive is not the one that was built, or of another version.
    """
    report = _report((folder / REPORT).read_bytes())
    archive = folder / report["archive"]
    _check_digest(archive, report)
    if report["version"] != version:
        raise ArtifactCorrupt(f"{folder} holds the Bento of {report['version']}, not of {version}. Build it again.")
    sha256 = str(report["sha256"])
    body = json.dumps(report | {"archive": layout.bento_file(sha256)}, sort_keys=True, indent=1).encode()
    store.put_file(layout.bento_archive(name, version, sha256), archive)
    if signer is not None:
        _sign(store, name, version, sha256, body, signer)
    store.put(f"{layout.bento(name, version)}/{REPORT}", body)
    return sha256


def fetch_bento(store: Store, name: str, version: str, cache: Path, trust: Trust | None = None) -> Path:
    """The unpacked Bento of a version, verified; from ``cache`` where it was unpacked before.

    Args:
        store: Where it lies.
        name: Of the recommender.
        version: Which one.
        cache: A folder that nobody writes but this function: what lies there is not verified again.
        trust: Who must have signed it; as the environment says where not given.

    Raises:
        NotFound: the store holds no Bento of that version.
        ArtifactCorrupt, ArtifactForeign, ArtifactUnsigned, KeyUntrusted, SignatureInvalid: what it holds must not be run.
    """
    body, report = _stored_report(store, name, version)
    sha256 = str(report["sha256"])
    check_bento(store, name, version, body, sha256, trust or Trust.configured())
    folder = cache / f"{version}-{sha256}"
    if folder.is_dir():
        used(folder)
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as work:
        archive = Path(work, layout.bento_file(sha256))
        store.get_file(layout.bento_archive(name, version, sha256), archive)
        unpack(archive, folder, sha256=sha256)
    return folder


def collected_of(store: Store, name: str, version: str) -> CollectedThrough:
    """What of the event log lies in the histories that a stored version is packaged with.

    Raises:
        NotFound: the store holds no Bento of that version.
        ArtifactCorrupt, ArtifactForeign: it does not describe one.
    """
    _, report = _stored_report(store, name, version)
    return CollectedThrough(**report.get("collected", {}))


def bento_digest(store: Store, name: str, version: str) -> str | None:
    """sha256 of a stored version's current Bento; None where it has none.

    Raises:
        ArtifactCorrupt, ArtifactForeign: what is there does not describe one.
    """
    try:
        return str(_stored_report(store, name, version)[1]["sha256"])
    except NotFound:
        return None


def check_bento(store: Store, name: str, version: str, body: bytes, sha256: str, trust: Trust) -> None:
    """Makes sure that the archive with that digest, described by ``body``, is signed as ``trust`` asks."""
    where = store.url(layout.bento_archive(name, version, sha256))
    key = layout.bento_signature(name, version, sha256)
    check_signature(store, key, _statement(name, version, sha256, body), where, trust)


def sign_bento(store: Store, name: str, version: str, signer: Signer, trust: Trust) -> str | None:
    """Adds a signature to a stored version's current Bento; returns the archive's sha256, None where it has no Bento.

    Args:
        trust: Who must have signed it before.

    Raises:
        ArtifactCorrupt, ArtifactForeign, ArtifactUnsigned, KeyUntrusted, SignatureInvalid: it is not worth a signature.
    """
    try:
        body, report = _stored_report(store, name, version)
    except NotFound:
        return None
    sha256 = str(report["sha256"])
    check_bento(store, name, version, body, sha256, trust)
    with tempfile.TemporaryDirectory(prefix="shoploop-sign-") as work:
        archive = Path(work, layout.bento_file(sha256))
        store.get_file(layout.bento_archive(name, version, sha256), archive)
        _check_digest(archive, report)
    _sign(store, name, version, sha256, body, signer)
    return sha256


def _sign(store: Store, name: str, version: str, sha256: str, body: bytes, signer: Signer) -> None:
    key = layout.bento_signature(name, version, sha256)
    statement = _statement(name, version, sha256, body)
    store.put(key, signed(statement, signer, before=stored_signature(store, key)))


def _statement(name: str, version: str, sha256: str, body: bytes) -> Statement:
    digests = {layout.bento_file(sha256): sha256, REPORT: digest(body)}
    return Statement(kind="bento", recommender=name, version=version, digests=digests)


def _stored_report(store: Store, name: str, version: str) -> tuple[bytes, dict[str, Any]]:
    """``bento.json`` of a stored version, as bytes and as what they say."""
    key = f"{layout.bento(name, version)}/{REPORT}"
    try:
        body = store.get(key)
    except NotFound as error:
        raise NotFound(
            f"Version {version} of {name!r} has no Bento in {store.uri}. Run `shoploop run` again to package it."
        ) from error
    report = _report(body)
    if report["version"] != version:
        raise ArtifactCorrupt(
            f"{store.url(key)} describes the Bento of {report['version']}. Publish that of {version} again."
        )
    return body, report


def serve_command(folder: Path, port: int, *, host: str = "127.0.0.1") -> list[str]:
    """The command that serves an unpacked Bento.

    Args:
        folder: From :func:`unpack`.
        port: To listen on.
        host: Address to listen on, as a number; 0.0.0.0 answers other machines too.
    """
    return [sys.executable, "-m", "bentoml", "serve", str(folder), "--port", str(port), "--host", host]


def _build(context: Path, home: Path, version: str) -> Path:
    """Runs ``bentoml build``; returns the built Bento's folder."""
    environment = os.environ | {
        "BENTOML_HOME": str(home),
        "BENTOML_DO_NOT_TRACK": "True",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "ignore",
    }
    # A context that is named by its path may hold no colon, and a build file that is looked for may not lie below a hidden
    # folder, as a store on a laptop does.
    names = [".", "--bentofile", "bentofile.yaml"]
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", *names, "--version", version, "--output", "tag"],
        cwd=context,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    built = home / "bentos" / NAME / version
    if done.returncode or not built.is_dir():
        raise BentoFailed(
            f"BentoML could not build the Bento of {version}: {(done.stderr or done.stdout)[-2000:].strip()}"
        )
    info = built / "bento.yaml"
    lines = info.read_text().splitlines()
    info.write_text("\n".join(NO_MOMENT if line.startswith("creation_time:") else line for line in lines) + "\n")
    return built


def _report(body: bytes) -> dict[str, Any]:
    try:
        report = json.loads(body)
    except ValueError as error:
        raise ArtifactForeign(f"{REPORT} is no JSON: {error}. Build the Bento again.") from error
    if not isinstance(report, dict) or not {"version", "archive", "sha256", "bytes"} <= report.keys():
        raise ArtifactForeign(f"{REPORT} does not describe a Bento of shoploop. Build the Bento again.")
    if not SHA256.fullmatch(str(report["sha256"])):
        raise ArtifactForeign(f"{REPORT} names no sha256 of its archive. Build the Bento again.")
    return report


def _check_digest(archive: Path, report: dict[str, Any]) -> None:
    found = disk.digest_of(archive) if archive.is_file() else "missing"
    if found != report["sha256"]:
        raise ArtifactCorrupt(
            f"The Bento of {report['version']} in {archive.name} has sha256 {found[:12]}; {REPORT} says "
            f"{report['sha256'][:12]}. Run `shoploop run` again to package it."
        )
