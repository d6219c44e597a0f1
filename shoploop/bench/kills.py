"""Whether learners and updaters that are killed (kill -9) again and again, while events come, lose one of them, learn one
twice, or bring a predictor what is not whole."""

import platform
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from shoploop.bench import killed_learner
from shoploop.bench.killed_learner import NAME, chain_of
from shoploop.bench.online import drawn_purchases
from shoploop.compute.cores import one_thread
from shoploop.errors import ShoploopError
from shoploop.events.log import EventLog
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online import updater_process
from shoploop.online.chain import State
from shoploop.online.following import Following
from shoploop.online.guardrails import NO_GUARD
from shoploop.online.limits import NO_LIMITS
from shoploop.online.loop import OnlineLoop
from shoploop.online.pointer import LOOKED, POINTER, Pointer
from shoploop.packaging.local_setup import packaged_ranker
from shoploop.ranking.ranker import Ranker
from shoploop.store import Store

BATCH = 20
USERS = 10_000
LONGEST_SECONDS = 300
PAUSE_SECONDS = 0.2
"""At most so long after it has done something again one is killed: a commit, or a look, takes less."""


def run(
    store: Store,
    name: str,
    *,
    kills: int = 150,
    seed: int = 0,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Kills learners and updaters of a served version at random moments, each after it has done something again.

    Args:
        store: Where the version lies; nothing is written there.
        name: Of the recommender.
        kills: How many; of three two are learners and one is an updater, in an order that is drawn.
        seed: Of the events, the order and the moments.
        say: Told what is being done.

    Returns:
        ``kills``, and how many of each; ``events`` that were accepted, of which each is one example; ``lost`` and
        ``doubled``, by the learner's count; ``weights_equal`` against a learner that was not killed; ``brought_equal``: what
        the predictor has in the end is what the chain serves; ``refused`` by it on the way, since it could not be verified;
        the median and 99th percentile of the seconds from a start to the next commit, or to the next look; and what that was
        measured on.
    """
    random = np.random.default_rng(seed)
    packaged = packaged_ranker(store, name)
    ranker = Ranker.load(packaged)
    with tempfile.TemporaryDirectory(prefix="shoploop-bench-") as made, SqliteLog(Path(made) / "log") as log:
        folder = Path(made)
        learner, updater = _Learner(packaged, folder, ranker.version), _Updater(folder, ranker.version)
        victims = [updater if number % 3 == 2 else learner for number in range(kills)]
        seconds: dict[str, list[float]] = {learner.what: [], updater.what: []}
        with _shopped(log, ranker, seed), _followed(ranker, updater.folder) as following, learner, updater:
            for number, victim in enumerate([victims[at] for at in random.permutation(kills)]):
                say(f"{victim.what}, {number + 1} of {kills}")
                victim.kill()
                seconds[victim.what].append(victim.start())
                time.sleep(float(random.random()) * PAUSE_SECONDS)
        say("the last one learns to the end")
        subprocess.run([*learner.command, str(log.end())], check=True)
        with _followed(ranker, updater.folder) as followed, updater:
            updater.brings_all()
            followed.look()
        say("a learner that is not killed")
        whole = OnlineLoop(
            ranker=ranker, log=log, chain=chain_of(folder / "whole", ranker.version), guard=NO_GUARD, limits=NO_LIMITS
        )
        with one_thread():
            whole.catch_up()
            while whole.step():
                pass
            whole.publish()
        accepted, one = log.end(), _state(folder / "whole", ranker.version)
        other = _state(folder / "store", ranker.version)
    items, brought = [array.copy() for array in ranker.items()], followed.ranker.items()
    for array, rows in zip(items, (other.rows.vectors_ND, other.rows.bias_N), strict=True):
        array[other.rows.codes_N] = rows
    learned = other.totals.examples
    return {
        "kills": kills,
        "killed": {victim.what: len(seconds[victim.what]) for victim in (learner, updater)},
        "events": accepted,
        "lost": max(accepted - learned, 0),
        "doubled": max(learned - accepted, 0),
        "weights_equal": one.totals == other.totals
        and all(
            np.array_equal(getattr(one.rows, part), getattr(other.rows, part))
            for part in ("codes_N", "vectors_ND", "bias_N", "slots_NE")
        ),
        "brought_equal": all(map(np.array_equal, items, brought)),
        "refused": following.refused + followed.refused,
        "recovery_p50_seconds": _quantile(seconds[learner.what], 0.5),
        "recovery_p99_seconds": _quantile(seconds[learner.what], 0.99),
        "updater_recovery_p50_seconds": _quantile(seconds[updater.what], 0.5),
        "updater_recovery_p99_seconds": _quantile(seconds[updater.what], 0.99),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def _quantile(seconds: list[float], level: float) -> float | None:
    return float(np.quantile(seconds, level)) if seconds else None


class _Killed(ABC):
    """A process that is killed and started again."""

    what: str

    def __init__(self, command: list[str]):
        self.command = command
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> float:
        """Starts it; returns the seconds until it has done something."""
        before, began = self._mark(), time.perf_counter()
        self._process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        while self._mark() == before:
            seconds = time.perf_counter() - began
            if self._process.poll() is not None or seconds > LONGEST_SECONDS:
                self.kill()
                raise ShoploopError(
                    f"The {self.what} that was started again has done nothing in {seconds:.0f} seconds."
                )
            time.sleep(0.01)
        return time.perf_counter() - began

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @abstractmethod
    def _mark(self) -> object:
        """Changes when it does something."""


class _Learner(_Killed):
    what = "learner"

    def __init__(self, packaged: Path, folder: Path, version: str):
        self._chain = chain_of(folder / "store", version)
        places = (str(packaged), str(folder / "store"), str(folder / "log"))
        super().__init__([sys.executable, "-m", killed_learner.__name__, *places])

    def _mark(self) -> int:
        self._chain.refresh()
        return self._chain.head


class _Updater(_Killed):
    what = "updater"

    def __init__(self, folder: Path, version: str):
        self.folder = folder / "brought"
        self._chain = chain_of(folder / "store", version)
        super().__init__(
            [
                *(sys.executable, "-m", updater_process.__name__, "--recommender", NAME, "--version", version),
                *("--store", str(folder / "store"), "--into", str(self.folder), "--port", "0"),
            ]
        )

    def brings_all(self) -> None:
        """Waits until it has brought the chain's last commit."""
        self._chain.refresh()
        until = time.perf_counter() + LONGEST_SECONDS
        while not (self.folder / POINTER).exists() or Pointer.read(self.folder).commit != self._chain.served:
            if time.perf_counter() > until:
                raise ShoploopError(f"The updater has not brought commit {self._chain.served}.")
            time.sleep(0.01)

    def _mark(self) -> int | None:
        try:
            return (self.folder / LOOKED).stat().st_mtime_ns
        except FileNotFoundError:
            return None


@contextmanager
def _shopped(log: EventLog, ranker: Ranker, seed: int) -> Iterator[None]:
    """Events all the time, so that there is always something to learn."""
    stop, random = threading.Event(), np.random.default_rng([seed, 1])

    def shop() -> None:
        number = 0
        while not stop.wait(0.1):
            log.append(drawn_purchases(ranker, random, BATCH, first=number, users=USERS))
            number += BATCH

    shopping = threading.Thread(target=shop, daemon=True)
    shopping.start()
    try:
        yield
    finally:
        stop.set()
        shopping.join()


@contextmanager
def _followed(ranker: Ranker, folder: Path) -> Iterator[Following]:
    """A predictor's place, that takes what is brought, all the time."""
    stop, following = threading.Event(), Following(ranker, folder)

    def look() -> None:
        while not stop.wait(0.1):
            following.look()

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield following
    finally:
        stop.set()
        looking.join()


def _state(store: Path, version: str) -> State:
    return chain_of(store, version).state()
