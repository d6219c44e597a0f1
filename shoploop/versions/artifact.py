"""A model version on disk: weights, configuration, feature contract, items and the manifest that vouches for them.

safetensors loads flipped bits, NaN and missing tensors without complaint, so everything is checked here before use.
This module must not know what a tensor means, where a folder comes from, nor who signed it (stored.py does).

::

    manifest.json        format, files with sha256 and length, tensors with shape and dtype, config, lineage, metrics
    weights.safetensors  every tensor
    items.arrow          the catalogue, one row an item, in the order of the item embeddings
    contract.json        names, types and order of the features
    ...                  further files by name, such as a model of LightGBM as text
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from shoploop.errors import ArtifactCorrupt, ArtifactForeign, ContractMismatch
from shoploop.features.contract import contract_hash
from shoploop.store import disk

if TYPE_CHECKING:
    import torch

FORMAT = "shoploop.version"
FORMAT_VERSION = 1

MANIFEST = "manifest.json"
WEIGHTS, ITEMS, CONTRACT = "weights.safetensors", "items.arrow", "contract.json"

RESERVED = "manifest.dsse.json"
"""Where a store keeps the manifest's signature."""

REFUSED = "refused.txt"
"""In a folder that holds no version, because it must not be used: why."""

FALLS_BACK = "falls_back.json"
"""Beside the files of a copy of the version that serves: the surfaces that it does not answer by its model
(:func:`shoploop.versions.verdicts.falls_back`)."""

WEIGHTS_OF = "weights_of"
"""In the lineage of a renewal: the version that was trained, and whose weights it has (docs/decisions/0117)."""

RENEWALS = "renewals"
"""In the lineage of a renewal: the renewals of the same weights before it, oldest first."""

MOST_RENEWALS = 1_000
"""The last so many of them are named, which is more than served in the days that an evaluation looks back on."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Version:
    """A verified version, in memory."""

    id: str
    """``v`` and the first 12 hex digits of the manifest's sha256: the same bytes have the same id."""

    folder: Path
    manifest: dict[str, Any]
    tensors: "dict[str, torch.Tensor]"
    items: pa.Table
    contract: dict[str, Any]
    extra_files: dict[str, bytes]

    @property
    def config(self) -> dict[str, Any]:
        """What the model's classes need to be built again."""
        config: dict[str, Any] = self.manifest["config"]
        return config

    @property
    def lineage(self) -> dict[str, Any]:
        """Digests of the input tables, code version and parent."""
        lineage: dict[str, Any] = self.manifest["lineage"]
        return lineage

    @property
    def weights_of(self) -> str:
        """The version that was trained, and whose weights this one has: itself, where it is no renewal."""
        return str(self.lineage.get(WEIGHTS_OF) or self.id)

    @property
    def same_weights(self) -> tuple[str, ...]:
        """Versions with these weights as far as this one names them, oldest first: that which was trained, the renewals of it
        up to this one, and itself."""
        if WEIGHTS_OF not in self.lineage:
            return (self.id,)
        before = self.lineage.get(RENEWALS, [self.lineage["parent"]])  # earlier renewals name their parent alone
        return tuple(dict.fromkeys((self.weights_of, *map(str, before), self.id)))


