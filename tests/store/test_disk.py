"""Whoever is killed amid a write leaves the old content or the new one, and beside it nothing that is taken for whole."""

import fnmatch
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from shoploop.resuming.kept_work import KeptWork
from shoploop.store import Store, disk

MEBIBYTES = 4

WRITES = f"""
import sys
from pathlib import Path
from shoploop.store import disk
folder = Path(sys.argv[1])
for number in range(10**6):
    content = bytes([number % 256]) * 2**20
    with disk.whole_file(folder / "file") as file:
        for _ in range({MEBIBYTES}):
            file.write(content)
    with disk.whole_folder(folder / "folder", replace=True) as aside:
        for name in "ab":
            (aside / name).write_bytes(content)
    if number == 0:
        print("begun", flush=True)
"""


@pytest.fixture
def writer(tmp_path):
    """A process that writes without end; killed by the test or after it."""
    process = subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_file_aside(folder):
    """Returns amid a write."""
    until = time.monotonic() + 60
    while not any(path.name.startswith(".file") and path.stat().st_size for path in folder.iterdir()):
        assert time.monotonic() < until


def one_byte(content):
    assert len(set(content)) == 1
    return content[0]


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_writer_leaves_the_old_content_or_the_new_one_never_a_part(writer, tmp_path, seed):
    writer.stdout.readline()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            wait_for_file_aside(tmp_path)
            break
        except FileNotFoundError:  # renamed while it was looked at
            continue
    time.sleep(random.Random(seed).uniform(0, 0.02))
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    file = (tmp_path / "file").read_bytes()
    assert len(file) == MEBIBYTES * 2**20
    one_byte(file)
    folder = tmp_path / "folder"
    if folder.exists():  # between the old one and the new one there is none for a moment
        found = {path.name: one_byte(path.read_bytes()) for path in folder.iterdir()}
        assert found in ({"a": n, "b": n} for n in range(256))
    left = {path.name for path in tmp_path.iterdir()} - {"file", "folder"}
    assert all(disk.is_aside(Path(name)) for name in left)
    work = KeptWork(Store("memory:///"), "work", tmp_path)
    work.push()
    assert set(work.store.get_json("work/list.json")) <= {"file", "folder/a", "folder/b"}


def test_a_push_during_a_write_never_brings_a_part(writer, tmp_path):
    writer.stdout.readline()
    store = Store("memory:///")
    work = KeptWork(store, "work", tmp_path)
    for _ in range(6):
        work.push()
        for name, digest in store.get_json("work/list.json").items():
            content = store.get(f"work/files/{digest}")
            one_byte(content)
            assert len(content) == (MEBIBYTES if name == "file" else 1) * 2**20


def test_a_write_that_fails_changes_nothing_and_leaves_nothing(tmp_path):
    disk.write_text(tmp_path / "a", "old")
    with pytest.raises(ZeroDivisionError), disk.whole_file(tmp_path / "a") as file:
        file.write(b"half of the n")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), disk.whole_folder(tmp_path / "b") as folder:
        (folder / "x").touch()
        raise ZeroDivisionError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_a_writer_that_wants_a_path_gets_one_in_the_same_folder(tmp_path):
    with disk.whole_path(tmp_path / "a") as aside:
        assert aside.parent == tmp_path and disk.is_aside(Path(aside.name))
        aside.write_text("new")
    assert (tmp_path / "a").read_text() == "new"


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), disk.whole_path(tmp_path / "a"):
        pass


def test_json_says_null_where_a_number_is_not_finite(tmp_path):
    disk.write_json(tmp_path / "a.json", {"ø": [float("nan"), (float("inf"), 1.5)]})
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"ø": [None, [None, 1.5]]}


def test_two_threads_that_write_the_same_file_disturb_each_other_in_nothing(tmp_path):
    def write(letter):
        for _ in range(20):
            disk.write_text(tmp_path / "a", letter * 10_000)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.name for path in tmp_path.iterdir()} == {"a"}
    assert len(set((tmp_path / "a").read_text())) == 1


def test_a_folder_that_is_there_stays_unless_it_is_to_be_replaced(tmp_path):
    for text, replace in (("first", False), ("second", False), ("third", True)):
        with disk.whole_folder(tmp_path / "f", replace=replace) as aside:
            (aside / text).touch()
        expected = "third" if replace else "first"
        assert [path.name for path in (tmp_path / "f").iterdir()] == [expected]
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_folder_is_not_put_in_the_place_of_a_file(tmp_path):
    (tmp_path / "f").write_text("a file")
    with pytest.raises(OSError, match="directory"), disk.whole_folder(tmp_path / "f", replace=True):
        pass
    assert (tmp_path / "f").read_text() == "a file"


def test_a_tree_is_linked_without_what_lies_aside_and_may_be_linked_again(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "a").write_text("1")
    (source / ".b.0123.part").write_text("half")
    for _ in range(2):
        disk.link_tree(source, target)
        assert [str(path.relative_to(target)) for path in target.rglob("*")] == ["inner", "inner/a"]
    assert (target / "inner" / "a").stat().st_ino == (source / "inner" / "a").stat().st_ino


def test_where_the_file_system_has_no_links_a_tree_is_copied(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a").write_text("1")
    disk.link_tree(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target" / "a").read_text() == "1"


def test_what_a_killed_writer_left_a_day_ago_goes_with_the_next_write_and_what_is_younger_stays(tmp_path, monkeypatch):
    for name in (".a.00000000.part", ".b.00000000.part"):
        (tmp_path / name).touch()
    (tmp_path / ".a.11111111.part").mkdir()
    disk.write_text(tmp_path / "a", "1")
    assert len(list(tmp_path.iterdir())) == 4
    later = time.time() + disk.ABANDONED_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: later)
    disk.write_text(tmp_path / "a", "2")
    assert {path.name for path in tmp_path.iterdir()} == {"a", ".b.00000000.part"}


def test_what_lies_in_a_folder_aside_is_aside():
    assert disk.is_aside(Path(".f.0123.part/a"))
    assert not disk.is_aside(Path(".gitignore")) and not disk.is_aside(Path("a.part"))


def test_the_digest_is_sha256_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert disk.digest_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_disk_has_some_bytes_free(tmp_path):
    assert disk.free_bytes(tmp_path) > 0


def test_names_that_are_written_leave_no_pattern_in_memory(tmp_path):
    known = fnmatch._compile_pattern.cache_info().currsize
    for number in range(50):
        disk.write_bytes(tmp_path / f"{number}", b"x")
        Store(str(tmp_path / "store")).put_if_absent(f"objects/{number}", b"x")
    assert fnmatch._compile_pattern.cache_info().currsize <= known + 1
    assert len(list(tmp_path.glob("[0-9]*"))) == 50
