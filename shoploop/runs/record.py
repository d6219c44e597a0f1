"""The record of a run, ``run.json``: one type, whoever carried the run out, kept up to date while it goes on."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from shoploop import __version__
from shoploop.errors import NotFound, StoreError, with_no_passwords
from shoploop.runs.planning import RUN_ID, Plan
from shoploop.steps import Entry, Workspace, home_of
from shoploop.store import Store, disk, layout

THIS_MACHINE = "this machine"
"""As a launcher: what is carried out where somebody asked for it, and in no pod."""

RENEW = "renew_model"
"""What a renewal does in the place of training; no step of a run."""

LAST_SHARED = "materialize_features"
"""The last step that a renewal has in common with a run."""

StepState = Literal["waiting", "running", "done", "reused", "failed"]
RunState = Literal["running", "done", "failed", "cancelled"]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class StepRecord(_Stored):
    """What became of one step in one run."""

    name: str
    state: StepState = "waiting"
    """One that a run was broken off in stays running."""

    seconds: float = 0.0
    """Inside the step's own function; of the run that did it where it was reused."""

    peak_rss_bytes: int = 0
    """Largest sum over all live processes while it ran; 0 where it was reused."""

    error: str | None = None
    """What it failed of."""


class Failure(_Stored):
    """Why a run failed."""

    step: str | None = None
    """The step that failed; None where it was something else."""

    message: str
    exit_code: int = 1
    """2 where a person has to change something first."""


class Record(_Stored):
    """What ``run.json`` holds."""

    name: str
    run: str
    launcher: str
    """Where it was carried out."""

    link: str | None = None
    """Its page in Kubeflow, where it is carried out there."""

    state: RunState
    started: datetime
    ended: datetime | None = None
    steps: tuple[StepRecord, ...]
    incumbent: str | None = None
    """The version that the new one was compared with."""

    version: str | None = None
    passed: bool | None = None
    """What the gate said; None where it was not reached."""

    reason: str | None = None
    """Why the gate said so."""

    waits: str | None = None
    """Why a version that passed does not serve, and is not tried either; None where it does, or where the operator says."""

    failure: Failure | None = None
    wall_seconds: float = 0.0
    """While somebody worked on it; waiting between pods does not count."""

    step_seconds: float = 0.0
    peak_rss_bytes: int = 0
    shoploop: str
    python: str
    spec: dict[str, Any]
    """The whole Recommender, without the passwords of its addresses: who needs these has the plan."""

    def step(self, name: str) -> StepRecord:
        return next(step for step in self.steps if step.name == name)

    @property
    def is_renewal(self) -> bool:
        """Whether it brought a version up to date, and trained none."""
        return any(step.name == RENEW for step in self.steps)


class Unreadable(_Stored):
    """A run whose record is damaged, or of another format."""

    run: str
    why: str


