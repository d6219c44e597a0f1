"""Processes that note which modules of shoploop they import, also those by a name in a string and those of a child.

They are forked off one that has imported other people's libraries, which takes longer than what most steps do, and nothing of
shoploop.
"""

import os
import sys
import warnings
from collections.abc import Collection
from multiprocessing import get_context
from pathlib import Path

LIBRARIES = ("feast", "great_expectations", "lightgbm", "polars", "sklearn.linear_model", "torch._dynamo")
"""What steps import that takes long; torch imports its compiler wherever an optimiser is made."""

_HOOK = """
import os, sys
from importlib.abc import MetaPathFinder

class Watch(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == "shoploop":
            with open(os.path.join(os.environ["WATCHED_IMPORTS"], str(os.getpid())), "a") as notes:
                notes.write(name + "\\n")

sys.meta_path.insert(0, Watch())
"""


def run_watched(code: str, folder: Path, *arguments: str, first: str = "") -> set[str]:
    """Runs ``code`` in a process of its own; returns what it and its children asked for of shoploop.

    Args:
        first: Code that each of the processes runs before all else.
    """
    environment = watching(folder, first)  # also for the processes that it starts
    server = get_context("forkserver")
    server.set_forkserver_preload(list(LIBRARIES))
    process = server.Process(target=_run, args=(first + code, environment, arguments))
    process.start()
    process.join()
    assert process.exitcode == 0, f"{folder.name} ended with {process.exitcode}"
    return imported(folder)


def watching(folder: Path, first: str = "") -> dict[str, str]:
    """Environment variables under which every Python process, and its children, note their imports in ``folder``."""
    hook = folder / "hook"
    hook.mkdir(parents=True)
    (hook / "sitecustomize.py").write_text(_HOOK + first)
    (folder / "notes").mkdir()
    paths = [str(hook), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "WATCHED_IMPORTS": str(folder / "notes")}


def imported(folder: Path, pids: Collection[int] | None = None) -> set[str]:
    """What was asked for since, by all or by those processes alone; a name that is no module may be among them."""
    noted = [notes for notes in (folder / "notes").iterdir() if pids is None or int(notes.name) in pids]
    return {name for notes in noted for name in notes.read_text().split()}


def _run(code: str, environment: dict[str, str], arguments: tuple[str, ...]) -> None:
    assert "shoploop" not in sys.modules
    warnings.simplefilter("ignore")
    os.environ |= environment
    sys.argv = ["-c", *arguments]
    exec(compile(_HOOK, "hook", "exec"), {})
    exec(compile(code, "step", "exec"), {"__name__": "__main__"})
