"""Work that was kept so that a killed step or a search of settings goes on, and that nobody has gone on with.

What has a name of its digests is ours, and of a study the plan and the trials; what a study came to stays, and so does what
somebody has put beside them.
"""

import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from shoploop.resuming import kept_work
from shoploop.steps import Workspace
from shoploop.store import layout

OURS = re.compile(r"[0-9a-f]{16,64}([.-][A-Za-z0-9.-]+)?")
"""Names by digests of what the work depends on."""


def untouched(workspace: Workspace, before: float) -> tuple[str, ...]:
    """Keys of work that nobody has touched since, sorted: files of steps, folders of searches and studies.

    Args:
        before: Seconds since 1970.
    """
    last = _steps(workspace) | _searches(workspace) | _studies(workspace)
    return tuple(sorted(key for key, touched in last.items() if touched < before))


def remove(workspace: Workspace, keys: Collection[str]) -> None:
    """Removes what :func:`untouched` has named, in the store and on this machine; what is not there is no error."""
    name, store = workspace.name, workspace.store
    cache = layout.steps_cache(name)
    files = [key.removeprefix(f"{cache}/") for key in keys if key.startswith(f"{cache}/")]
    if files and store.folder is None:
        kept_work.forget(store, cache, files)
    for file in files:
        workspace.path(f"{cache}/{file}").unlink(missing_ok=True)
    for key in keys:
        if key.startswith(f"{layout.tunings(name)}/"):
            shutil.rmtree(workspace.path(key), ignore_errors=True)
        elif key.startswith(f"{layout.studies(name)}/"):
            study = key.rpartition("/")[2]
            store.delete_folder(layout.study_trials(name, study))
            store.delete(layout.study_plan(name, study))
            store.delete_empty_folders(key)


def _steps(workspace: Workspace) -> dict[str, float]:
    """What steps keep by name, in the store or, where that is a folder, on this machine."""
    room = layout.steps_cache(workspace.name)
    if workspace.store.folder is None:
        found = kept_work.kept_since(workspace.store, room)
    else:
        found = {file.as_posix(): touched for file, touched in _files(workspace.path(room))}
    return {f"{room}/{file}": touched for file, touched in found.items() if OURS.fullmatch(Path(file).name)}


def _searches(workspace: Workspace) -> dict[str, float]:
    """Searches of settings are on the machine that searches alone."""
    room = layout.tunings(workspace.name)
    found: dict[str, float] = {}
    for file, touched in _files(workspace.path(room)):
        if len(file.parts) > 1 and OURS.fullmatch(file.parts[0]):
            key = f"{room}/{file.parts[0]}"
            found[key] = max(found.get(key, 0.0), touched)
    return found


def _studies(workspace: Workspace) -> dict[str, float]:
    """Studies of pods are in the store; a person may have named them."""
    name = workspace.name
    room = layout.studies(name)
    all_of_them = {facts["path"]: facts["last_modified"].timestamp() for facts in workspace.store.list_facts(room)}
    studies = {path.removeprefix(f"{room}/").split("/")[0] for path in all_of_them}
    return {
        layout.study(name, study): max(
            touched for path, touched in all_of_them.items() if path.startswith(f"{layout.study(name, study)}/")
        )
        for study in studies
        if layout.study_plan(name, study) in all_of_them
    }


def _files(folder: Path) -> Iterator[tuple[Path, float]]:
    """Files below a folder, by their path in there, and when each was touched; somebody may be at work in it."""
    for where, _, names in os.walk(folder):
        for name in names:
            path = Path(where, name)
            with suppress(FileNotFoundError):
                yield path.relative_to(folder), path.stat().st_mtime