class Journal:
    """Keeps the record of one run while it goes on: on this machine, and in the store."""

    def __init__(self, workspace: Workspace, key: str, record: Record):
        self.workspace, self.key, self.record = workspace, key, record
        self._began, self._before = time.monotonic(), record.wall_seconds

    @classmethod
    def begin(cls, workspace: Workspace, plan: Plan, *, launcher: str, link: str | None = None) -> "Journal":
        """The record of a run that begins, or goes on after it was broken off; it is written."""
        run = plan.run
        try:
            known = read_record(workspace.store, run.key, run.id)
        except NotFound:
            known = None
        before = known if isinstance(known, Record) and known.run == run.id else None
        steps = {step.name: step for step in before.steps} if before else {}
        record = Record(
            name=run.name,
            run=run.id,
            launcher=launcher,
            link=link or (before.link if before else None),
            state="running",
            started=before.started if before else datetime.now(UTC).replace(microsecond=0),
            steps=tuple(_begun(name, plan.found.get(name), run.id, steps.get(name)) for name in run.steps),
            incumbent=plan.incumbent,
            wall_seconds=before.wall_seconds if before else 0.0,
            peak_rss_bytes=before.peak_rss_bytes if before else 0,
            shoploop=__version__,
            python=sys.version.split()[0],
            spec=with_no_passwords(run.recommender.model_dump(mode="json", by_alias=True, exclude_none=True)),
        )
        journal = cls(workspace, run.key, record)
        journal.change()
        return journal

    def change(self, **changes: Any) -> None:
        """Replaces fields of the record; what was said before is durable until this is.

        A disk that is full does not keep it from being changed here, for whoever looks at the run in this process.
        """
        steps = changes.get("steps", self.record.steps)
        self.record = self.record.model_copy(
            update={
                "wall_seconds": self._before + time.monotonic() - self._began,
                "step_seconds": sum(step.seconds for step in steps if step.state == "done"),
            }
            | changes
        )
        try:
            self._write()
        except (OSError, StoreError) as error:
            if not disk.is_full(error):
                raise

    def _write(self) -> None:
        body = self.record.model_dump_json(indent=1).encode()
        path = self.workspace.path(layout.run_record(self.key))
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.workspace.store.folder is None:
            disk.write_bytes(path, body)
        self.workspace.store.put(layout.run_record(self.key), body)

    def step(self, name: str, **changes: Any) -> None:
        """Replaces fields of one step."""
        steps = tuple(step.model_copy(update=changes) if step.name == name else step for step in self.record.steps)
        peak = max(self.record.peak_rss_bytes, changes.get("peak_rss_bytes", 0))
        self.change(steps=steps, peak_rss_bytes=peak)

    def end(self, state: RunState, **changes: Any) -> None:
        self.change(state=state, ended=datetime.now(UTC).replace(microsecond=0), **changes)


def _begun(name: str, entry: Entry | None, run: str, before: StepRecord | None) -> StepRecord:
    if entry is None:
        return StepRecord(name=name)
    if entry.run != run:
        return StepRecord(name=name, state="reused", seconds=entry.seconds)
    peak = before.peak_rss_bytes if before else 0
    return StepRecord(name=name, state="done", seconds=entry.seconds, peak_rss_bytes=peak)


def read_record(store: Store, run_key: str, run: str) -> Record | Unreadable:
    """The record of one run, or why it cannot be read.

    Raises:
        NotFound: there is none.
    """
    return _parsed(store.get(layout.run_record(run_key)), run)


def list_runs(store: Store, name: str) -> list[Record | Unreadable]:
    """The records of a recommender's runs, newest first, wherever they were carried out.

    Raises:
        NotFound: there is none.
    """
    found = [run for run in store.folders(layout.runs(name)) if store.exists(layout.run_record(layout.run(name, run)))]
    records = [read_record(store, layout.run(name, run), run) for run in reversed(found)]
    records = [record for record, run in zip(records, reversed(found), strict=True) if _is_ours(record, run)]
    if not records:
        raise NotFound(f"Recommender {name!r} has no runs in {store.uri}. {_others(store, name)}")
    return records


def _is_ours(record: Record | Unreadable, folder: str) -> bool:
    """Whether a folder is a run's, and not a copy that somebody keeps beside it."""
    return RUN_ID.fullmatch(folder) is not None if isinstance(record, Unreadable) else record.run == folder


def _others(store: Store, name: str) -> str:
    from shoploop.versions.promotions import recommenders

    others = [other for other in recommenders(store) if other != name]
    known = f"There is: {', '.join(others)}. " if others else ""
    return f"{known}Start one with `shoploop run -f FILE`."


def folder_of(store: Store, name: str, version: str) -> Path | None:
    """The folder of a run on this machine with its tables: of the newest one that made ``version``, else of the newest.

    Retention keeps the first where ``version`` serves; one that was promoted by hand, or trained elsewhere, may have none.
    None where no run on this machine has any tables.
    """
    runs = home_of(store) / layout.runs(name)
    newest = None
    for path in sorted(runs.glob("*/run.json"), reverse=True):
        record = _parsed(path.read_bytes(), path.parent.name)
        if not isinstance(record, Record) or not (path.parent / "data" / "interactions.parquet").is_file():
            continue
        if record.version == version:
            return path.parent
        newest = newest or path.parent
    return newest


def _parsed(body: bytes, run: str) -> Record | Unreadable:
    try:
        return Record.model_validate_json(body, strict=True)  # "False" is no verdict
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        return Unreadable(run=run, why=f"{where}: {first['msg']}" if where else str(first["msg"]))
