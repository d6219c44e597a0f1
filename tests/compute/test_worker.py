"""A process that carries out named jobs: one after the other, a broken one named, and none left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from shoploop import progress
from shoploop.compute.worker import Worker, WorkerEnded

MODULE = "jobs_of_a_test"
SOURCE = """
import os, sys, time
from shoploop.compute.worker import work

def carry_out(folder, job):
    print("a library prints", job)
    if job == "broken":
        raise ValueError("no such job")
    if job == "long":
        (folder / "begun").touch()
        time.sleep(600)
    (folder / job).write_text(f"{os.getpid()} {sorted(os.environ)}")

if __name__ == "__main__":
    work(carry_out)
"""

PARENT = """
import sys, time
from pathlib import Path
from shoploop.compute.worker import Worker
folder = Path(sys.argv[1])
worker = Worker("jobs_of_a_test", folder, log=folder / "log")
worker.begin("long")
print(worker.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / f"{MODULE}.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))


@pytest.fixture
def start(tmp_path):
    return lambda: Worker(MODULE, tmp_path, log=tmp_path / "log")


def wait_for(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_one_process_carries_out_job_after_job(start, tmp_path):
    with start() as worker:
        worker.carry_out("a")
        worker.begin("b")
        worker.finish("b")
        done = [(tmp_path / name).read_text().split()[0] for name in "ab"]
        assert done == [str(worker.pid)] * 2
    assert not worker.alive()


def test_a_job_that_breaks_is_named_with_what_was_printed_last(start):
    with start() as worker:
        with pytest.raises(WorkerEnded, match=r"process for broken ended with exit 1: ValueError: no such job"):
            worker.carry_out("broken")
        with pytest.raises(WorkerEnded, match="process for a ended"):
            worker.carry_out("a")


def test_what_a_library_prints_is_no_answer_but_stands_in_the_log(start, tmp_path):
    with start() as worker:
        worker.carry_out("a")
    assert (tmp_path / "log").read_text().split() == ["a", "library", "prints", "a"]


def test_a_program_that_ends_without_a_word_is_named_too(start, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with start() as worker, pytest.raises(WorkerEnded, match="exit 1: nothing was printed"):
        worker.carry_out("a")


def test_it_reports_no_progress_and_joins_no_other_processes(start, tmp_path, monkeypatch):
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "events"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with start() as worker:
        worker.carry_out("a")
    assert not {progress.VARIABLE, "WORLD_SIZE"} & set((tmp_path / "a").read_text().split("'"))


def test_leaving_ends_a_job_amid_its_work(start, tmp_path):
    with start() as worker:
        worker.begin("long")
        wait_for((tmp_path / "begun").exists)
    assert not is_running(worker.pid)


def test_it_ends_amid_its_work_when_the_process_that_started_it_is_killed(tmp_path):
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as parent:
        pid = int(parent.stdout.readline())
        wait_for((tmp_path / "begun").exists)
        os.kill(parent.pid, signal.SIGKILL)
    wait_for(lambda: not is_running(pid))
