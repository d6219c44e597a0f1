"""The learner and the updater beside a service on this machine, as processes; one that ends by itself is started again."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from shoploop.api.online import EventLogSpec
from shoploop.compute import lifetime
from shoploop.store import Store

AGAIN_SECONDS = 2.0
LONGEST_SECONDS = 60.0
"""Between two starts of a process that ends again and again; one that lived so long may start at once."""

STOP_SECONDS = 15


@contextmanager
def learning(store: Store, name: str, version: str, log: EventLogSpec) -> Iterator[Path]:
    """Lets a version learn while the block lasts; yields the folder that its predictors follow.

    Args:
        store: Where the chain lies.
        name: Of the recommender.
        version: Its base.
        log: What shoppers did.
    """
    shoploop = [sys.executable, "-m", "shoploop", "online"]
    of = [name, "--version", version, "--store", store.uri]
    with tempfile.TemporaryDirectory(prefix="shoploop-online-") as folder, ExitStack() as stack:
        updates = Path(folder, "updates")
        updates.mkdir()
        for command in (
            [*shoploop, "follow", *of, "--into", str(updates)],
            [*shoploop, "learn", *of, "--log", address_of(log)],
        ):
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoploop-online-")))
            stack.enter_context(_kept_up(command, home))
        yield updates


@contextmanager
def _kept_up(command: Sequence[str], home: Path) -> Iterator[None]:
    """The command as a process while the block lasts, started anew when it ends; its temporary files lie in ``home``."""
    stop = threading.Event()
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> None:
        running[:] = [
            subprocess.Popen(
                [sys.executable, "-P", lifetime.__file__, str(home), *command],
                env=os.environ | {"TMPDIR": str(home), "PYTHONWARNINGS": "ignore"} | lifetime.named_starter(),
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C reaches the starter alone
            )
        ]

    def keep() -> None:
        pause = AGAIN_SECONDS / 2
        while not stop.is_set():
            began = time.monotonic()
            running[0].wait()
            lived = time.monotonic() - began
            pause = AGAIN_SECONDS if lived >= LONGEST_SECONDS else min(2 * pause, LONGEST_SECONDS)
            if not stop.wait(pause):
                begin()

    begin()
    thread = threading.Thread(target=keep, name="kept-up", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        while thread.is_alive():  # it may just have begun another
            lifetime.end(running[0], seconds=STOP_SECONDS)
            thread.join(0.1)


def address_of(log: EventLogSpec) -> str:
    """As ``--log`` reads it."""
    if log.type == "Sqlite":
        return "sqlite"
    address = log.connection or ""
    return address if "://" in address else f"{log.type.lower()}://{address}"
