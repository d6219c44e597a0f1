"""Whether a learner that is killed (kill -9) again and again, while events come, loses one of them or learns one twice."""

import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from shoploop.bench.online import NO_LIMITS, drawn_purchases
from shoploop.compute.cores import one_thread
from shoploop.errors import ShoploopError
from shoploop.events.log import EventLog
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain, State
from shoploop.online.guardrails import NO_GUARD
from shoploop.online.loop import OnlineLoop
from shoploop.packaging.local_setup import packaged_ranker
from shoploop.ranking.ranker import Ranker
from shoploop.store import Store

"""What is drawn cannot be learned."""

BATCH = 20
USERS = 10_000
LONGEST_SECONDS = 300
PERIOD_SECONDS = 0.1
NAME = "bench"


def run(
    store: Store,
    name: str,
    *,
    kills: int = 20,
    seed: int = 0,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Kills learners of a served version at random moments after their first commit.

    Args:
        store: Where the version lies; nothing is written there.
        name: Of the recommender.
        kills: How many.
        seed: Of the events and the moments.
        say: Told what is being done.

    Returns:
        ``kills``; ``lost`` and ``doubled`` examples and ``weights_equal`` against a learner that was not killed; the median
        and 99th percentile of the seconds from a start to the next commit, and what that was measured on.
    """
    random = np.random.default_rng(seed)
    packaged = packaged_ranker(store, name)
    ranker = Ranker.load(packaged)
    version = ranker.version
    with tempfile.TemporaryDirectory(prefix="shoploop-bench-") as folder, SqliteLog(Path(folder) / "log") as log:
        stop = threading.Event()
        shoppers = np.random.default_rng([seed, 1])  # of their own: how many come hangs on how fast learners begin
        shopping = threading.Thread(target=_shop, args=(log, ranker, shoppers, stop), daemon=True)
        shopping.start()
        command = [
            sys.executable,
            "-m",
            __spec__.name,
            str(packaged),
            str(Path(folder) / "store"),
            str(Path(folder) / "log"),
        ]
        try:
            recoveries = []
            for number in range(kills):
                say(f"learner {number + 1} of {kills}")
                recoveries.append(_until_it_commits_and_is_killed(command, Path(folder) / "store", version, random))
        finally:
            stop.set()
            shopping.join()
        say("the last one learns to the end")
        subprocess.run([*command, str(log.end())], check=True)
        say("a learner that is not killed")
        whole = OnlineLoop(
            ranker=ranker, log=log, chain=_chain(Path(folder) / "whole", version), guard=NO_GUARD, limits=NO_LIMITS
        )
        with one_thread():
            whole.catch_up()
            while whole.step():
                pass
            whole.publish()
        one, other = _state(Path(folder) / "whole", version), _state(Path(folder) / "store", version)
    difference = other.totals.examples - one.totals.examples
    return {
        "kills": kills,
        "events": one.totals.examples,
        "lost": max(-difference, 0),
        "doubled": max(difference, 0),
        "weights_equal": all(
            np.array_equal(getattr(one.rows, part), getattr(other.rows, part))
            for part in ("codes_N", "vectors_ND", "bias_N", "slots_NE")
        ),
        "recovery_p50_seconds": float(np.quantile(recoveries, 0.5)),
        "recovery_p99_seconds": float(np.quantile(recoveries, 0.99)),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def _shop(log: EventLog, ranker: Ranker, random: np.random.Generator, stop: threading.Event) -> None:
    """Events until it is told to stop, so that there is always something to learn."""
    number = 0
    while not stop.wait(0.1):
        log.append(drawn_purchases(ranker, random, BATCH, first=number, users=USERS))
        number += BATCH


def _until_it_commits_and_is_killed(
    command: list[str], store: Path, version: str, random: np.random.Generator
) -> float:
    """Seconds from its start to its first commit."""
    before = _state(store, version).number
    began = time.perf_counter()
    with subprocess.Popen(command) as process:
        try:
            chain = _chain(store, version)
            while process.poll() is None and chain.head <= before:
                if time.perf_counter() - began > LONGEST_SECONDS:
                    raise ShoploopError(
                        f"A learner that was killed has committed nothing in {LONGEST_SECONDS} seconds."
                    )
                time.sleep(0.01)
                chain.refresh()
            seconds = time.perf_counter() - began
            time.sleep(float(random.random()) * 2 * PERIOD_SECONDS)
        finally:
            process.kill()
    return seconds


def _chain(store: Path, version: str) -> Chain:
    chain = Chain(Store(str(store)), NAME, version)
    chain.refresh()
    return chain


def _state(store: Path, version: str) -> State:
    return _chain(store, version).state()


def _learn(packaged: str, store: str, log: str, until: int | None) -> None:
    from shoploop.compute.cores import use_one_thread

    use_one_thread()
    ranker = Ranker.load(Path(packaged))
    with SqliteLog(Path(log)) as opened:
        loop = OnlineLoop(
            ranker=ranker, log=opened, chain=_chain(Path(store), ranker.version), guard=NO_GUARD, limits=NO_LIMITS
        )
        loop.run(period_seconds=PERIOD_SECONDS, until=lambda: until is not None and loop.offset >= until)


if __name__ == "__main__":
    _learn(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else None)
