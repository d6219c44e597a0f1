"""A run on this machine: which steps are due, carrying them out, and what is kept of it.

Below ``<home>/recommenders/<name>/`` lie ``work/`` (outputs of steps, found again by their keys) and ``runs/<run>/``
(what a person looks at). A remote store gets the reports and the version; the work stays here.
"""

import fcntl
import json
import logging
import os
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from shoploop import __version__, progress
from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import NotFound, ShoploopError, StoreUnavailable, UserError
from shoploop.shells import shells_folder
from shoploop.steps import INDEX_VARIABLE, STEPS, Entry, needed_by, settings_of, step_keys
from shoploop.store import Store
from shoploop.unbuilt import refuse_unbuilt

SAMPLE_SECONDS = 0.2

KEPT_WORK = 4
"""Pipelines whose outputs stay, so that going back to an earlier spec finds its steps done."""

Event = dict[str, Any]


class StepFailed(ShoploopError):
    """A step ended badly; the message is its own."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


class AnotherRun(UserError):
    pass


@dataclass(kw_only=True)
class StepRun:
    """What became of one step in one run."""

    name: str
    state: str = "waiting"
    """waiting, running, done, reused or failed."""

    seconds: float = 0.0
    """Inside the step's own function; of the run that did it where it was reused."""

    peak_rss_bytes: int = 0
    """Largest sum over all live processes while it ran; 0 where it was reused."""

    error: str | None = None
    """What it failed of."""

    out: str | None = None


@dataclass(kw_only=True)
class Run:
    """One run of a recommender, from planned to finished."""

    id: str
    recommender: Recommender
    store: Store
    home: Path
    keys: dict[str, str]
    incumbent: str | None
    steps: dict[str, StepRun]
    until: str | None = None
    """The step it ends with, where that is not the last of all; such a run makes no version and is in no list, and its
    folder is that of the last one."""

    wall_seconds: float = 0.0
    peak_rss_bytes: int = 0
    version: str | None = None
    passed: bool | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def key(self) -> str:
        place = f"runs/{self.id}" if self.until is None else f"only/{self.until}"
        return f"recommenders/{self.recommender.metadata.name}/{place}"

    @property
    def folder(self) -> Path:
        return self.home / self.key

    @property
    def work(self) -> Path:
        return self.home / "recommenders" / self.recommender.metadata.name / "work"


def home_of(store: Store) -> Path:
    """Where the work lies: in the store where that is a folder, else beside the user."""
    return store.folder or Path(".shoploop").absolute()


def open_store(recommender: Recommender, override: str | None = None) -> Store:
    """The recommender's store; ``override`` (a flag or SHOPLOOP_STORE) comes before the spec.

    Raises:
        StoreUnavailable: it cannot be opened or written.
    """
    spec = recommender.spec.store
    options = {key: value for key, value in (("endpoint", spec.endpoint), ("region", spec.region)) if value}
    if spec.endpoint and spec.endpoint.startswith("http://"):
        options["client_options"] = {"allow_http": True}  # type: ignore[assignment]
    return Store(override or os.environ.get("SHOPLOOP_STORE") or spec.uri, options=options)


def plan(recommender: Recommender, store: Store, *, until: str | None = None) -> Run:
    """Finds out which steps are due. Nothing is written yet.

    Args:
        until: A step that is wanted alone, with those it needs.

    Raises:
        DataUnreadable, SpecInvalid: the raw tables cannot be found.
    """
    from shoploop import promotions

    refuse_unbuilt(recommender.spec)
    name = recommender.metadata.name
    home = home_of(store)
    index = home / "recommenders" / name / "work" / "steps"
    keys, incumbent = keys_and_incumbent(
        recommender,
        serving=promotions.serving_version(store, name),
        trained=lambda key: Path(entry.out) if (entry := Entry.find(index, key)) else None,
    )
    run = Run(
        id=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
        recommender=recommender,
        store=store,
        home=home,
        keys=keys,
        incumbent=incumbent,
        steps={name: StepRun(name=name) for name in (needed_by(until) if until else STEPS)},
        until=until,
    )
    for name, step in run.steps.items():
        if entry := Entry.find(index, keys[name]):
            step.state, step.seconds, step.out = "reused", entry.seconds, entry.out
    return run


