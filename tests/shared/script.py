"""A Python script as a program that :mod:`forked` can fork off, with the libraries loaded that take long to import."""

import os
import runpy
import sys
import warnings
from pathlib import Path

from forked import Forked
from ports import free_ports


def ready() -> None:
    """Imports them. Not polars, nor what imports it: how many threads it has is settled then, and is a script's to say."""
    warnings.simplefilter("ignore")
    import lightgbm  # noqa: F401
    import torch  # noqa: F401

    assert "polars" not in sys.modules


def main(arguments: list[str]) -> None:
    """
    Args:
        arguments: The script's path and its own arguments.
    """
    sys.argv[:] = arguments
    runpy.run_path(arguments[0], run_name="__main__")


def two_that_meet(path: Path, *arguments: str, logs: Path) -> list[Forked]:
    """Two processes of a script that are told where they meet as torchrun tells its own; each writes to a log of its rank."""
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_ports(1)[0])}
    begun = []
    for rank in ("0", "1"):
        environment = os.environ | place | {"RANK": rank, "LOCAL_RANK": rank}
        with (logs / f"{rank}.log").open("wb") as log:
            begun.append(Forked("script", [str(path), *arguments], env=environment, cwd=logs, output=log))
    return begun
