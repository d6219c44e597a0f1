"""Unpacked Bentos on a machine that serves for months: what a service works with stays, and the rest goes."""

import os
import subprocess
import sys
import time

import pytest

from shoploop.packaging.unpacked import Held, remove_unused, used


@pytest.fixture
def unpacked(tmp_path):
    """Makes an unpacked Bento that was last asked for so many days ago."""

    def make(number, days=2):
        folder = tmp_path / f"v{number:012x}-{'a' * 64}"
        (folder / "src").mkdir(parents=True)
        (folder / "src" / "weights").write_bytes(b"w")
        os.utime(folder, (time.time() - days * 86400,) * 2)
        return folder

    return make


def test_what_nobody_works_with_goes_a_day_after_it_was_asked_for(unpacked, tmp_path):
    old, young, asked = unpacked(1), unpacked(2, days=0), unpacked(3)
    somebodys = tmp_path / "notes"
    somebodys.mkdir()
    os.utime(somebodys, (0, 0))
    used(asked)
    remove_unused(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([young, asked, somebodys])
    assert not old.exists()


def test_a_service_holds_what_it_may_answer_with_and_lets_go_of_what_it_answered_with_before(unpacked, tmp_path):
    began, night, next_night = (unpacked(number) for number in range(3))
    with Held(tmp_path) as held:
        held.only([began, night / "src", next_night / "src"])
        assert len(list(tmp_path.iterdir())) == 3
        held.only([began, next_night / "src"])
        assert sorted(tmp_path.iterdir()) == [began, next_night]
    assert list(tmp_path.iterdir()) == []


def test_what_another_process_works_with_stays_until_it_has_ended(unpacked, tmp_path):
    folder = unpacked(1)
    code = "import sys, pathlib; from shoploop.packaging.unpacked import Held; path = pathlib.Path(sys.argv[1]); "
    code += "held = Held(path.parent); held.only([path]); print(1, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline()
        remove_unused(tmp_path)
        assert folder.is_dir()
        other.kill()
    remove_unused(tmp_path)
    assert not folder.exists()
