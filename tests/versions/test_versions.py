"""A version is written as a whole, and nothing damaged or foreign is ever loaded."""

import hashlib
import json
import struct
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from shoploop.errors import ArtifactCorrupt, ArtifactForeign, ContractMismatch
from shoploop.features.contract import Contract
from shoploop.versions.artifact import check_contract, load_version, version_files, write_version

CONTRACT = Contract().to_json()


def write(folder: Path, **overrides):
    """A valid version; a test names only what it is about."""
    tensors = {"item.weight": torch.arange(6, dtype=torch.float32).reshape(3, 2), "alpha": torch.tensor(0.5)}
    defaults = {
        "tensors": tensors,
        "config": {"dim": 2},
        "contract": CONTRACT,
        "items": pa.table({"item": ["a", "b", "c"]}),
        "lineage": {"interactions": "abc", "code": "1", "parent": None},
        "metrics": {"ndcg@10": 0.25},
    }
    return write_version(folder, **defaults | overrides)


def declare(folder: Path, name: str, data: bytes, **changes) -> None:
    """Replaces a file and makes the manifest agree with its bytes, as an attacker or a bug upstream would."""
    (folder / name).write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def edit_manifest(folder: Path, **changes) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def test_what_was_written_is_what_is_loaded(tmp_path):
    written = write(tmp_path / "model", extra_files={"model.txt": b"tree"})

    loaded = load_version(tmp_path / "model", expected=written.id)

    assert loaded.id == written.id and loaded.id.startswith("v") and len(loaded.id) == 13
    assert torch.equal(loaded.tensors["item.weight"], torch.tensor([[0.0, 1], [2, 3], [4, 5]]))
    assert loaded.items.to_pydict() == {"item": ["a", "b", "c"]}
    assert loaded.config == {"dim": 2} and loaded.lineage["interactions"] == "abc"
    assert loaded.contract == CONTRACT and loaded.extra_files == {"model.txt": b"tree"}


def test_the_same_content_has_the_same_id_and_bytes(tmp_path):
    first, second = write(tmp_path / "one"), write(tmp_path / "two")

    assert first.id == second.id
    for name in version_files(first.folder):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes(), name


def test_how_a_table_was_chunked_does_not_change_its_id(tmp_path):
    halves = pa.concat_tables([pa.table({"item": ["a", "b"]}), pa.table({"item": ["c"]})])

    assert write(tmp_path / "one").id == write(tmp_path / "two", items=halves).id


def test_other_weights_have_another_id(tmp_path):
    other = {"item.weight": torch.zeros(3, 2), "alpha": torch.tensor(0.5)}

    assert write(tmp_path / "one").id != write(tmp_path / "two", tensors=other).id


def test_the_manifest_tells_each_files_digest_and_each_tensors_shape(tmp_path):
    manifest = write(tmp_path / "model").manifest

    weights = (tmp_path / "model" / "weights.safetensors").read_bytes()
    assert manifest["files"]["weights.safetensors"] == {
        "sha256": hashlib.sha256(weights).hexdigest(),
        "bytes": len(weights),
    }
    assert manifest["tensors"] == {
        "alpha": {"shape": [], "dtype": "float32"},
        "item.weight": {"shape": [3, 2], "dtype": "float32"},
    }


def test_tensors_that_share_memory_or_are_strided_are_written_as_they_read(tmp_path):
    base = torch.arange(6, dtype=torch.float32).reshape(3, 2)

    version = write(tmp_path / "model", tensors={"one": base, "same": base, "turned": base.T})

    assert torch.equal(version.tensors["same"], base) and torch.equal(version.tensors["turned"], base.T)


def test_a_later_version_replaces_the_one_before(tmp_path):
    write(tmp_path / "model")

    second = write(tmp_path / "model", config={"dim": 3})

    assert load_version(tmp_path / "model").id == second.id
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_with_other_things_is_not_overwritten(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "thesis.doc").write_text("years of work")

    with pytest.raises(ArtifactForeign, match="holds no model version"):
        write(tmp_path / "model")

    assert (tmp_path / "model" / "thesis.doc").read_text() == "years of work"


def test_a_diverged_training_writes_nothing(tmp_path):
    with pytest.raises(ArtifactCorrupt, match="alpha holds NaN or infinity"):
        write(tmp_path / "model", tensors={"alpha": torch.tensor(float("nan"))})

    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "model")

    assert list(tmp_path.iterdir()) == []


def test_files_and_folders_are_synced_before_the_rename_is(tmp_path, monkeypatch):
    import os

    synced, fsync = [], os.fsync
    monkeypatch.setattr("os.fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))

    write(tmp_path / "model")

    names = [Path(path).name for path in synced]
    aside = next(name for name in names if name.endswith(".part"))
    assert set(names[:4]) == {"weights.safetensors", "items.arrow", "contract.json", "manifest.json"}
    assert names[4:] == [aside, tmp_path.name]


@pytest.mark.parametrize("name", ["weights.safetensors", "items.arrow", "contract.json"])
def test_a_flipped_bit_is_found(tmp_path, name):
    path = write(tmp_path / "model").folder / name
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)

    with pytest.raises(ArtifactCorrupt, match=f"{name} has another sha256"):
        load_version(tmp_path / "model")


