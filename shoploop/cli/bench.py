"""Printing what a benchmark measured."""

import sys
import time
from collections.abc import Callable
from typing import Any

from shoploop.cli.output import write_json

Progress = Callable[[str], None]


def measure(benchmark: Callable[[Progress], dict[str, Any]], target: str | None) -> None:
    """Runs ``benchmark`` with progress on stderr; the numbers go to ``target`` as JSON, or to stdout for a person."""
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {what}", file=sys.stderr, flush=True)

    numbers = benchmark(say)
    write_json(numbers, target or "-")
