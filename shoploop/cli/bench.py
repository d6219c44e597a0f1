"""Printing what a benchmark measured."""

import sys
import time
from collections.abc import Callable
from typing import Any

from shoploop.cli.output import write_json

Progress = Callable[[str], None]


def measure(
    benchmark: Callable[[Progress], dict[str, Any]], target: str | None, *, quiet: bool = False
) -> dict[str, Any]:
    """Runs ``benchmark`` with progress on stderr; the numbers go to ``target`` as JSON, or to stdout for a person.

    Args:
        benchmark: What is measured.
        target: A file; - is stdout.
        quiet: Somebody else tells a person of the numbers.
    """
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {what}", file=sys.stderr, flush=True)

    numbers = benchmark(say)
    if not quiet:
        write_json(numbers, target or "-")
    return numbers
