"""The learners and updaters beside a service on this machine, as processes; one that ends by itself is started again.

The version that serves learns, and beside it, in the shadow, one that is to take its place: what came since its data is in
the log, and has to be learned before it may answer anybody.
"""

import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from shoploop.api.online import EventLogSpec
from shoploop.compute import lifetime
from shoploop.errors import NotFound
from shoploop.online.updater import HOLD
from shoploop.packaging.bento import collected_of
from shoploop.packaging.races import Races, chain_of
from shoploop.store import Store
from shoploop.versions.promotions import Promotion

AGAIN_SECONDS = 2.0
LONGEST_SECONDS = 60.0
"""Between two starts of a process that ends again and again; one that lived so long may start at once."""

STOP_SECONDS = 15


class Learners:
    """The processes of each version that learns here."""

    def __init__(
        self,
        store: Store,
        name: str,
        log: EventLogSpec,
        folder: Path,
        *,
        access: Path | None = None,
        end: Callable[[], int | None],
        clock: Callable[[], float] = time.monotonic,
        beat: Callable[[], None] = lambda: None,
    ):
        """
        Args:
            store: Where the chains lie.
            name: Of the recommender.
            log: What shoppers did.
            access: Folder of what its server asks for.
            folder: Below which each version has the folder that its predictors follow.
            end: Offset of the last record of the log; None where nobody here knows.
            clock: Seconds.
            beat: Called again and again while a long chain is read.
        """
        self._store, self._name, self._log, self._folder = store, name, log, folder
        self._races = Races(store, name, folder, end=end, clock=clock, beat=beat)
        self._access = access
        self._running: dict[str, ExitStack] = {}
        self._ending: dict[str, threading.Thread] = {}

    def begin(self, version: str, *, beside: str | None = None) -> Path:
        """Lets a version learn, if it does not yet; returns the folder that its predictors follow.

        Args:
            version: Its base.
            beside: The version that serves meanwhile, whose place it is to take.
        """
        updates = self._folder / version
        if version in self._running:
            return updates
        if version in self._ending:  # two learners of one version are one too many
            self._ending.pop(version).join()
        updates.mkdir(exist_ok=True)
        (updates / HOLD).unlink(missing_ok=True)
        with ExitStack() as stack:
            for command in self._commands(version, updates, beside):
                home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shoploop-online-")))
                stack.enter_context(_kept_up(command, home))
            self._running[version] = stack.pop_all()
        return updates

    def keep(self, *versions: str | None) -> None:
        """Ends the learning of all others; does not wait until they have committed what they have."""
        self._races.keep(*versions)
        self._ending = {version: ending for version, ending in self._ending.items() if ending.is_alive()}
        for version in [known for known in self._running if known not in versions]:
            ending = threading.Thread(target=self._running.pop(version).close, name=f"ends-{version}")
            ending.start()
            self._ending[version] = ending

    def is_level(self, version: str, serving: str) -> bool:
        """As :meth:`Races.is_level`."""
        return self._races.is_level(version, serving)

    def frozen(self, version: str) -> str | None:
        """As :meth:`Races.frozen`."""
        return self._races.frozen(version)

    def close(self) -> None:
        """Ends all of it."""
        self.keep()
        for ending in self._ending.values():
            ending.join()

    def _commands(self, version: str, updates: Path, beside: str | None) -> list[list[str]]:
        shoploop = [sys.executable, "-m", "shoploop", "online"]
        of = [self._name, "--version", version, "--store", self._store.uri]
        proved = ["--log-access", str(self._access)] if self._access else []
        learns_beside = ["--beside", beside] if beside else []
        return [
            [*shoploop, "follow", *of, "--into", str(updates)],
            [*shoploop, "learn", *of, "--log", address_of(self._log), *proved, *learns_beside],
        ]


def level_version(
    store: Store,
    name: str,
    history: Sequence[Promotion],
    end: int | None,
    *,
    beat: Callable[[], None] = lambda: None,
) -> str:
    """Which version may answer at once, whenever ``serve --online`` was ended: the promoted one, unless another that served
    before it has learned more of the same log, which it has to catch up with first.

    What was rolled back to serves at once: whoever rolls back wants to be rid of what came after.

    Args:
        store: Where the chains lie.
        name: Of the recommender.
        history: Its promotions, one at least.
        end: Offset of the last record of the log; None where nobody here knows.
        beat: Called again and again while long chains are read.
    """
    last = history[-1].version
    if history[-1].action == "rollback":
        return last
    end = sys.maxsize if end is None else end
    found, most = last, min(_learned(store, name, last, beat), end)
    log = collected_of(store, name, last).log
    for version in dict.fromkeys(promotion.version for promotion in reversed(history)):
        try:
            if collected_of(store, name, version).log != log:  # its offsets mean nothing in this one
                continue
            learned = min(_learned(store, name, version, beat), end)
        except NotFound:  # it went beyond spec.retention
            continue
        if learned > most:
            found, most = version, learned
    return found


def _learned(store: Store, name: str, version: str, beat: Callable[[], None]) -> int:
    chain = chain_of(store, name, version, beat=beat)
    chain.refresh()
    return chain.offset_of(chain.served)


@contextmanager
def learners(
    store: Store, name: str, log: EventLogSpec, *, access: Path | None = None, end: Callable[[], int]
) -> Iterator[Learners]:
    """Versions may learn while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="shoploop-online-") as folder:
        found = Learners(store, name, log, Path(folder), access=access, end=end)
        try:
            yield found
        finally:
            found.close()


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
                try:
                    begin()
                except OSError as error:  # no process, or no memory, to be had just now: the next time, maybe
                    logging.getLogger(__name__).warning(
                        "%s cannot be started: %s. It is tried again.", " ".join(command[:5]), error
                    )

    begin()
    thread = threading.Thread(target=keep, name="kept-up", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        while thread.is_alive():
            lifetime.end(running[0], seconds=STOP_SECONDS)
            thread.join(0.1)
        if running[0].poll() is None:  # begun at this very moment
            lifetime.end(running[0], seconds=STOP_SECONDS)


def address_of(log: EventLogSpec) -> str:
    """As ``--log`` reads it, whatever the last run's spec says by then."""
    if log.type == "Sqlite":
        return "sqlite"
    if log.model_fields_set & {"prefix", "secret_ref", "tls"}:
        return log.model_dump_json(by_alias=True, exclude_none=True)
    address = log.connection or ""
    return address if "://" in address else f"{log.type.lower()}://{address}"
