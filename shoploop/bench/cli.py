"""How long the command line takes to answer, as a user feels it: whole processes."""

import statistics
import subprocess
import sys
import time
from typing import Any

COMMANDS = {"help": ["--help"], "run_help": ["run", "--help"], "explain": ["explain", "recommender.spec.training"]}


def run(repetitions: int = 7) -> dict[str, Any]:
    """Median, minimum and maximum seconds of each command; one warm-up run is not counted."""
    return {
        "commands": {name: _time(arguments, repetitions) for name, arguments in COMMANDS.items()},
        "repetitions": repetitions,
        "python": sys.version.split()[0],
    }


def _time(arguments: list[str], repetitions: int) -> dict[str, float]:
    seconds = []
    for _ in range(repetitions + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "shoploop", *arguments], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    counted = seconds[1:]
    return {
        "median_seconds": statistics.median(counted),
        "min_seconds": min(counted),
        "max_seconds": max(counted),
    }
