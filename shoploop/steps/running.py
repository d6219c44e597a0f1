"""Carrying out one step: it is told to the watcher, timed, and recorded in the index if there is one."""

import json
import os
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shoploop import progress
from shoploop.errors import ShoploopError
from shoploop.steps.index import Entry
from shoploop.steps.table import STEPS, Call

INDEX_VARIABLE = "SHOPLOOP_STEP_INDEX"
"""Names a JSON file {"index": folder, "run": id, "keys": {step: key}}; a step that ends well records itself there."""


def run_step(
    name: str,
    *,
    settings: Mapping[str, Any],
    inputs: Mapping[str, Path],
    out: Path,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Carries out one step and tells the watcher about it.

    Args:
        cache: See :class:`Call`; unset, it lies beside the index of steps, if there is one.

    Returns:
        The step's report, which also lies in its folder.

    Raises:
        ShoploopError: the step's own named errors.
    """
    step = STEPS[name]
    out.mkdir(parents=True, exist_ok=True)
    progress.emit("started", step=name)
    began = time.monotonic()
    try:
        report = step.function(Call(settings=settings, inputs=inputs, out=out, cache=cache or _cache_beside_index()))
    except ShoploopError as error:
        progress.emit(
            "failed", step=name, error=type(error).__name__, message=str(error), exit_code=error.exit_code, out=str(out)
        )
        raise
    except Exception as error:
        progress.emit(
            "failed", step=name, error=type(error).__name__, message=str(error), exit_code=1,
            out=str(out), traceback=traceback.format_exc(),
        )  # fmt: skip
        raise
    seconds = time.monotonic() - began
    _record(name, out, seconds)
    progress.emit("finished", step=name, seconds=seconds)
    return report


def _cache_beside_index() -> Path | None:
    plan_path = os.environ.get(INDEX_VARIABLE)
    return Path(json.loads(Path(plan_path).read_bytes())["index"]).parent / "steps-cache" if plan_path else None


def _record(name: str, out: Path, seconds: float) -> None:
    plan_path = os.environ.get(INDEX_VARIABLE)
    if not plan_path:
        return
    plan = json.loads(Path(plan_path).read_bytes())
    entry = Entry(
        key=plan["keys"][name],
        run=plan["run"],
        out=str(out),
        seconds=seconds,
        files={str(p.relative_to(out)): p.stat().st_size for p in sorted(out.rglob("*")) if p.is_file()},
    )
    entry.write(Path(plan["index"]))
