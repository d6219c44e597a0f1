"""How many cores there are for a computation: a pod's quota counts, not the machine's cores."""

import os
import subprocess
import sys

import numpy as np
import pytest
import threadpoolctl
import torch
from joblib.externals.loky.backend import context

from shoploop.compute.cores import cores, one_thread


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of eight cores whose files below /sys/fs/cgroup are these."""

    def make(affinity=8, **files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

        def here(path):
            return tmp_path / str(path).removeprefix("/sys/fs/cgroup/")

        monkeypatch.setattr(context, "open", lambda path: here(path).open(), raising=False)
        monkeypatch.setattr(context.os.path, "exists", lambda path: here(path).is_file())
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)))
        monkeypatch.delenv("LOKY_MAX_CPU_COUNT", raising=False)

    return make


def v1(quota):
    return {"cpu__cpu_dot_cfs_quota_us": f"{quota}\n", "cpu__cpu_dot_cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"cpu_dot_max": "max 100000\n"}, 8),
        ({"cpu_dot_max": "200000 100000\n"}, 2),
        ({"cpu_dot_max": "50000 100000\n"}, 1),
        ({"cpu_dot_max": "250000 100000\n"}, 3),
        (v1(-1), 8),
        (v1(200_000), 2),
        ({"affinity": 3}, 3),
        ({"affinity": 3, "cpu_dot_max": "200000 100000\n"}, 2),
        ({"affinity": 1, "cpu_dot_max": "200000 100000\n"}, 1),
    ],
)
def test_cores_are_those_of_affinity_and_quota_whichever_is_less(machine, files, expected):
    machine(**files)
    assert cores() == expected


def threads():
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info()} | {torch.get_num_threads()}


def test_within_one_thread_there_is_one_thread_and_afterwards_as_many_as_before():
    np.ones((2, 2)) @ np.ones((2, 2))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert threads() == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_service_computes_in_one_thread_in_whatever_thread_it_answers():
    program = (
        "import threading, torch\n"
        "from shoploop.compute.cores import use_one_thread\n"
        "torch.set_num_threads(2); use_one_thread(); found = []\n"
        "asked = threading.Thread(target=lambda: found.append(torch.get_num_threads())); asked.start(); asked.join()\n"
        "print(found[0], torch.get_num_threads())"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, text=True, capture_output=True).stdout
    assert said.split() == ["1", "1"]