def keys_and_incumbent(
    recommender: Recommender, *, serving: str | None, trained: Callable[[str], Path | None]
) -> tuple[dict[str, str], str | None]:
    """The steps' cache keys, and the version that a new one is compared with.

    Args:
        recommender: Whose run it is.
        serving: The version that serves now.
        trained: Finds the version folder that the training step of a key wrote, if it was carried out before.
    """
    from shoploop.data import source_digest

    source = source_digest(recommender.spec.data)
    keys = step_keys(recommender.spec, source=source, incumbent=serving)
    model = trained(keys["train_fused"])
    if serving and model and _version_of(model) == serving:
        # Nothing new would be trained: the version that serves is compared with what it was compared with at first.
        serving = _manifest(model)["lineage"].get("parent")
        keys = step_keys(recommender.spec, source=source, incumbent=serving)
    return keys, serving


def execute(run: Run, watch: Callable[[Event], None] = lambda event: None) -> None:
    """Carries out the steps that are due, a process a step; ``watch`` hears of every event as it happens.

    Raises:
        StepFailed: with the failed step's own message. What other steps have done is kept for the next run.
        KeyboardInterrupt: the processes have ended.
    """
    began = time.monotonic()
    if run.until is not None:
        shutil.rmtree(run.folder, ignore_errors=True)
    run.folder.mkdir(parents=True, exist_ok=True)
    with _alone(run):
        _execute(run, watch, began)


def _execute(run: Run, watch: Callable[[Event], None], began: float) -> None:
    for name, step in run.steps.items():
        if step.state == "reused":
            watch({"kind": "reused", "step": name, "seconds": step.seconds})
    failure: Event | None = None
    try:
        if any(step.state != "reused" for step in run.steps.values()):
            failure = _run_pipeline(run, watch)
    finally:  # also of a run that a person interrupts there is a record and a page
        run.wall_seconds = time.monotonic() - began
        for name, step in run.steps.items():
            if step.out is None and (entry := Entry.find(run.work / "steps", run.keys[name])):
                step.out = entry.out
        write_record(run)
        if any(step.state not in ("done", "reused") for step in run.steps.values()):
            with _quietly():
                _collect(run)
                write_report(run.store, run.key, run.folder)
    if failure is not None:
        raise StepFailed(_told(failure, run.folder / "log.txt"), failure["exit_code"])


@contextmanager
def _quietly() -> Iterator[None]:
    """A page that cannot be written must not hide why the run ended."""
    try:
        yield
    except Exception:
        logging.getLogger(__name__).warning("The report of a run that broke off cannot be written.", exc_info=True)


def _told(failure: Event, log: Path) -> str:
    if "traceback" not in failure:
        return str(failure["message"])
    return f"Step {failure['step']} broke off with {failure['error']}: {failure['message']}. This is a bug; see {log}"


