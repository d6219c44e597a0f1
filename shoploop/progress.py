"""What a long step tells whoever watches: one JSON line an event, appended to the file that SHOPLOOP_EVENTS names.

A step must not know who watches; without the variable nothing is written.
"""

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable
from typing import Any

VARIABLE = "SHOPLOOP_EVENTS"

EVERY_SECONDS = 1.0
"""What goes by quickly is told no more often."""


def emit(kind: str, **fields: Any) -> None:
    """Appends one event; short single writes to a file opened for appending do not interleave."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    line = json.dumps({"time": time.time(), "kind": kind, **fields}) + "\n"
    with contextlib.suppress(OSError):  # a disk that is full: what is told of the work must not end it
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def report(done: float, total: float, what: str) -> None:
    """Says that ``done`` of ``total`` ``what`` (e.g. "epochs") of the running step are finished."""
    emit("progress", done=done, total=total, what=what)


class Count:
    """Counts what goes by quickly, such as requests; says how far it is no more often than once a second, and the last."""

    def __init__(self, what: str, *, clock: Callable[[], float] = time.monotonic):
        self._what, self._clock = what, clock
        self._said: float | None = None

    def __call__(self, done: float, total: float) -> None:
        now = self._clock()
        if self._said is None or now - self._said >= EVERY_SECONDS or done >= total:
            self._said = now
            report(done, total, self._what)


class Parts:
    """The parts of a step by their names, in their order: says which one is begun, and so how many are done."""

    def __init__(self, *names: str):
        self._names = names

    def begin(self, name: str) -> None:
        report(self._names.index(name), len(self._names), f"parts: {name}")

    def end(self) -> None:
        report(len(self._names), len(self._names), "parts")


def warn(sentence: str) -> None:
    """Says what a person should know at once although the step goes on.

    It is printed where the run is watched; where nobody watches, on stderr, as of a pod or of a command by itself.
    """
    if os.environ.get(VARIABLE):
        emit("warning", message=sentence)
    else:
        logging.getLogger("shoploop").warning(sentence)
