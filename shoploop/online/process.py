"""A process that learns, or brings what is learned to predictors: how it begins and how it is asked to end.

The same for the command line and for a pod, which differ in where they find the version and the log.
"""

import gc
import signal
import threading
from collections.abc import Callable

from shoploop.versions.signing import Trust, signer_for


def asked_to_end() -> Callable[[], bool]:
    """Whether this process was asked to end; it has to be its main thread that asks for this."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return stop.is_set


def keep_what_is_loaded() -> None:
    """What is loaded stays: not to look through it again and again is a quarter of a learner's time."""
    gc.freeze()


def check_signer() -> None:
    """Makes sure that who learns here can sign what it learned, where that is asked for.

    Raises:
        KeyUnusable, KeyUntrusted: the environment asks for signatures, and nobody here can give one.
    """
    signer_for(Trust.configured())