def write_version(
    folder: Path,
    *,
    tensors: "Mapping[str, torch.Tensor]",
    config: dict[str, Any],
    contract: dict[str, Any],
    items: pa.Table,
    lineage: dict[str, Any],
    metrics: dict[str, Any],
    extra_files: Mapping[str, bytes] | None = None,
) -> Version:
    """Writes a version aside, makes it durable and renames it to ``folder`` as a whole.

    Args:
        folder: Where the version shall lie. An empty folder, or another version there, is replaced.
        tensors: By name; any shape and dtype, finite.
        config: What is needed to build the model again, as JSON.
        contract: The feature contract as JSON.
        items: The catalogue, in the order of the item embeddings.
        lineage: Digests of the input tables, code version and parent, as JSON.
        metrics: What is known of its quality at writing, as JSON.
        extra_files: Further files by plain name.

    Raises:
        ArtifactCorrupt: a tensor holds NaN or infinity.
        ArtifactForeign: ``folder`` holds something else than a version.
    """
    from safetensors.torch import save

    _check_finite(tensors, f"Version for {folder}", "Nothing was written; lower the learning rate or look at the data.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise ArtifactForeign(f"{folder} is not empty and holds no model version. Name another folder, or remove it.")
    files = {
        WEIGHTS: save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}),
        ITEMS: _arrow_bytes(items),
        CONTRACT: _json_bytes(contract),
        **(extra_files or {}),
    }
    for name in files:
        if not PLAIN_NAME.fullmatch(name) or name in (MANIFEST, RESERVED, REFUSED, FALLS_BACK):
            raise ValueError(f"{name!r} cannot name a file of a version")
    manifest = _json_bytes(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "files": {
                name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
                for name, data in sorted(files.items())
            },
            "tensors": {name: _tensor_facts(tensor) for name, tensor in sorted(tensors.items())},
            "contract_hash": contract_hash(contract),
            "config": config,
            "lineage": lineage,
            "metrics": metrics,
        }
    )
    files[MANIFEST] = manifest
    with disk.whole_folder(folder, replace=True) as aside:
        for name, data in files.items():
            (aside / name).write_bytes(data)
    return load_version(folder)


