"""What a person sees of an error: one message, and a traceback only when asked for."""

import signal
import sys
from collections.abc import Callable
from typing import Any

from shoploop.errors import ShoploopError

DEBUG = False
INTERRUPTED = 128 + signal.SIGINT


def guarded(command: Callable[..., Any]) -> int:
    """Calls ``command`` and turns how it ended into an exit code: 0, an error's own, 130 for Ctrl-C."""
    try:
        command(standalone_mode=True)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer has caught Ctrl-C itself
            _say_interrupted()
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ShoploopError as error:
        if DEBUG:
            raise
        print(f"shoploop: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        _say_interrupted()
        return INTERRUPTED
    except BrokenPipeError:
        return 141
    return 0


def _say_interrupted() -> None:
    print("\nshoploop: interrupted. What is done is kept; the same command goes on from there.", file=sys.stderr)
