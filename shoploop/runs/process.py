"""The pipeline as a process beside this one: what it is given, what it says while it works, and how it is ended.

It must not know what becomes of a run's outputs.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from shoploop import progress
from shoploop.compute.device import VARIABLE as DEVICE_VARIABLE
from shoploop.compute.device import asks_for
from shoploop.errors import NotFound
from shoploop.runs.record import Run
from shoploop.shells import shells_folder
from shoploop.steps import INDEX_VARIABLE, STEPS, Entry, settings_of
from shoploop.store import disk, layout

SAMPLE_SECONDS = 0.2

Event = dict[str, Any]


def run_pipeline(run: Run, watch: Callable[[Event], None]) -> Event | None:
    """Runs ``pipelines.recommender`` as a process; returns the event of the step that failed, if one did."""
    index = run.work / "steps"
    events, log = run.folder / "events.jsonl", run.folder / "log.txt"
    plan_file, index_file = run.folder / "plan.json", run.folder / "index.json"
    cache_keys = {}
    for name, key in run.keys.items():
        entry = Entry.find(index, key)
        # The pipeline's own cache is asked for the entry that we have checked, or for one that cannot be there.
        cache_keys[name] = f"{key}:{entry.run if entry else run.id}"
    plan_file.write_text(
        json.dumps(
            {
                "root": str(run.work / "outputs"),
                "cache": str(run.work / "cache"),
                "cache_keys": cache_keys,
                "until": run.until,
                "arguments": _arguments(run),
            }
        )
    )
    index_file.write_text(json.dumps({"index": str(index), "run": run.id, "keys": run.keys}))
    events.touch()
    environment = os.environ | {
        progress.VARIABLE: str(events),
        INDEX_VARIABLE: str(index_file),
        DEVICE_VARIABLE: asks_for(run.recommender.spec.training.resources.gpu),
        "PYTHONWARNINGS": "ignore",
        "PYTHONUNBUFFERED": "1",
    }
    with log.open("ab") as log_file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.recommender", "--local", str(plan_file)],
            cwd=shells_folder(),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
        )
        with _Memory(run, process.pid):
            failure = _follow(run, process, events, watch)
    if process.returncode and failure is None:
        running = next((step.name for step in run.steps.values() if step.state == "running"), None)
        what = f"Step {running}" if running else "The pipeline"
        failure = {
            "message": f"{what} ended without a word (exit {process.returncode}; out of memory?). Its output: {log}",
            "exit_code": 1,
        }
    return failure


def _follow(run: Run, process: subprocess.Popen[bytes], events: Path, watch: Callable[[Event], None]) -> Event | None:
    failure = None
    with events.open() as stream:
        try:
            while True:
                alive = process.poll() is None
                for line in stream:
                    event = json.loads(line)
                    step = run.steps[event["step"]] if "step" in event else None
                    if step and event["kind"] == "started":
                        step.state = "running"
                    elif step and event["kind"] == "finished":
                        step.state, step.seconds = "done", event["seconds"]
                        event["peak_rss_bytes"] = step.peak_rss_bytes
                    elif step and event["kind"] == "failed":
                        step.state, step.error, step.out, failure = "failed", event["message"], event.get("out"), event
                    watch(event)
                if not alive:
                    return failure
                time.sleep(0.05)
        except BaseException:
            _end(process)
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the pipeline and its step; on Ctrl-C the terminal has told them already."""
    family = [process_ for process_ in _family(process.pid) if process_.is_running()]
    for member in family:
        member.terminate()
    _, alive = psutil.wait_procs(family, timeout=5)
    for member in alive:
        member.kill()
    process.wait()


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class _Memory:
    """Watches the sum of resident memory over this process and the pipeline's."""

    def __init__(self, run: Run, pid: int):
        self.run, self.pid = run, pid
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def _sample(self) -> None:
        while not self.stop.wait(SAMPLE_SECONDS):
            total = 0
            for process in [psutil.Process(), *_family(self.pid)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.run.peak_rss_bytes = max(self.run.peak_rss_bytes, total)
            for step in self.run.steps.values():
                if step.state == "running":
                    step.peak_rss_bytes = max(step.peak_rss_bytes, total)


def _arguments(run: Run) -> dict[str, Any]:
    """The pipeline's parameters, from the spec."""
    spec = run.recommender.spec

    def section(step: str, name: str) -> Any:
        return settings_of(spec, STEPS[step]).get(name, {})

    return {
        "source": section("load_data", "data"),
        "expectations": section("validate_data", "validation"),
        "store": section("materialize_features", "features"),
        "surfaces": list(spec.training.surfaces),
        "seed": spec.training.seed,
        "evaluation_days": spec.training.evaluation_days,
        "training_days": spec.training.training_days,
        "augmentation": section("augment_samples", "augmentation"),
        "importance_estimator": spec.importance.estimator,
        "epochs": spec.training.epochs,
        "learning_rate": spec.training.learning_rate,
        "adversarial_radius": spec.training.adversarial_radius,
        "parent": run.incumbent or "",
        "incumbent": str(_incumbent_folder(run)) if run.incumbent else "",
        "metric": spec.gate.metric,
        "confidence": spec.gate.confidence,
        "rules": section("gate", "gate"),
        "item_fields": list(spec.serving.item_fields),
        "deadline_milliseconds": spec.serving.deadline_milliseconds,
        "max_age_days": spec.gate.max_age_days,
    }


def _incumbent_folder(run: Run) -> Path:
    """Where the incumbent lies; one that is gone leaves no folder, which the evaluation tells."""
    key = layout.version(run.recommender.metadata.name, str(run.incumbent))
    local = run.store.path(key)
    if local is not None:
        return local
    target = run.work / "incumbents" / str(run.incumbent)
    if not target.exists():
        with contextlib.suppress(NotFound), disk.whole_folder(target) as aside:
            run.store.get_folder(key, aside)
    return target