def load_version(folder: Path, *, expected: str | None = None) -> Version:
    """Reads a version and verifies it: format, digests, lengths, tensors. Who signed it was asked where it came from.

    What was verified is what is returned: every file is read once.

    Args:
        folder: A version's folder. Files that its manifest does not name are not looked at.
        expected: The id that it must have; None takes any.

    Raises:
        ArtifactForeign: the folder holds no version, or one of another format.
        ArtifactCorrupt: bytes, names, shapes, dtypes or values differ from the manifest, or the id from ``expected``.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    body, manifest = _read_manifest(folder)
    found = version_id(body)
    if expected is not None and found != expected:
        raise ArtifactCorrupt(
            f"{folder} holds version {found} where {expected} was expected. Copy that version again, or train anew."
        )
    files = {name: _read_verified(folder, name, facts) for name, facts in manifest["files"].items()}
    try:
        tensors = load(files[WEIGHTS])
        items = pa.ipc.open_file(files[ITEMS]).read_all()
        contract = json.loads(files[CONTRACT])
    except (SafetensorError, pa.ArrowInvalid, ValueError) as error:
        raise ArtifactCorrupt(f"Version {found} in {folder} cannot be read: {error}. {_REMEDY}") from error
    _check_tensors(manifest["tensors"], tensors, f"Version {found} in {folder}")
    if contract_hash(contract) != manifest["contract_hash"]:
        raise ArtifactCorrupt(f"Version {found} in {folder}: {CONTRACT} is not the one its manifest names. {_REMEDY}")
    return Version(
        id=found,
        folder=folder,
        manifest=manifest,
        tensors=tensors,
        items=items,
        contract=contract,
        extra_files={name: data for name, data in files.items() if name not in (WEIGHTS, ITEMS, CONTRACT)},
    )


def check_contract(version: Version, at_hand: str) -> None:
    """Holds a version against the features at hand, whose contract has the hash ``at_hand``.

    Raises:
        ContractMismatch: it was trained on features of another contract.
    """
    trained = version.manifest["contract_hash"]
    if trained != at_hand:
        raise ContractMismatch(
            f"Version {version.id} was trained on the features of contract {trained[:12]}, but those at hand are of "
            f"contract {at_hand[:12]}. Train a version on these features, or serve it with its own."
        )


def version_id(manifest: bytes) -> str:
    """The id of the version whose manifest has these bytes."""
    return "v" + hashlib.sha256(manifest).hexdigest()[:12]


def version_files(folder: Path) -> list[str]:
    """Names of the files that make up the version in ``folder``, the manifest last.

    Raises:
        ArtifactForeign, ArtifactCorrupt: as :func:`load_version`.
    """
    _, manifest = _read_manifest(folder)
    return [*sorted(manifest["files"]), MANIFEST]


_REMEDY = "It was damaged after it was written; copy it again, or train a new version."


def _read_manifest(folder: Path) -> tuple[bytes, dict[str, Any]]:
    path = folder / MANIFEST
    try:
        body = path.read_bytes()
    except OSError as error:
        if (folder / REFUSED).is_file():
            raise ArtifactForeign((folder / REFUSED).read_text()) from error
        raise ArtifactForeign(
            f"{folder} is no model version: {MANIFEST} cannot be read ({error.strerror}). Name the folder of a version."
        ) from error
    try:
        manifest = json.loads(body)
    except ValueError as error:
        raise ArtifactCorrupt(f"{path} is no JSON: {error}. {_REMEDY}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ArtifactForeign(f"{path} does not describe a shoploop version. Name the folder of a version.")
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ArtifactForeign(
            f"{path} is of format version {manifest.get('format_version')}; this shoploop reads {FORMAT_VERSION}. "
            "Use the shoploop that wrote it, or train a new version."
        )
    _check_structure(path, manifest)
    return body, manifest


def _check_structure(path: Path, manifest: dict[str, Any]) -> None:
    kinds = {"files": dict, "tensors": dict, "config": dict, "lineage": dict, "metrics": dict, "contract_hash": str}
    for field, kind in kinds.items():
        if not isinstance(manifest.get(field), kind):
            raise ArtifactCorrupt(f"{path} has no {field}. {_REMEDY}")
    for name, facts in manifest["files"].items():
        # a name such as ../../etc/passwd must never become a path
        if not PLAIN_NAME.fullmatch(name) or not isinstance(facts, dict) or not {"sha256", "bytes"} <= facts.keys():
            raise ArtifactCorrupt(f"{path} names the file {name!r} in a way that no shoploop writes. {_REMEDY}")
    if missing := {WEIGHTS, ITEMS, CONTRACT} - manifest["files"].keys():
        raise ArtifactCorrupt(f"{path} does not name {', '.join(sorted(missing))}. {_REMEDY}")


def _read_verified(folder: Path, name: str, facts: dict[str, Any]) -> bytes:
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactCorrupt(f"{path} cannot be read ({error.strerror}). {_REMEDY}") from error
    if len(data) != facts["bytes"]:
        raise ArtifactCorrupt(f"{path} has {len(data)} bytes; its manifest says {facts['bytes']}. {_REMEDY}")
    if hashlib.sha256(data).hexdigest() != facts["sha256"]:
        raise ArtifactCorrupt(f"{path} has another sha256 than its manifest says. {_REMEDY}")
    return data


def _check_tensors(declared: dict[str, Any], tensors: "Mapping[str, torch.Tensor]", what: str) -> None:
    for problem, names in (
        ("lacks", declared.keys() - tensors.keys()),
        ("holds undeclared", tensors.keys() - declared.keys()),
    ):
        if names:
            raise ArtifactCorrupt(f"{what} {problem} tensor {', '.join(sorted(names))}. {_REMEDY}")
    for name, tensor in tensors.items():
        if _tensor_facts(tensor) != declared[name]:
            raise ArtifactCorrupt(
                f"{what}: tensor {name} is {_tensor_facts(tensor)}; its manifest says {declared[name]}. {_REMEDY}"
            )
    _check_finite(tensors, what, _REMEDY)


def _check_finite(tensors: "Mapping[str, torch.Tensor]", what: str, remedy: str) -> None:
    import torch

    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ArtifactCorrupt(f"{what}: tensor {name} holds NaN or infinity. {remedy}")


def _tensor_facts(tensor: "torch.Tensor") -> dict[str, Any]:
    return {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}


def _json_bytes(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode()


def _arrow_bytes(table: pa.Table) -> bytes:
    """One record batch and no metadata, so that equal tables have equal bytes."""
    table = table.replace_schema_metadata(None).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
