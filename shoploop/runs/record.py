"""What a run is, where it lies, and the record that is kept of it.

Below ``<home>/recommenders/<name>/`` lie ``work/`` (outputs of steps, found again by their keys) and ``runs/<run>/``
(what a person looks at). A remote store gets the reports and the version; the work stays here.
"""

import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shoploop import __version__
from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import NotFound
from shoploop.hints import command
from shoploop.store import Store, disk


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
    disk.write_json(run.folder / "run.json", record(run))


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
        f"`{command(store, f'serve {name}')}` works all the same."
    )
