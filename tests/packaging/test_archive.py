"""A ``.bento`` archive is the same bytes for the same content, and is unpacked whole or not at all."""

import io
import os
import tarfile

import pytest

from shoploop.errors import ArtifactCorrupt
from shoploop.packaging.archive import pack, unpack
from shoploop.store import disk


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "content" / "sub").mkdir(parents=True)
    (tmp_path / "content" / "a").write_bytes(b"1")
    (tmp_path / "content" / "sub" / "b").write_bytes(b"2" * 1000)
    return tmp_path / "content"


def test_what_was_packed_is_unpacked(folder, tmp_path):
    pack(folder, tmp_path / "x.bento")
    unpack(tmp_path / "x.bento", tmp_path / "again", sha256=disk.digest_of(tmp_path / "x.bento"))

    assert (tmp_path / "again" / "a").read_bytes() == b"1"
    assert (tmp_path / "again" / "sub" / "b").read_bytes() == b"2" * 1000


def test_times_and_modes_of_files_do_not_change_the_bytes(folder, tmp_path):
    pack(folder, tmp_path / "one.bento")
    os.utime(folder / "a", (1, 1))
    (folder / "a").chmod(0o600)
    pack(folder, tmp_path / "two.bento")

    assert disk.digest_of(tmp_path / "one.bento") == disk.digest_of(tmp_path / "two.bento")


@pytest.mark.parametrize("keep", [0, 0.5], ids=["empty", "half"])
def test_a_cut_off_archive_leaves_nothing_behind(folder, tmp_path, keep):
    pack(folder, tmp_path / "x.bento")
    data = (tmp_path / "x.bento").read_bytes()
    (tmp_path / "x.bento").write_bytes(data[: int(len(data) * keep)])

    with pytest.raises(ArtifactCorrupt, match=r"no whole \.bento archive"):
        unpack(tmp_path / "x.bento", tmp_path / "to" / "again", sha256=disk.digest_of(tmp_path / "x.bento"))
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside"])
def test_a_name_that_leads_out_of_the_folder_is_refused_or_kept_inside(tmp_path, name):
    with tarfile.open(tmp_path / "x.bento", "w:xz") as tar:
        info = tarfile.TarInfo(name)
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))

    try:
        unpack(tmp_path / "x.bento", tmp_path / "to" / "again", sha256=disk.digest_of(tmp_path / "x.bento"))
    except ArtifactCorrupt:
        assert list((tmp_path / "to").iterdir()) == []
    assert not (tmp_path / "to" / "outside").exists() and not (tmp_path / "outside").exists()


@pytest.mark.parametrize("position", [0, 20, -1], ids=["first", "inside", "last"])
def test_an_archive_with_one_flipped_bit_is_not_looked_into(folder, tmp_path, position, monkeypatch):
    pack(folder, tmp_path / "x.bento")
    wanted = disk.digest_of(tmp_path / "x.bento")
    data = bytearray((tmp_path / "x.bento").read_bytes())
    data[position] ^= 1
    (tmp_path / "x.bento").write_bytes(data)
    monkeypatch.setattr(tarfile, "open", lambda *_, **__: pytest.fail("it was opened"))

    with pytest.raises(ArtifactCorrupt, match=f"and {wanted} was asked for"):
        unpack(tmp_path / "x.bento", tmp_path / "to" / "again", sha256=wanted)
    assert not (tmp_path / "to").exists()


def test_an_archive_that_is_exchanged_after_it_was_hashed_is_not_kept(folder, tmp_path, monkeypatch):
    pack(folder, tmp_path / "x.bento")
    wanted = disk.digest_of(tmp_path / "x.bento")
    (folder / "a").write_bytes(b"evil")
    pack(folder, tmp_path / "x.bento")
    monkeypatch.setattr("shoploop.store.disk.digest_of", lambda path: wanted)

    with pytest.raises(ArtifactCorrupt, match=f"and {wanted} was asked for"):
        unpack(tmp_path / "x.bento", tmp_path / "to" / "again", sha256=wanted)
    assert list((tmp_path / "to").iterdir()) == []


def test_bytes_after_the_last_member_count_too(folder, tmp_path, monkeypatch):
    pack(folder, tmp_path / "x.bento")
    wanted = disk.digest_of(tmp_path / "x.bento")
    (tmp_path / "x.bento").write_bytes((tmp_path / "x.bento").read_bytes() + b"\0" * 100_000)
    monkeypatch.setattr("shoploop.store.disk.digest_of", lambda path: wanted)

    with pytest.raises(ArtifactCorrupt):
        unpack(tmp_path / "x.bento", tmp_path / "to" / "again", sha256=wanted)
    assert list((tmp_path / "to").iterdir()) == []
