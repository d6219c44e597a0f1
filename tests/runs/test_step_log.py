"""What a step in a pod has written is kept: the end of it, whole lines, nothing secret."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shoploop.errors import NotFound
from shoploop.runs.step_log import kept_output, kept_text, read_logs
from shoploop.store import Store, layout


def test_of_much_output_the_end_is_kept_in_whole_lines(tmp_path):
    file = tmp_path / "kept"
    file.write_text("".join(f"line {number}\n" for number in range(1000)))
    assert kept_text(file, most=20) == b"(8872 bytes before are left out)\nline 998\nline 999\n"
    assert kept_text(file, "and then\n", most=9) == b"(8881 bytes before are left out)\nline 999\nand then\n"
    assert kept_text(tmp_path / "nothing") == b""
    file.write_text("without an end of line")
    assert kept_text(file, most=4) == b"(18 bytes before are left out)\nline"


def run_python(program: str, *arguments: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=60,
        # in whole lines, or those of several processes would mix
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "PYTHONUNBUFFERED": ""}, **options,
    )  # fmt: skip


KEPT = """
import ctypes, os, subprocess, sys
from pathlib import Path
from shoploop.runs.step_log import kept_output

with kept_output(Path(sys.argv[1])):
    STEP
print("afterwards")
"""


def test_what_python_a_process_and_a_library_write_is_kept_and_still_goes_where_it_went(tmp_path):
    step = (
        "print('of python'); os.write(2, b'of a library\\n'); "
        "subprocess.run([sys.executable, '-c', \"print('of a process')\"], check=True)"
    )
    done = run_python(KEPT.replace("STEP", step), tmp_path / "kept", check=True)
    assert sorted(done.stdout.splitlines()) == ["afterwards", "of a process", "of python"]
    assert done.stderr == "of a library\n"
    assert sorted((tmp_path / "kept").read_text().splitlines()) == ["of a library", "of a process", "of python"]


def test_a_library_that_writes_much_and_lets_no_other_thread_work_goes_on(tmp_path):
    step = "ctypes.PyDLL(None).write(1, b'x' * 500_000, 500_000)"
    run_python(KEPT.replace("STEP", step), tmp_path / "kept", check=True)
    assert (tmp_path / "kept").stat().st_size == 500_000


def test_the_last_words_of_a_process_that_aborts_are_heard(tmp_path):
    step = "os.write(2, b'terminate called\\n'); os.abort()"
    died = run_python(KEPT.replace("STEP", step), tmp_path / "kept")
    assert died.returncode == -6 and "terminate called" in died.stderr


def test_where_no_descriptor_is_left_a_step_goes_on_without_a_log(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))\n"
    done = run_python(limit + KEPT.replace("STEP", "print('well')").replace("ctypes, ", ""), tmp_path / "kept")
    assert done.returncode == 0 and done.stdout == "well\nafterwards\n"


def test_output_is_kept_when_a_step_fails(tmp_path, capfd):
    with pytest.raises(ValueError), kept_output(tmp_path / "kept"):
        os.write(1, b"before it failed\n")
        raise ValueError
    assert kept_text(tmp_path / "kept") == b"before it failed\n"


def test_a_process_that_outlives_the_step_does_not_hold_it_up(tmp_path, capfd):
    with kept_output(tmp_path / "kept"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    child.kill()
    child.wait()
    print("afterwards")
    assert capfd.readouterr().out == "afterwards\n"


def test_what_the_environment_keeps_secret_and_passwords_of_urls_are_not_kept(tmp_path, monkeypatch):
    for name, value in (
        ("AWS_SECRET_ACCESS_KEY", "/JalrXUtnFEMI"), ("REDISCLI_AUTH", "redis-says-so"), ("KEY_FOLDER", "/usr/share"),
        ("GOOGLE_CREDENTIALS", "/usr/share"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    said = "signed with /JalrXUtnFEMI for redis-says-so in /usr/share; postgresql://ann:hun/ter2@db/shop is down\n"
    assert kept_text(tmp_path / "kept", said) == (
        b"signed with *** for *** in /usr/share; postgresql://ann:...@db/shop is down\n"
    )


def test_logs_are_read_whatever_became_of_the_record(tmp_path):
    store, run = Store(str(tmp_path)), "20260101-000000-abcd"
    key = layout.run("shop", run)
    store.put(layout.run_record(key), b"{ damaged")
    store.put(layout.step_log(key, "load_data"), b"of the step\n")
    store.put(layout.step_log(key, "run"), b"of what came after\n")
    assert list(read_logs(store, "shop", run)) == ["== load_data", "of the step", "== run", "of what came after"]


def test_logs_of_a_run_that_is_not_there_are_named(tmp_path):
    with pytest.raises(NotFound, match=r"has no run '20260101-000000-abcd'. `shoploop runs shop .*` lists them"):
        list(read_logs(Store(str(tmp_path)), "shop", "20260101-000000-abcd"))