@pytest.mark.parametrize("name", ["weights.safetensors", "items.arrow", "contract.json"])
def test_a_truncated_file_is_found(tmp_path, name):
    path = write(tmp_path / "model").folder / name
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(ArtifactCorrupt, match=rf"{name} has \d+ bytes; its manifest says"):
        load_version(tmp_path / "model")


def test_a_missing_file_is_found(tmp_path):
    (write(tmp_path / "model").folder / "items.arrow").unlink()

    with pytest.raises(ArtifactCorrupt, match=r"items\.arrow cannot be read"):
        load_version(tmp_path / "model")


@pytest.mark.parametrize(
    "tensors, complaint",
    [
        ({"item.weight": torch.zeros(3, 2)}, "lacks tensor alpha"),
        ({"item.weight": torch.zeros(3, 2), "alpha": torch.tensor(0.5), "b": torch.zeros(1)}, "undeclared tensor b"),
        ({"item.weight": torch.zeros(2, 3), "alpha": torch.tensor(0.5)}, "tensor item.weight is"),
        ({"item.weight": torch.zeros(3, 2, dtype=torch.float64), "alpha": torch.tensor(0.5)}, "float64"),
        ({"item.weight": torch.full((3, 2), float("nan")), "alpha": torch.tensor(0.5)}, "holds NaN"),
        ({"item.weight": torch.full((3, 2), float("inf")), "alpha": torch.tensor(0.5)}, "holds NaN or infinity"),
    ],
    ids=["missing", "extra", "shape", "dtype", "nan", "infinity"],
)
def test_tensors_are_checked_even_where_the_digest_agrees(tmp_path, tensors, complaint):
    folder = write(tmp_path / "model").folder
    declare(folder, "weights.safetensors", save(tensors))

    with pytest.raises(ArtifactCorrupt, match=complaint):
        load_version(folder)


@pytest.mark.parametrize(
    "name, data",
    [
        ("weights.safetensors", b"no tensors"),
        ("weights.safetensors", struct.pack("<Q", 2**62) + b"{}"),
        ("items.arrow", b"no table"),
        ("contract.json", b"{"),
    ],
    ids=["weights", "weights-with-a-huge-header", "items", "contract"],
)
def test_unreadable_content_is_named_even_where_the_digest_agrees(tmp_path, name, data):
    folder = write(tmp_path / "model").folder
    declare(folder, name, data)

    with pytest.raises(ArtifactCorrupt, match="cannot be read"):
        load_version(folder)


def test_an_empty_or_missing_folder_is_foreign(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ArtifactForeign, match="is no model version"):
            load_version(folder)


@pytest.mark.parametrize("manifest", [[], {}, {"format": "onnx"}], ids=["list", "empty", "other"])
def test_the_manifest_of_something_else_is_foreign(tmp_path, manifest):
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(ArtifactForeign, match="does not describe a shoploop version"):
        load_version(tmp_path)


def test_a_later_format_is_refused_with_both_numbers(tmp_path):
    edit_manifest(write(tmp_path / "model").folder, format_version=2)

    with pytest.raises(ArtifactForeign, match="format version 2; this shoploop reads 1"):
        load_version(tmp_path / "model")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "a/b"])
def test_a_manifest_cannot_make_it_read_elsewhere(tmp_path, name):
    folder = write(tmp_path / "model").folder
    manifest = json.loads((folder / "manifest.json").read_bytes())
    edit_manifest(folder, files=manifest["files"] | {name: {"sha256": "", "bytes": 0}})

    with pytest.raises(ArtifactCorrupt, match="in a way that no shoploop writes"):
        load_version(folder)


def test_another_version_than_the_expected_one_is_refused(tmp_path):
    version = write(tmp_path / "model")

    with pytest.raises(ArtifactCorrupt, match=f"holds version {version.id} where v000000000000 was expected"):
        load_version(tmp_path / "model", expected="v000000000000")


def test_a_model_refuses_other_features_than_its_own(tmp_path):
    version = write(tmp_path / "model")

    check_contract(version, Contract().hash)
    with pytest.raises(
        ContractMismatch, match=f"contract {Contract().hash[:12]}, but those at hand are of contract bad"
    ):
        check_contract(version, "bad")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_single_flipped_bit_goes_unnoticed(tmp_path, position, bit):
    """Every bit of every file counts; one in the manifest changes the id, which whoever promotes a version has."""
    version = write(tmp_path / "model")
    files = version_files(version.folder)
    sizes = [(version.folder / name).stat().st_size for name in files]
    offset = int(position * sum(sizes))
    while offset >= sizes[0]:
        offset -= sizes.pop(0)
        files.pop(0)
    data = bytearray((version.folder / files[0]).read_bytes())
    data[offset] ^= 1 << bit
    (version.folder / files[0]).write_bytes(data)

    with pytest.raises((ArtifactCorrupt, ArtifactForeign)):
        load_version(version.folder, expected=version.id)


def test_a_renewal_names_those_before_it_with_the_same_weights(tmp_path):
    def same(**lineage):
        version = write(tmp_path / "version", lineage={"parent": "trained", **lineage})
        assert version.same_weights[-1] == version.id
        return version.same_weights[:-1]

    assert same() == ()
    assert same(weights_of="trained", renewals=[]) == ("trained",)
    assert same(parent="second", weights_of="trained", renewals=["first", "second"]) == ("trained", "first", "second")
    assert same(parent="second", weights_of="trained") == ("trained", "second"), "earlier ones name their parent alone"
