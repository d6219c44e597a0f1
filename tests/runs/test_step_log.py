"""What a step in a pod has written is kept: the end of it, whole lines, nothing secret."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shoploop.errors import NotFound
from shoploop.runs.step_log import Tail, kept_output, read_logs
from shoploop.store import Store


def test_of_much_output_the_end_is_kept_in_whole_lines():
    tail = Tail(most=20)
    for number in range(1000):
        tail.add(b"line %d\n" % number)
    assert tail.text() == b"(8872 bytes before are left out)\nline 998\nline 999\n"


def test_a_single_write_larger_than_what_is_kept_is_cut_too():
    tail = Tail(most=20)
    tail.add(b"".join(b"line %d\n" % number for number in range(1000)))
    assert tail.text() == b"(8872 bytes before are left out)\nline 998\nline 999\n"
    tail = Tail(most=4)
    tail.add(b"without an end of line")
    assert tail.text() == b"(18 bytes before are left out)\nline"


STEP = """
import os, subprocess, sys
from pathlib import Path
from shoploop.runs.step_log import Tail, kept_output

tail = Tail()
with kept_output(tail):
    print("of python")
    os.write(2, b"of a library\\n")
    subprocess.run([sys.executable, "-c", "print('of a process')"], check=True)
print("afterwards")
Path(sys.argv[1]).write_bytes(tail.text())
"""


def test_what_python_a_process_and_a_library_write_is_kept_and_still_goes_where_it_went(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", STEP, tmp_path / "kept"], check=True, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )  # fmt: skip
    assert sorted(done.stdout.splitlines()) == ["afterwards", "of a process", "of python"]
    assert done.stderr == "of a library\n"
    assert sorted((tmp_path / "kept").read_text().splitlines()) == ["of a library", "of a process", "of python"]


def test_output_is_kept_when_a_step_fails(capfd):
    tail = Tail()
    with pytest.raises(ValueError), kept_output(tail):
        os.write(1, b"before it failed\n")
        raise ValueError
    assert tail.text() == b"before it failed\n"


def test_a_process_that_outlives_the_step_does_not_hold_it_up(capfd):
    tail = Tail()
    with kept_output(tail):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    child.kill()
    child.wait()
    print("afterwards")
    assert capfd.readouterr().out == "afterwards\n"


def test_what_the_environment_keeps_secret_and_passwords_of_urls_are_not_kept(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    tail = Tail()
    tail.add(b"signed with wJalrXUtnFEMI; postgresql://ann:hunter2@db/shop is down\n")
    assert tail.text() == b"signed with ***; postgresql://ann:***@db/shop is down\n"


def test_logs_of_a_run_that_is_not_there_are_named(tmp_path):
    with pytest.raises(NotFound, match=r"has no run '20260101-000000-abcd'. `shoploop runs shop .*` lists them"):
        list(read_logs(Store(str(tmp_path)), "shop", "20260101-000000-abcd"))
