"""A disk that fills up: one sentence says which step met it, where and how much it had written; what is done is kept."""

import contextlib
import errno
import os
import resource
import sqlite3
import subprocess
from dataclasses import replace

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


@pytest.fixture
def step_that(monkeypatch):
    """Makes a function the first step's."""
    step = STEPS["load_data"]
    return lambda function: monkeypatch.setitem(STEPS, "load_data", replace(step, function=function))


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
def test_however_a_library_says_it_the_step_says_it_in_the_same_words(tmp_path, step_that, error):
    def fails(call):
        (call.out / "rows").write_bytes(bytes(2048))
        try:
            raise error
        except Exception as first:
            raise ValueError("cannot be written") from first

    step_that(fails)
    with pytest.raises(DiskFull, match=r"Step load_data found no space left in .*it had written 2 KiB") as found:
        run_step("load_data", settings={}, inputs={}, out=tmp_path / "out")
    assert found.value.exit_code == 2


@pytest.fixture
def small_files():
    """No file may grow beyond 1000 bytes, as after ``ulimit -f``."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    @contextlib.contextmanager
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


RAISE_IT = (
    "Raise the limit (`ulimit -f`), or name a place on another file system. "
    "What is done is kept; the same command goes on from there."
)


def test_a_limit_on_the_size_of_files_is_no_bug_either_and_nobody_is_told_to_free_space(tmp_path, small_files):
    store = Store(str(tmp_path))
    with small_files(), pytest.raises(DiskFull) as full:
        store.put("a/b", bytes(2000))
    at = f"What writes {store.url('a/b')} reached the limit on a file's size in {tmp_path / 'a'}"
    assert str(full.value) == f"{at}. {RAISE_IT}"
    with small_files(), pytest.raises(OSError) as refused:
        disk.write_bytes(tmp_path / "c", bytes(2000))
    assert disk.is_full(refused.value)
    assert not (tmp_path / "c").exists()


def test_a_step_that_meets_the_limit_on_the_size_of_files_says_so(tmp_path, step_that, small_files):
    def writes(call):
        with small_files():
            (call.out / "rows").write_bytes(bytes(1000))
            disk.write_bytes(call.out / "more", bytes(2000))

    step_that(writes)
    with pytest.raises(DiskFull) as full:
        run_step("load_data", settings={}, inputs={}, out=tmp_path / "out")
    at = f"Step load_data reached the limit on a file's size in {tmp_path / 'out'}; it had written 1000 bytes"
    assert str(full.value) == f"{at}. {RAISE_IT}"


def test_a_server_that_is_sent_too_much_is_no_full_disk(tmp_path, step_that):
    def is_refused(call):
        (call.out / "rows").write_bytes(bytes(2048))
        raise ValueError("HTTP 413: File too large")

    step_that(is_refused)
    with pytest.raises(ValueError, match="413"):
        run_step("load_data", settings={}, inputs={}, out=tmp_path / "out")
    assert (tmp_path / "out" / "rows").stat().st_size == 2048


@pytest.mark.parametrize(
    "words, limit",
    [
        ("OSError: [Errno 27] File too large", True),
        ("IO Error: File too large (os error 27)", True),
        ("OSError: [Errno 28] No space left on device", False),
        ("database or disk is full", False),
    ],
)
def test_the_last_words_of_a_process_say_which_limit_it_met(tmp_path, words, limit):
    assert disk.says_full(words)
    said = str(disk.full_error("Step load_data", tmp_path, of=f"amid a log\n{words}\n"))
    assert ("Raise the limit (`ulimit -f`)" in said, "Free some there" in said) == (limit, not limit)


@pytest.mark.parametrize("words", ["413 File too large", "OSError: [Errno 2] No such file or directory: 'a'", ""])
def test_other_last_words_do_not_speak_of_a_full_disk(words):
    assert not disk.says_full(words)
