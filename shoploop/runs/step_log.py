"""What steps print, kept beside their run: in a pod nothing else outlives the pod.

A pod keeps the end of each step's own output, also of one that failed or was cancelled; of one that was killed there is
only what the cluster has. On a laptop a run's processes write into one log, ``log.txt``.
"""

import contextlib
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Iterator

from shoploop.errors import NotFound
from shoploop.hints import command
from shoploop.runs.record import Record, read_record
from shoploop.steps import home_of
from shoploop.store import Store, layout

MOST_BYTES = 2**20
"""Of one step; of more the end is kept, where it says what went wrong."""

_SECRET_NAME = re.compile(r"(SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS|_KEY)(_|$)|^PGPASSWORD$")
_PASSWORD_IN_URL = re.compile(rb"(://[^:/@\s]*):[^@/\s]+@")
_SHORTEST_SECRET = 8


class Tail:
    """The last bytes of what came."""

    def __init__(self, most: int = MOST_BYTES):
        self._most, self._parts, self._size, self._left_out = most, deque[bytes](), 0, 0
        self._lock = threading.Lock()

    def add(self, part: bytes) -> None:
        with self._lock:
            self._parts.append(part)
            self._size += len(part)
            while self._size - len(self._parts[0]) >= self._most:
                gone = len(self._parts.popleft())
                self._size -= gone
                self._left_out += gone

    def text(self) -> bytes:
        """Whole lines, without what the environment keeps secret; the first says how much lies before it."""
        with self._lock:
            kept, left_out = b"".join(self._parts), self._left_out
        over = max(0, len(kept) - self._most)
        if over or left_out:
            over = kept.find(b"\n", over) + 1 or over
            return b"(%d bytes before are left out)\n" % (left_out + over) + _without_secrets(kept[over:])
        return _without_secrets(kept)


@contextlib.contextmanager
def kept_output(tail: Tail) -> Iterator[None]:
    """Whatever this process and those it starts write to stdout and stderr goes where it went, and into ``tail``."""
    copies = [_Copy(number, tail) for number in (1, 2)]
    try:
        yield
    finally:
        for copy in copies:
            copy.end()


class _Copy:
    """A thread between a descriptor and where it pointed to."""

    def __init__(self, number: int, tail: Tail):
        _flush()
        self._number, self._tail = number, tail
        self._target = os.dup(number)
        self._source, end = os.pipe()
        os.dup2(end, number)
        os.close(end)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Points the descriptor to its old place. A process that still holds the other end goes on to be heard."""
        _flush()
        os.dup2(self._target, self._number)
        self._thread.join(timeout=2)

    def _work(self) -> None:
        while part := os.read(self._source, 65_536):
            self._tail.add(part)
            with contextlib.suppress(OSError):  # nobody listens any more; what is kept is kept all the same
                while part:
                    part = part[os.write(self._target, part) :]
        os.close(self._source)
        os.close(self._target)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _without_secrets(text: bytes) -> bytes:
    """Nothing prints them; a library's own words on an error are not ours, and a store has more readers than a pod."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and not value.startswith("/") and _SECRET_NAME.search(name.upper()):
            text = text.replace(os.fsencode(value), b"***")
    return _PASSWORD_IN_URL.sub(rb"\1:***@", text)


def read_logs(store: Store, name: str, run: str) -> Iterator[str]:
    """The lines that the steps of a run have written, wherever it was carried out; of a pod's, a line before each step.

    Raises:
        NotFound: there is no such run, or nothing is kept of what it wrote.
    """
    key = layout.run(name, run)
    try:
        record = read_record(store, key, run)
    except NotFound as error:
        listed = command(store, f"runs {name}")
        raise NotFound(f"Recommender {name!r} has no run {run!r}. `{listed}` lists them.") from error
    here = home_of(store) / layout.run_log(key)
    found = here.read_bytes() if here.is_file() else _object(store, layout.run_log(key))
    steps = [step.name for step in record.steps] if isinstance(record, Record) else []
    parts = [(step, body) for step in steps if (body := _object(store, layout.step_log(key, step))) is not None]
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
