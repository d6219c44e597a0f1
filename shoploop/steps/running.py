"""Carrying out one step: it is told to the watcher, timed, and recorded in the index if it belongs to a run."""

import json
import os
import shutil
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoploop import progress
from shoploop.compute.lifetime import end_with_starter
from shoploop.errors import ShoploopError
from shoploop.steps.index import Entry
from shoploop.steps.table import STEPS, Call
from shoploop.steps.workspace import Workspace, sizes_of
from shoploop.store import Store, disk

RUN_VARIABLE = "SHOPLOOP_RUN"
"""What :meth:`Membership.as_text` says, for a step in a process of its own."""


@dataclass(frozen=True, kw_only=True)
class Membership:
    """The run that a step belongs to: where its output is recorded, and under which key."""

    workspace: Workspace
    run: str
    keys: Mapping[str, str]

    def as_text(self) -> str:
        store = {"uri": self.workspace.store.uri, "options": self.workspace.store.options}
        where = {"store": store, "home": str(self.workspace.home), "name": self.workspace.name}
        return json.dumps(where | {"run": self.run, "keys": dict(self.keys)})

    @classmethod
    def of_this_process(cls) -> "Membership | None":
        """What the environment says; None for a step that is carried out on its own."""
        text = os.environ.get(RUN_VARIABLE)
        if not text:
            return None
        document = json.loads(text)
        store = Store(document["store"]["uri"], options=document["store"]["options"])
        workspace = Workspace(store, document["name"], Path(document["home"]))
        return cls(workspace=workspace, run=document["run"], keys=document["keys"])

    def record(self, step: str, out: Path, seconds: float) -> None:
        """From here on the step is done for every run of the same key."""
        folder = self.workspace.keep(out)
        entry = Entry(key=self.keys[step], step=step, run=self.run, folder=folder, seconds=seconds, files=sizes_of(out))
        self.workspace.index.add(entry)


def run_step(
    name: str,
    *,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Path],
    out: Path,
    cache: Path | None = None,
    run: Membership | None = None,
) -> dict[str, Any]:
    """Carries out one step and tells the watcher about it.

    Args:
        cache: See :class:`Call`; unset, it is the run's, if there is one.
        run: The run that it belongs to; unset, what the environment says.

    Returns:
        The step's report, which also lies in its folder.

    Raises:
        ShoploopError: the step's own named errors.
    """
    end_with_starter()
    step = STEPS[name]
    run = run or Membership.of_this_process()
    out.mkdir(parents=True, exist_ok=True)
    progress.emit("started", step=name)
    began = time.monotonic()
    try:
        with _cache(cache, run if step.caches else None) as kept, _panics_are_errors():
            report = step.function(Call(settings=settings, inputs=inputs, out=out, cache=kept))
        seconds = time.monotonic() - began
        if run:
            run.record(name, out, seconds)
    except Exception as error:
        named = _named(name, out, error)
        told: dict[str, Any] = {"traceback": traceback.format_exc(), "exit_code": 1}
        if isinstance(named, ShoploopError):
            told = {"exit_code": named.exit_code}
        progress.emit("failed", step=name, error=type(named).__name__, message=str(named), out=str(out), **told)
        if named is error:
            raise
        raise named from error
    progress.emit("finished", step=name, seconds=seconds)
    return report


def _named(name: str, out: Path, error: Exception) -> Exception:
    """The error as it is to be told; of a full disk libraries have many words, and some have none."""
    if not disk.is_full(error) and not (disk.is_as_good_as_full(out) and not isinstance(error, ShoploopError)):
        return error
    where = Path(error.filename).parent if isinstance(error, OSError) and isinstance(error.filename, str) else out
    full = disk.full_error(f"Step {name}", where if where.is_dir() else out, wrote=sum(sizes_of(out).values()))
    shutil.rmtree(out, ignore_errors=True)  # nobody needs a part of it, and what comes after the step needs some space
    out.mkdir(exist_ok=True)
    return full


@contextmanager
def _panics_are_errors() -> Iterator[None]:
    """A library in Rust that panics raises what is no Exception, so that nobody would hear of the step again."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of each such library its own, and of no module to import it from
            raise
        raise RuntimeError(f"a library panicked: {error}") from error


@contextmanager
def _cache(named: Path | None, run: Membership | None) -> Iterator[Path | None]:
    if named or run is None:
        yield named
        return
    with run.workspace.cache() as kept:
        yield kept
