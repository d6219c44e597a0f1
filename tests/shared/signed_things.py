"""Real Ed25519 keys, and a version with a Bento so small that it is published in milliseconds."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from pyarrow import parquet

from shoploop.packaging.archive import pack
from shoploop.packaging.bento import publish_bento
from shoploop.packaging.fetch import RANKER
from shoploop.ranking.settings import RankerSettings
from shoploop.store import Store
from shoploop.store.disk import digest_of
from shoploop.versions import promotions
from shoploop.versions.artifact import Version, write_version
from shoploop.versions.keys import SIGNING_KEY, TRUSTED_KEYS, Signer, new_pair
from shoploop.versions.signing import POLICY, Trust


@pytest.fixture
def no_keys(monkeypatch):
    """An environment that says nothing about signatures, whatever the developer's own does."""
    for variable in (SIGNING_KEY, TRUSTED_KEYS, POLICY):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def make_key(tmp_path, no_keys):
    """Makes a pair of keys in files of that name."""

    def make(name: str = "shop") -> Signer:
        return new_pair(tmp_path / name)

    return make


def require(*signers: Signer) -> Trust:
    return Trust(policy="Require", keys={signer.id: signer.key.public_key() for signer in signers})


def write_small_version(folder: Path, alpha: float = 0.5) -> Version:
    """Another alpha is another version."""
    return write_version(
        folder,
        tensors={"alpha": torch.tensor(alpha)},
        config={},
        contract={},
        items=pa.table({"item": ["a"]}),
        lineage={},
        metrics={},
    )


def write_small_bento(folder: Path, version: str) -> None:
    """What ``build_bento`` would write, of nothing but settings and items."""
    ranker = folder.parent / f"{folder.name}-built" / RANKER
    ranker.mkdir(parents=True)
    RankerSettings(version=version, item_fields=("title",), deadline_milliseconds=100).write(ranker)
    parquet.write_table(pa.table({"item": ["a"], "title": ["Tea"]}), ranker / "items.parquet")
    folder.mkdir()
    archive = folder / f"{version}.bento"
    pack(folder.parent / f"{folder.name}-built", archive)
    report = {
        "version": version,
        "archive": archive.name,
        "sha256": digest_of(archive),
        "bytes": archive.stat().st_size,
    }
    (folder / "bento.json").write_text(json.dumps(report))


def publish(
    store: Store, run: Path, *, signer: Signer | None, name: str = "grocery", alpha: float = 0.5
) -> tuple[str, str]:
    """Publishes a small version and its Bento from the new folder ``run``; the version's id and the archive's sha256."""
    version = write_small_version(run / "model", alpha).id
    write_small_bento(run / "bento", version)
    promotions.publish_version(store, name, run / "model", signer=signer)
    return version, publish_bento(store, name, version, run / "bento", signer=signer)


def flip(store: Store, key: str, position: int = -1) -> None:
    """Changes one bit of a stored object."""
    data = bytearray(store.get(key))
    data[position] ^= 1
    store.put(key, bytes(data))
