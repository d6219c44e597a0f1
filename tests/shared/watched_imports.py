"""Processes that note which modules of shoploop they import, also those by a name in a string and those of a child."""

import os
from pathlib import Path

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


def watching(folder: Path) -> dict[str, str]:
    """Environment variables under which every Python process, and its children, note their imports in ``folder``."""
    hook = folder / "hook"
    hook.mkdir(parents=True)
    (hook / "sitecustomize.py").write_text(_HOOK)
    (folder / "notes").mkdir()
    paths = [str(hook), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "WATCHED_IMPORTS": str(folder / "notes")}


def imported(folder: Path) -> set[str]:
    """What was asked for since; a name that is no module may be among them."""
    return {name for notes in (folder / "notes").iterdir() for name in notes.read_text().split()}
