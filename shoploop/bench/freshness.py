"""How long it takes from an accepted event until every replica answers with a model that has learned it."""

import platform
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from shoploop.bench.killed_learner import NAME
from shoploop.bench.online import drawn_purchases
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain
from shoploop.online.following import Followings
from shoploop.online.guardrails import NO_GUARD
from shoploop.online.limits import NO_LIMITS
from shoploop.online.loop import OnlineLoop
from shoploop.online.updater import Updater, follow
from shoploop.packaging.local_setup import packaged_ranker
from shoploop.ranking.answer import RecommendRequest
from shoploop.ranking.ranker import Ranker
from shoploop.store import Store

PERIOD_SECONDS = 0.5
"""Between two commits."""


def run(
    store: Store,
    name: str,
    *,
    replicas: int = 4,
    events: int = 100,
    seed: int = 0,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Appends events one by one, and asks all replicas until they answer with a commit that holds it.

    Args:
        store: Where the version lies; nothing is written there.
        name: Of the recommender.
        replicas: Processes that follow, one updater for all.
        events: How many, each after the one before was served.
        seed: Of the events and the pauses between them.
        say: Told what is being done.

    Returns:
        ``replicas``, ``p50_seconds`` and ``p99_seconds`` from the append's return to the last replica's answer, and what that
        was measured on.
    """
    random = np.random.default_rng(seed)
    packaged = packaged_ranker(store, name)
    ranker = Ranker.load(packaged)
    version, entries = ranker.version, drawn_purchases(ranker, random, events)
    with tempfile.TemporaryDirectory(prefix="shoploop-bench-") as folder, ExitStack() as stack:
        place = Path(folder)
        log = stack.enter_context(SqliteLog(place / "log"))

        def started(*words: str) -> "subprocess.Popen[str]":
            command = [sys.executable, "-m", __spec__.name, *words, str(packaged), folder, version]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        say(f"{replicas} replicas start")
        started("learn")
        started("follow")
        pipes = [(_pipe(p.stdin), _pipe(p.stdout)) for p in [started("serve") for _ in range(replicas)]]
        for _, answers in pipes:
            answers.readline()
        chain = Chain(Store(str(place / "store")), NAME, version)
        say(f"{events} events, one by one")
        seconds = []
        for entry in entries:
            [offset] = log.append([entry])
            began = time.perf_counter()
            while not _all_serve(pipes, _commit_of(chain, offset)):
                time.sleep(0.005)
            seconds.append(time.perf_counter() - began)
            time.sleep(float(random.random()) * PERIOD_SECONDS)
    return {
        "replicas": replicas,
        "events": events,
        "seconds_between_commits": PERIOD_SECONDS,
        "p50_seconds": float(np.quantile(seconds, 0.5)),
        "p99_seconds": float(np.quantile(seconds, 0.99)),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def _commit_of(chain: Chain, offset: int) -> int | None:
    """The first commit that holds a record; None where none does yet."""
    chain.refresh()
    before = bisect_left(chain.commits, offset, key=lambda commit: commit.offset)
    return before + 1 if before < chain.head else None


def _all_serve(pipes: list[tuple[IO[str], IO[str]]], number: int | None) -> bool:
    if number is None:
        return False
    for questions, _ in pipes:
        questions.write("?\n")
        questions.flush()
    return all([int(answers.readline()) >= number for _, answers in pipes])


def _play(role: str, packaged: Path, folder: Path, version: str) -> None:
    from shoploop.compute.cores import use_one_thread

    use_one_thread()
    chain = Chain(Store(str(folder / "store")), NAME, version)
    if role == "follow":
        follow(Updater(chain, folder / "updates", version=version), until=lambda: False)
    ranker = Ranker.load(packaged)
    if role == "learn":
        with SqliteLog(folder / "log") as log:
            loop = OnlineLoop(ranker=ranker, log=log, chain=chain, guard=NO_GUARD, limits=NO_LIMITS)
            loop.run(period_seconds=PERIOD_SECONDS, until=lambda: False)
    following = Followings(ranker, folder / "updates")
    following.start()
    user = next(iter(ranker.settings.warm_up_users), "somebody")
    print("ready", flush=True)
    for _ in sys.stdin:
        print(following.of(ranker).recommend(RecommendRequest(user=user)).commit or 0, flush=True)


if __name__ == "__main__":
    _play(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
