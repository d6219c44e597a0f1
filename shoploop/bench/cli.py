"""How long the command line takes to answer, as a user feels it: whole processes."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

COMMANDS = {"help": ["--help"], "run_help": ["run", "--help"], "explain": ["explain", "recommender.spec.training"]}


EVENTS = 1_500_000
"""That ``shoploop describe`` reads; as many users and items of a long tail as a shop of a year has."""


def run(repetitions: int = 7) -> dict[str, Any]:
    """Median, minimum and maximum seconds of each command, one warm-up run not counted; and what a large log takes."""
    return {
        "commands": {name: _time(arguments, repetitions) for name, arguments in COMMANDS.items()},
        "describe": describe(EVENTS),
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


def describe(events: int, *, seed: int = 0) -> dict[str, Any]:
    """Seconds and memory that ``shoploop describe`` takes on a CSV of so many events, drawn by the seed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _log(events, seed).write_csv(folder / "events.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
        (folder / "recommender.yaml").write_text("spec: {data: {tables: {interactions: {uri: events.csv}}}}\n")
        command = [sys.executable, "-m", "shoploop", "describe", "-f", "recommender.yaml"]
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return {
            "events": events,
            "file_bytes": (folder / "events.csv").stat().st_size,
            "seconds": seconds,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "peak_rss_bytes": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        }


def _log(events: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    users = (random.pareto(1.2, events) * 1000).astype(int) % max(1, events // 20)
    items = (random.pareto(1.1, events) * 200).astype(int) % 20_000
    seconds = np.sort(random.integers(1_672_531_200, 1_704_067_200, events))  # 2023
    columns = {
        "user": pl.Series(users).cast(pl.String),
        "item": pl.Series(items).cast(pl.String),
        "time": pl.from_epoch(pl.Series(seconds), time_unit="s"),
        "kind": random.choice(["view", "cart", "purchase"], events, p=[0.7, 0.1, 0.2]),
        "price": random.integers(99, 9_999, events) / 100,
    }
    return pl.DataFrame(columns).with_columns(
        pl.format("u{}", "user").alias("user"), pl.format("i{}", "item").alias("item")
    )
