"""A process that learns, or brings what is learned to predictors: how it begins and how it is asked to end.

The same for the command line and for a pod, which differ in where they find the version and the log.
"""

import gc
import signal
import threading
from collections.abc import Callable

from shoploop.errors import ArtifactUnsigned
from shoploop.versions.signing import Trust


def asked_to_end() -> Callable[[], bool]:
    """Whether this process was asked to end; it has to be its main thread that asks for this."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return stop.is_set


def keep_what_is_loaded() -> None:
    """What is loaded stays: not to look through it again and again is a quarter of a learner's time."""
    gc.freeze()


def check_trust() -> None:
    """Commits are not signed yet.

    Raises:
        ArtifactUnsigned: the environment asks for signatures.
    """
    if Trust.configured().policy != "Ignore":
        raise ArtifactUnsigned(
            "What is learned online is not signed, and signatures are asked for here (SHOPLOOP_SIGNING_POLICY). Serve "
            "with --no-online, or let the store's own access rules say who may write it."
        )
