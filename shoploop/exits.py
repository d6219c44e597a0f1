"""How a command ends: what a person sees of an error, and which signals end it as Ctrl-C does."""

import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from shoploop.errors import ShoploopError

DEBUG = False
INTERRUPTED = 128 + signal.SIGINT

ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
"""What ends a command besides Ctrl-C: ``kill``, and a terminal that is closed."""

OF_THE_MACHINE: Final = {
    errno.ENOSPC: "Free some space there, or name another place.",
    errno.EDQUOT: "Free some space there, or name another place.",
    errno.EFBIG: "Raise the limit (`ulimit -f`), or name a place on another file system.",
    errno.EROFS: "Name a place that you may write.",
    errno.EACCES: "Name a place that you may read and write.",
    errno.EPERM: "Name a place that you may read and write.",
    errno.ENOENT: "Check the path.",
    errno.ENOTDIR: "Check the path.",
    errno.EISDIR: "Check the path.",
    errno.ENAMETOOLONG: "Check the path.",
}
"""What a person may do about a file system that refuses."""

CLOSED: Final = 141
"""The exit code where nobody reads on: as of a program that SIGPIPE ends."""


def guarded(command: Callable[..., Any]) -> int:
    """Calls ``command`` and turns how it ended into an exit code: 0, an error's own, 128 and the signal's number."""
    terminal = any(map(_is_terminal, (sys.stdout, sys.stderr)))
    with ended_by_signals() as came:
        code = _guarded(command, terminal)
    if code == INTERRUPTED:
        _say("\nshoploop: interrupted. What is done is kept; the same command goes on from there.")
        code = 128 + came[0] if came else code
    return _flushed(code)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[list[int]]:
    """SIGTERM and SIGHUP interrupt the block as Ctrl-C does; one that is ignored (nohup) stays so.

    Yields:
        The number of the signal that came, once it has.
    """
    came: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        if not came:  # a second one must not interrupt how things are put in order after the first
            came.append(number)
            raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in ENDING}
        before = {number: handler for number, handler in before.items() if handler is signal.SIG_DFL}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _guarded(command: Callable[..., Any], terminal: bool) -> int:
    try:
        command(standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ShoploopError as error:
        if DEBUG:
            raise
        _say(f"shoploop: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return CLOSED
    except OSError as error:
        if error.errno == errno.EIO and terminal and not any(map(_is_terminal, (sys.stdout, sys.stderr))):
            return CLOSED
        if DEBUG or error.errno not in OF_THE_MACHINE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _say(f"shoploop: {where}{error.strerror}. {OF_THE_MACHINE[error.errno]} (--debug shows where it was met.)")
        return 2
    return 0


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that is closed
        print(sentence, file=sys.stderr, flush=True)


def _is_terminal(stream: Any) -> bool:
    """Also whether it still is one: what a closed terminal leaves behind is none."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def _flushed(code: int) -> int:
    """The exit code, once what was printed is out: the interpreter would try again at its end, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            code = code or CLOSED
    return code
