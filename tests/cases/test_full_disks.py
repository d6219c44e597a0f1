"""A disk that fills up: one sentence says which step met it, where and how much it had written; what is done is kept."""

import errno
import os
import resource
import sqlite3
import subprocess

import pytest

from shoploop.errors import DiskFull
from shoploop.steps import STEPS, run_step
from shoploop.store import Store, disk


@pytest.fixture
def small_disk(shop):
    """The shop's store is a file system of 4 MiB."""
    shop.store.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(shop.store)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system of its own can only be mounted by root")
    yield shop.store
    subprocess.run(["umount", "--lazy", str(shop.store)], check=True)


def test_a_step_that_fills_the_disk_is_named_and_the_run_goes_on_when_there_is_space(shop, small_disk):
    shop.toy.fill("materialize_features")
    code, said = shop.run()
    assert code == 2
    assert "Traceback" not in said
    (told,) = [line for line in said.splitlines() if line.startswith("shoploop: ")]
    assert "Step materialize_features found no space left in" in told
    assert str(small_disk) in told and "of 4 MiB are free); it had written 4 MiB" in told
    (record,) = shop.records()
    assert record["state"] == "failed" and record["failure"]["exit_code"] == 2
    shop.toy.let_go()
    code, said = shop.run()
    assert code == 0, said
    assert "↺ validate_data" in said


def test_a_disk_that_somebody_else_fills_up_amid_a_step_ends_the_run_in_a_sentence(shop, small_disk):
    shop.toy.hold("materialize_features")
    begun = shop.start()
    shop.until_running("materialize_features")
    with open(small_disk / "others", "wb", buffering=0) as others:
        try:
            while True:
                others.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
    shop.toy.let_go()
    assert begun.ended() == 2
    assert "Traceback" not in begun.said
    assert "found no space left in" in begun.said and "materialize_features" in begun.said
    assert (small_disk / "others").exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        sqlite3.OperationalError("database or disk is full"),
        RuntimeError("IO Error: Could not write: No space left on device (os error 28)"),
    ],
    ids=["system", "quota", "SQLite", "a library in Rust"],
)
def test_however_a_library_says_it_the_step_says_it_in_the_same_words(tmp_path, monkeypatch, error):
    def fails(call):
        (call.out / "rows").write_bytes(bytes(2048))
        try:
            raise error
        except Exception as first:
            raise ValueError("cannot be written") from first

    step = STEPS["load_data"]
    monkeypatch.setitem(STEPS, "load_data", type(step)(**{**step.__dict__, "function": fails}))
    with pytest.raises(DiskFull, match=r"Step load_data found no space left in .*it had written 2 KiB") as found:
        run_step("load_data", settings={}, inputs={}, out=tmp_path / "out")
    assert found.value.exit_code == 2


def test_a_limit_on_the_size_of_files_is_no_bug_either(tmp_path):
    store = Store(str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(DiskFull, match="found no space left"):
            store.put("a/b", bytes(2000))
        with pytest.raises(OSError) as refused:
            disk.write_bytes(tmp_path / "c", bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert disk.is_full(refused.value)
    assert not (tmp_path / "c").exists()