@contextmanager
def _alone(run: Run) -> Iterator[None]:
    """One run of a recommender at a time on one home: they would prune each other's work."""
    run.work.mkdir(parents=True, exist_ok=True)
    with (run.work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AnotherRun(
                f"Another run of {run.recommender.metadata.name!r} is going on in {run.home}. Wait for it to end, or "
                "name another store with --store."
            ) from error
        yield


def _run_pipeline(run: Run, watch: Callable[[Event], None]) -> Event | None:
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
    key = f"recommenders/{run.recommender.metadata.name}/versions/{run.incumbent}"
    local = run.store.path(key)
    if local is not None:
        return local
    target = run.work / "incumbents" / str(run.incumbent)
    if not target.exists():
        run.store.get_folder(key, target)
    return target


def _manifest(model: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((model / "manifest.json").read_bytes())
    return manifest


def _version_of(model: Path) -> str:
    from shoploop.artifacts import version_id

    return version_id((model / "manifest.json").read_bytes())


def record(run: Run) -> dict[str, Any]:
    """What ``run.json`` holds."""
    return {
        "name": run.recommender.metadata.name,
        "run": run.id,
        "started": run.started.isoformat(timespec="seconds"),
        "shoploop": __version__,
        "spec": run.recommender.model_dump(mode="json", by_alias=True, exclude_none=True),
        "incumbent": run.incumbent,
        "version": run.version,
        "passed": run.passed,
        "steps": [{key: value for key, value in step.__dict__.items() if key != "out"} for step in run.steps.values()],
        "wall_seconds": run.wall_seconds,
        "step_seconds": sum(step.seconds for step in run.steps.values() if step.state == "done"),
        "peak_rss_bytes": run.peak_rss_bytes,
        "python": sys.version.split()[0],
    }


def write_record(run: Run) -> None:
    aside = run.folder / ".run.json"
    aside.write_text(json.dumps(record(run), indent=1))
    aside.replace(run.folder / "run.json")


def finish(run: Run) -> None:
    """Collects the outputs in the run's folder, publishes the version, promotes it if the gate let it, and reports."""
    from shoploop import promotions

    name = run.recommender.metadata.name
    _collect(run)
    verdict = publish(run.store, name, run.folder)
    run.passed, run.version = verdict["passed"], verdict["version"]
    if verdict["passed"] and promotions.serving_version(run.store, name) != run.version:
        promotions.promote(run.store, name, verdict["version"], reason=verdict["reason"], by=f"run {run.id}")
    write_record(run)
    write_report(run.store, run.key, run.folder)
    prune(run)


def _collect(run: Run) -> None:
    """Brings into the run's folder what its steps have written; of a failed step what it left, such as failing rows."""
    for name, step in run.steps.items():
        if step.out is not None:
            link_tree(Path(step.out), run.folder / STEPS[name].output)


def publish(store: Store, name: str, folder: Path) -> dict[str, Any]:
    """Puts the version, its Bento and its verdict of the run in ``folder`` into the store, the verdict last.

    A refused version is published too, so that it can be looked at and promoted by hand; it does not serve.

    Returns:
        The gate's verdict with ``version`` and ``bento`` (sha256).
    """
    from shoploop import promotions
    from shoploop.ranking.bento import publish_bento

    version = promotions.publish_version(store, name, folder / "model")
    digest = publish_bento(store, name, version, folder / "bento")
    verdict: dict[str, Any] = json.loads((folder / "gate" / "gate.json").read_bytes())
    verdict |= {"version": version, "bento": digest}
    store.put(f"recommenders/{name}/verdicts/{version}.json", json.dumps(verdict, indent=1).encode())
    return verdict


def write_report(store: Store, key: str, folder: Path) -> None:
    """Writes the report of the run in ``folder``, and brings what people look at into a remote store."""
    from shoploop import report

    report.build(folder)
    if store.folder is None:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".json", ".html", ".txt"} and path.is_file():
                store.put_file(f"{key}/{path.relative_to(folder).as_posix()}", path)


def prune(run: Run) -> None:
    """Removes runs beyond ``retention.runs``, oldest first, and all but the latest work that this run does not need."""
    runs = sorted((run.folder.parent).iterdir())
    for old in runs[: -run.recommender.spec.retention.runs]:
        shutil.rmtree(old)
    needed = {Path(step.out).parents[1].name for step in run.steps.values() if step.out}
    outputs = run.work / "outputs"
    folders = sorted(outputs.iterdir(), key=lambda folder: folder.stat().st_mtime) if outputs.exists() else []
    for folder in folders[:-KEPT_WORK]:
        if folder.name not in needed:
            shutil.rmtree(folder)


def link_tree(source: Path, target: Path) -> None:
    """Hard links where the file system has them: a run keeps its files when the work is pruned, at no cost in space."""
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        link = target / path.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, link)
        except OSError:
            shutil.copyfile(path, link)


def list_runs(store: Store, name: str) -> list[dict[str, Any]]:
    """The records of a recommender's runs, newest first.

    Raises:
        NotFound: there is none.
    """
    folder = f"recommenders/{name}/runs"
    keys = [key for key in store.list(f"{folder}/") if key.count("/") == 4 and key.endswith("/run.json")]
    if not keys:
        raise NotFound(f"Recommender {name!r} has no runs in {store.uri}. Start one with `shoploop run -f FILE`.")
    return [store.get_json(key) for key in reversed(keys)]


def folder_of(store: Store, name: str, version: str) -> Path:
    """The folder of the newest run on this machine that made ``version``, with the tables it was made from.

    Raises:
        NotFound: there is none; the version itself may still be served.
    """
    runs = home_of(store) / "recommenders" / name / "runs"
    for record in sorted(runs.glob("*/run.json"), reverse=True):
        if json.loads(record.read_bytes()).get("version") == version and (record.parent / "data").is_dir():
            return record.parent
    raise NotFound(
        f"The run that made {version} of {name!r} is not below {runs}: ask where the recommender was run. "
        f"`shoploop serve {name}` works all the same."
    )


def check_space(store: Store, needed_bytes: int = 2 * 2**30) -> None:
    """Refuses to begin where the work cannot be written, or the disk is as good as full.

    Raises:
        StoreUnavailable: the folder cannot be made, or fewer than ``needed_bytes`` are free.
    """
    home = home_of(store)
    try:
        home.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(home).free
    except OSError as error:
        raise StoreUnavailable(
            f"{home}, where a run keeps its work, cannot be made: {error.strerror}. Start it where you may write."
        ) from error
    if free < needed_bytes:
        raise StoreUnavailable(
            f"{home} has {free / 2**30:.1f} GiB free; a run needs {needed_bytes / 2**30:.0f}. "
            "Free some, or name another store."
        )
