"""Printing what a benchmark measured."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Progress = Callable[[str], None]


def measure(benchmark: Callable[[Progress], dict[str, Any]], target: str | None) -> None:
    """Runs ``benchmark`` with progress on stderr; the numbers go to ``target`` as JSON, or to stdout for a person."""
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {what}", file=sys.stderr, flush=True)

    numbers = benchmark(say)
    text = json.dumps(numbers, indent=1)
    if target in (None, "-"):
        print(text)
    else:
        Path(str(target)).write_text(text + "\n")
