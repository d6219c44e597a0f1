"""A process that learns, or brings what is learned to predictors: how it begins and how it is asked to end.

The same for the command line and for a pod, which differ in where they find the version and the log.
"""

import argparse
import gc
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from shoploop.api.learner_state import PORT
from shoploop.versions.signing import Trust, signer_for

COLLECT = (20_000, 10, 10)
"""Objects by which there have to be more before it is looked for garbage: a read of the log makes as many, and none of them
holds itself."""


def asked_to_end() -> Callable[[], bool]:
    """Whether this process was asked to end; it has to be its main thread that asks for this."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    return stop.is_set


def keep_what_is_loaded() -> None:
    """What is loaded stays: not to look through it again and again is a quarter of a learner's time. What comes is looked
    through more seldom."""
    gc.freeze()
    gc.set_threshold(*COLLECT)


def check_signer() -> None:
    """Makes sure that who learns here can sign what it learned, where that is asked for.

    Raises:
        KeyUnusable, KeyUntrusted: the environment asks for signatures, and nobody here can give one.
    """
    signer_for(Trust.configured())


def learner_arguments(prog: str) -> argparse.ArgumentParser:
    """What every process of a learner is told; the caller adds where its version lies."""
    parser = argparse.ArgumentParser(prog=prog)
    parser.add_argument("--recommender", required=True, help="its name")
    parser.add_argument("--store", required=True, help="URL of the store, where chains are written")
    parser.add_argument("--log", required=True, help="spec.online.log as JSON")
    parser.add_argument("--log-folder", required=True, type=Path, help="where a log of type Sqlite lies")
    parser.add_argument("--access", type=Path, help="folder with the log's username, password and ca.crt")
    parser.add_argument("--period-seconds", type=float, default=1.0, help="between two commits at least")
    parser.add_argument("--optimizer", default="AdaGrad", help="as spec.online.optimizer names it")
    parser.add_argument("--guardrails", default="{}", help="spec.online.guardrails as JSON")
    parser.add_argument("--port", type=int, default=PORT, help="where it answers")
    return parser
