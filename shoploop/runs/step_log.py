"""What steps print, kept beside their run: in a pod nothing else outlives the pod.

A pod keeps the end of each step's own output, also of one that failed or was cancelled; of one that was killed there is
only what the cluster has. On a laptop a run's processes write into one log, ``log.txt``.
"""

import contextlib
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from shoploop.errors import NotFound, without_passwords
from shoploop.hints import command
from shoploop.runs.record import read_record
from shoploop.steps import STEPS, home_of
from shoploop.store import Store, layout

MOST_BYTES = 2**20
"""Of one step; of more the end is kept, where it says what went wrong."""

OUTSIDE = "run"
"""Stands for a step's name where no step was under way."""

END_SECONDS = 0.5
"""For the last words to arrive; well within the seconds that a pod has after it is told to end."""

_SECRET_NAME = re.compile(r"(SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS|AUTH|API_?KEY|_KEY|CONNECTION_STRING)(_|$)")
_SHORTEST_SECRET = 8


@contextlib.contextmanager
def kept_output(file: Path) -> Iterator[None]:
    """Whatever this process and those it starts write to stdout and stderr goes where it went, and to the end of ``file``.

    ``tee`` copies it, a process for each: a thread could not while native code writes and holds the interpreter, and its
    pipe would end with a process that aborts. Where there is none, or no descriptor is left, nothing is kept.
    """
    with contextlib.ExitStack() as stack:
        copies = []
        for number in (1, 2):
            try:
                copies.append(stack.enter_context(_teed(number, file)))
            except OSError as error:
                logging.getLogger(__name__).warning("What is written from here on is not kept in the store: %s", error)
        try:
            yield
        finally:
            stack.close()
            until = time.monotonic() + END_SECONDS
            for copy in copies:
                # a process that still holds the other end goes on to be heard, and is not waited for
                reaper = threading.Thread(target=copy.wait, daemon=True)
                reaper.start()
                reaper.join(max(until - time.monotonic(), 0.0))


@contextlib.contextmanager
def _teed(number: int, file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Points a descriptor to a ``tee`` in front of its old place, and back."""
    _flush()
    place = os.dup(number)
    try:
        copy = subprocess.Popen(["tee", "-a", str(file)], stdin=subprocess.PIPE, stdout=place, start_new_session=True)
    except OSError:
        os.close(place)
        raise
    assert copy.stdin is not None
    os.dup2(copy.stdin.fileno(), number)
    copy.stdin.close()
    try:
        yield copy
    finally:
        _flush()
        os.dup2(place, number)
        os.close(place)


def kept_text(file: Path, last: str = "", *, most: int = MOST_BYTES) -> bytes:
    """The end of what is in ``file``, and ``last``: whole lines, without what the environment keeps secret; the first says
    how much lies before it."""
    try:
        with file.open("rb") as opened:
            left_out = max(opened.seek(0, os.SEEK_END) - most, 0)
            opened.seek(max(left_out - 1, 0))  # whether a line begins where the cut is
            kept = opened.read()
    except FileNotFoundError:
        kept, left_out = b"", 0
    if left_out:
        cut = kept.find(b"\n") + 1 or 1
        kept, left_out = kept[cut:], left_out - 1 + cut
    text = _without_secrets(kept.decode(errors="replace") + last).encode(errors="replace")
    return (b"(%d bytes before are left out)\n" % left_out if left_out else b"") + text


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _without_secrets(text: str) -> str:
    """Nothing prints them; a library's own words on an error are not ours, and a store has more readers than a pod."""
    for name, value in os.environ.items():
        # the path of a mounted secret is none
        if len(value) >= _SHORTEST_SECRET and _SECRET_NAME.search(name.upper()) and not os.path.exists(value):
            text = text.replace(value, "***")
    return without_passwords(text)


def read_logs(store: Store, name: str, run: str) -> Iterator[str]:
    """The lines that the steps of a run have written, wherever it was carried out; of a pod's, a line before each step.

    Raises:
        NotFound: there is no such run, or nothing is kept of what it wrote.
    """
    key = layout.run(name, run)
    try:
        read_record(store, key, run)
    except NotFound as error:
        listed = command(store, f"runs {name}")
        raise NotFound(f"Recommender {name!r} has no run {run!r}. `{listed}` lists them.") from error
    here = home_of(store) / layout.run_log(key)
    found = here.read_bytes() if here.is_file() else _object(store, layout.run_log(key))
    parts = [
        (step, body) for step in (*STEPS, OUTSIDE) if (body := _object(store, layout.step_log(key, step))) is not None
    ]
    if found is None and not parts:
        raise NotFound(
            f"Nothing is kept of what run {run} wrote: no step of it was carried out, or its pod was killed."
        )
    yield from _lines(found or b"")
    for step, body in parts:
        yield f"== {step}"
        yield from _lines(body)


def _lines(body: bytes) -> list[str]:
    return body.decode(errors="replace").splitlines()


def _object(store: Store, key: str) -> bytes | None:
    try:
        return store.get(key)
    except NotFound:
        return None
