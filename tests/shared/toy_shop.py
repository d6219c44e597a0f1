"""``shoploop`` with toy steps as a process, for tests of what a person sees of a command and of how it ends."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import toy_steps
from forked import Forked

ROOT = Path(__file__).resolve().parents[2]
YAML = """
metadata: {name: shop}
spec:
  data: {tables: {interactions: {uri: events.csv}}}
"""


def until(holds, seconds: float = 120) -> Any:
    """What ``holds`` returns, as soon as that is something."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


class Command:
    """One ``shoploop`` that goes on."""

    def __init__(self, process: Forked, out: Path):
        self.process, self.out = process, out

    @property
    def said(self) -> str:
        return self.out.read_text(errors="replace")

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        return self.process.wait(120)


class ToyShop:
    """A folder with a recommender.yaml, a log and a store."""

    def __init__(self, folder: Path, model: Path):
        self.folder, self.toy = folder, toy_steps.Toy(folder / "toy")
        (self.toy.folder / "model").symlink_to(model)
        (folder / "events.csv").write_text("user,item,time\nu,i,2026-01-01T00:00:00Z\n")
        self.store = folder / "store"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.count = 0

    def write(self, more: str = "") -> None:
        (self.folder / "recommender.yaml").write_text(YAML + more)

    def command(self, *words: str, **environment: str) -> tuple[list[str], dict[str, str]]:
        mine = {toy_steps.VARIABLE: str(self.toy.folder), "PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)}
        store = ["--store", str(self.store)]
        command = [sys.executable, str(ROOT / "tests" / "shared" / "toy_steps.py"), "cli", *words, *store]
        return command, os.environ | mine | environment

    def start(self, *words: str, **environment: str) -> Command:
        """``shoploop run -f recommender.yaml``, or other words, begun."""
        if not (self.folder / "recommender.yaml").exists():
            self.write()
        self.count += 1
        out = self.folder / f"said-{self.count}.txt"
        command, environment = self.command(*(words or ("run", "-f", "recommender.yaml")), **environment)
        with out.open("wb") as file:
            process = Forked("toy_steps", command[2:], env=environment, cwd=self.folder, output=file)
        return Command(process, out)

    def run(self, *words: str, **environment: str) -> tuple[int, str]:
        """As :meth:`start`, to its end: the exit code, and what was said."""
        begun = self.start(*words, **environment)
        return begun.ended(), begun.said

    def records(self) -> list[dict]:
        return [json.loads(path.read_bytes()) for path in sorted(self.store.glob("recommenders/shop/runs/*/run.json"))]

    def until_running(self, step: str) -> None:
        """Waits until the newest run is amid ``step``."""

        def running() -> bool:
            records = self.records()
            return bool(records) and any(
                found["name"] == step and found["state"] == "running" for found in records[-1]["steps"]
            )

        until(running)
