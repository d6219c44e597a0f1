"""``python -m shoploop.bench.killed_learner RANKER STORE LOG [OFFSET]``: a learner to be killed.

It loads no more than that of a pod, so that it starts as fast.
"""

import sys
from pathlib import Path

from shoploop.compute.cores import use_one_thread
from shoploop.compute.garbage import collecting_nothing
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain
from shoploop.online.guardrails import NO_GUARD
from shoploop.online.limits import NO_LIMITS
from shoploop.online.loop import OnlineLoop
from shoploop.online.process import keep_what_is_loaded
from shoploop.ranking.ranker import Ranker
from shoploop.store import Store

NAME = "bench"
PERIOD_SECONDS = 0.1


def chain_of(store: Path, version: str) -> Chain:
    """As it is now."""
    chain = Chain(Store(str(store)), NAME, version)
    chain.refresh()
    return chain


def _learn(packaged: str, store: str, log: str, until: int | None) -> None:
    use_one_thread()
    with collecting_nothing():
        ranker = Ranker.load(Path(packaged))
    with SqliteLog(Path(log)) as opened:
        loop = OnlineLoop(
            ranker=ranker, log=opened, chain=chain_of(Path(store), ranker.version), guard=NO_GUARD, limits=NO_LIMITS
        )
        keep_what_is_loaded()
        loop.run(period_seconds=PERIOD_SECONDS, until=lambda: until is not None and loop.offset >= until)


if __name__ == "__main__":
    _learn(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else None)
