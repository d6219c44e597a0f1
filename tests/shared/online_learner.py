"""A learner as a process of its own, which a test kills: it learns from a log until the log says that it is over."""

import tempfile
from pathlib import Path

from shop.serving import make_ranker

from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain
from shoploop.online.limits import LimitConfig
from shoploop.online.loop import OnlineLoop
from shoploop.store import Store

OPEN = LimitConfig(of_user=20, of_user_a_day=None, of_user_and_item=None, of_item=None, least_choices=None)


def learn(store: str, log: Path, until: int, *, version: str, start: int, period: float, beside: str | None) -> None:
    with SqliteLog(log) as opened, tempfile.TemporaryDirectory() as folder:
        ranker = make_ranker(Path(folder), alpha_logit=-20.0)
        loop = OnlineLoop(
            ranker=ranker, log=opened, chain=Chain(Store(store), "grocery", version, start=start), start=start, limits=OPEN,
            beside=Chain(Store(store), "grocery", beside) if beside else None,
        )  # fmt: skip
        loop.run(period_seconds=period, until=lambda: loop.offset >= until)


def main(arguments: list[str]) -> None:
    store, log, until, version, start, period, *beside = arguments
    learn(
        store, Path(log), int(until), version=version, start=int(start), period=float(period),
        beside=beside[0] if beside else None,
    )  # fmt: skip
