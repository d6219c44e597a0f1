"""A version in the store: signed, verified and fetched, so that what is used is what was verified.

It must not know which version serves, nor how one is packaged.
"""

import json
import shutil
from pathlib import Path

from shoploop.errors import ArtifactCorrupt, ArtifactError, NotFound
from shoploop.store import Store, disk, layout
from shoploop.versions.artifact import FALLS_BACK, MANIFEST, REFUSED, version_files, version_id
from shoploop.versions.keys import Signer
from shoploop.versions.signing import Statement, Trust, claimed_keys, digest, signed
from shoploop.versions.verdicts import falls_back


def sign_version(store: Store, name: str, version: str, manifest: bytes, signer: Signer) -> None:
    """Writes the signature of a version's manifest beside it; durable on return. Those of other keys are kept."""
    key = layout.version_signature(name, version)
    store.put(key, signed(_statement(name, version, manifest), signer, before=stored_signature(store, key)))


def check_version(store: Store, name: str, version: str, trust: Trust) -> bytes:
    """The manifest of a stored version, once it is known to be signed as ``trust`` asks.

    Raises:
        NotFound: no such version in the store.
        ArtifactCorrupt, ArtifactForeign, ArtifactUnsigned, KeyUntrusted, SignatureInvalid: it must not be used.
    """
    where = f"{layout.version(name, version)}/{MANIFEST}"
    manifest = store.get(where)
    if version_id(manifest) != version:
        raise ArtifactCorrupt(f"{store.url(where)} was changed after it was written. Remove that version.")
    what = f"Version {version} of {name!r} in {store.uri}"
    check_signature(store, layout.version_signature(name, version), _statement(name, version, manifest), what, trust)
    return manifest


def fetch_version(store: Store, name: str, version: str, folder: Path, trust: Trust) -> Path:
    """Copies a stored version into ``folder``, its manifest as it was verified; what is there is replaced.

    Returns:
        ``folder``, for :func:`shoploop.versions.artifact.load_version`, which holds each file against the manifest.

    Raises:
        NotFound, ArtifactCorrupt, ArtifactForeign, ArtifactUnsigned, KeyUntrusted, SignatureInvalid: as
        :func:`check_version`.
    """
    with disk.whole_folder(folder, replace=True) as aside:
        (aside / MANIFEST).write_bytes(check_version(store, name, version, trust))
        for file in version_files(aside):
            if file != MANIFEST:
                store.get_file(f"{layout.version(name, version)}/{file}", aside / file)
    return folder


def fetch_incumbent(store: Store, name: str, version: str, folder: Path, trust: Trust) -> Path:
    """As :func:`fetch_version`, for a comparison, which a shop must be able to do without.

    Beside its files lies what :func:`~shoploop.versions.verdicts.falls_back` says of it.

    Returns:
        ``folder``. Of a version that is gone there is none; in that of one that must not be used :func:`load_version`
        finds the reason.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    try:
        fetch_version(store, name, version, folder, trust)
    except NotFound:
        shutil.rmtree(folder, ignore_errors=True)
    except ArtifactError as error:
        with disk.whole_folder(folder, replace=True) as aside:
            (aside / REFUSED).write_text(str(error))
    if folder.is_dir():
        (folder / FALLS_BACK).write_text(json.dumps(falls_back(store, name, version)))
    return folder


def signed_by(store: Store, name: str, version: str, trust: Trust) -> str:
    """Who signed a stored version, in words for a list."""
    envelope = stored_signature(store, layout.version_signature(name, version))
    if envelope is None:
        return "nobody"
    if not trust.keys:
        return f"{', '.join(claimed_keys(envelope)) or 'nobody'} (not verified)"
    manifest = store.get(f"{layout.version(name, version)}/{MANIFEST}")
    try:
        return trust.verified(envelope, _statement(name, version, manifest), f"Version {version}")
    except ArtifactError as error:
        return f"{', '.join(claimed_keys(envelope)) or 'nobody'} ({type(error).__name__})"


def check_signature(store: Store, key: str, statement: Statement, where: str, trust: Trust) -> None:
    """Holds the signature at ``key`` against ``statement``, as :meth:`Trust.check` does; not read where nobody asks."""
    if trust.policy != "Ignore":
        trust.check(stored_signature(store, key), statement, where)


def stored_signature(store: Store, key: str) -> bytes | None:
    """The envelope at ``key``; None where there is none."""
    try:
        return store.get(key)
    except NotFound:
        return None


def _statement(name: str, version: str, manifest: bytes) -> Statement:
    return Statement(kind="version", recommender=name, version=version, digests={MANIFEST: digest(manifest)})
