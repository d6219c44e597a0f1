"""A run that is broken off for real, by Ctrl-C and by kill -9: what is done stays, what ended is said, nothing is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own-data" / "recommender.yaml"


class Run:
    """``shoploop run`` of the example in a session of its own, as a terminal starts it."""

    def __init__(self, folder: Path):
        self.store = folder / "store"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "shoploop", "run", "-f", str(EXAMPLE), "--store", str(self.store)],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said = ""

    def until(self, words: str) -> None:
        for line in self.process.stdout:
            self.said += line
            if words in line:
                return
        pytest.fail(f"{words!r} was never said: {self.said}")

    def until_running(self, step: str) -> None:
        """Waits until the record says that the run is amid ``step``."""
        deadline = time.monotonic() + 300
        while self.process.poll() is None and time.monotonic() < deadline:
            newest = sorted(self.store.glob("recommenders/own-data/runs/*/run.json"))[-1:]
            record = json.loads(newest[0].read_bytes()) if newest else {"state": "waiting"}
            if record["state"] == "running" and states(record)[step] == "running":
                return
            time.sleep(0.05)
        pytest.fail(f"{step} never began")

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def ended(self) -> int:
        with self.process.stdout as rest:
            self.said += rest.read()
        return self.process.wait(60)

    def record(self) -> dict:
        newest = sorted(self.store.glob("recommenders/own-data/runs/*"))[-1]
        assert (newest / "report.html").is_file()
        return json.loads((newest / "run.json").read_bytes())


def states(record: dict) -> dict[str, str]:
    return {step["name"]: step["state"] for step in record["steps"]}


def test_what_was_done_before_ctrl_c_and_kill_is_not_done_again(tmp_path):
    first = Run(tmp_path)
    first.until_running("validate_data")
    family = first.family()
    os.killpg(first.process.pid, signal.SIGINT)  # as a terminal does it
    assert first.ended() == 130
    assert "What is done is kept" in first.said and "Traceback" not in first.said
    assert not [process for process in family if process.is_running()]
    assert states(first.record())["load_data"] == "done"
    assert states(first.record())["validate_data"] == "running"
    assert first.record()["version"] is None

    second = Run(tmp_path)
    second.until_running("validate_data")
    for process in second.family():
        process.kill()
    assert second.ended() == 1
    assert "↺ load_data" in second.said
    assert "Step validate_data ended without a word" in second.said and "Traceback" not in second.said
    assert states(second.record())["load_data"] == "reused"

    third = Run(tmp_path)
    third.until("✓ validate_data")
    os.killpg(third.process.pid, signal.SIGINT)
    assert third.ended() == 130
    assert "↺ load_data" in third.said
    assert states(third.record())["validate_data"] == "done"
