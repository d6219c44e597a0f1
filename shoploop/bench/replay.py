"""Later days of a recommender's own data, replayed through the whole loop: each visit asks, buys, and is learned from, while
a frozen version answers the same visits.

It is the loop as it serves, within one process: an event log, the joiner and the learner, a chain in a store, an updater that
writes a folder, and a ranker that follows it. Nothing of the shop's own is written.
"""

import gc
import platform
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop.bench.online import EPOCH, later_purchases
from shoploop.compute.cores import one_thread
from shoploop.evaluation.intervals import Bootstrap
from shoploop.events.fresh import Recent
from shoploop.events.log import Entry
from shoploop.events.messages import Kept, Shown, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.features.log import PurchaseLog
from shoploop.features.log import purchases as purchases_of
from shoploop.features.user import UserRow, user_rows, user_stats
from shoploop.online.chain import Chain, Totals
from shoploop.online.following import Followings
from shoploop.online.learner import LearnerConfig
from shoploop.online.loop import OnlineLoop
from shoploop.online.updater import Updater, follow
from shoploop.packaging.local_service import packaged_ranker
from shoploop.ranking.answer import Answer, RecommendRequest
from shoploop.ranking.ranker import Ranker
from shoploop.runs.record import folder_of
from shoploop.store import Store

K = 10
NO_DEADLINE = float("inf")
"""Else a machine with other work would answer without the model now and then."""

LOOK_SECONDS = 0.02
END_SECONDS = 120
"""How long the end of a replay waits for what is still to be learned."""

Purchase = tuple[str, str, datetime]
"""User, item, time."""

_Row = tuple[str, str, float, float, int]
"""Day, user, recall of what was learned and of what was trained, commit."""


@dataclass
class _Lags:
    """From an append until the ranker that follows has learned it, seconds."""

    waiting: deque[tuple[int, float, str]] = field(default_factory=deque)
    """Offset, when it was appended, and the day that it is of."""

    seconds: list[tuple[str, float]] = field(default_factory=list)

    def passed(self, offset: int, now: float) -> None:
        while self.waiting and self.waiting[0][0] <= offset:
            _, began, day = self.waiting.popleft()
            self.seconds.append((day, now - began))


def run(
    store: Store,
    name: str,
    *,
    speed: float = 1000.0,
    purchases: int = 5_000,
    period_seconds: float = 1.0,
    seed: int = 0,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Replays the days that the served version was evaluated on, which its weights have not seen.

    Users' histories are as they were before these days. Items' statistics and factors are as of the end of the data, for both
    sides: the frozen one is a little better than it could have been.

    Args:
        store: Where that version lies; nothing is written there.
        name: Of the recommender.
        speed: So many times faster than it was; where the machine cannot do that, as fast as it can.
        purchases: How many at most, from the first on.
        period_seconds: Between two commits at least.
        seed: Of the intervals.
        say: Told what is being done.

    Returns:
        As :func:`replayed`, and which version it was of.
    """
    ranker = Ranker.load(packaged_ranker(store, name))
    events, first = later_purchases(store, ranker, name, purchases)
    bought = [
        (user, item, time_.replace(tzinfo=UTC))
        for user, item, time_ in zip(events["user"], events["item"], events["time"], strict=True)
    ]
    say(f"{len(bought)} purchases since {EPOCH + timedelta(days=first)}, {speed:g} times as fast")
    with one_thread():
        stats = statistics(store, ranker, name, sorted({user for user, _, _ in bought}), first)
        found = replayed(
            ranker.before(first, stats), bought, speed=speed, period_seconds=period_seconds, seed=seed, say=say
        )
    return {"recommender": name, "version": ranker.version} | found


def statistics(store: Store, ranker: Ranker, name: str, users: list[str], day: int) -> dict[str, UserRow]:
    """Users' statistics as they were on a day; of those who had bought something by then."""
    folder = folder_of(store, name, ranker.version)
    assert folder is not None
    bought = purchases_of(pl.read_parquet(folder / "data" / "interactions.parquet"))
    log = PurchaseLog.of(bought, ranker.known.trained.vocabulary)
    there = set(log.users)
    known = [user for user in users if user in there]
    return dict(zip(known, user_rows(user_stats(log), known, [day] * len(known)), strict=True))


def replayed(
    ranker: Ranker,
    bought: Sequence[Purchase],
    *,
    speed: float,
    period_seconds: float = 1.0,
    seed: int = 0,
    learner: LearnerConfig | None = None,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Replays purchases, in the order of their times.

    Args:
        ranker: As it was before them.
        bought: What, by whom and when.
        speed: See :func:`run`.
        period_seconds: Between two commits at least.
        seed: Of the intervals.
        learner: How fast, and how far.
        say: Told what is being done.

    Returns:
        ``recall@10`` of visits: ``online``, ``frozen``, their difference and its 95 % interval over users; ``days``, the same
        day by day with ``visits``, ``commits`` and ``lag_seconds`` (median, from an append until the ranker that answers has
        learned it); ``lag_seconds`` over all (``p50`` and ``p99``), ``commits``, ``learned`` examples and their ``loss``,
        ``trips`` of guardrails, ``dead_letters``, and ``behind_seconds`` at the end where the machine was too slow.
    """
    rows: list[_Row] = []
    lags, recent = _Lags(), Recent()
    with tempfile.TemporaryDirectory(prefix="shoploop-replay-") as folder, ExitStack() as stack:
        log = stack.enter_context(SqliteLog(Path(folder) / "log"))
        store = Store(str(Path(folder) / "store"))
        followings = Followings(ranker, Path(folder) / "updates")
        chain = Chain(store, "replay", ranker.version, keep=None)
        loop = OnlineLoop(ranker=ranker, log=log, chain=Chain(store, "replay", ranker.version), learner=learner)
        updater = Updater(Chain(store, "replay", ranker.version), Path(folder) / "updates", version=ranker.version)
        followings.start()
        stack.callback(followings.stop)
        stack.enter_context(_working(loop, updater, lambda: followings.of(ranker), chain, lags, period_seconds))
        began = time.perf_counter()
        first = bought[0][2] if bought else datetime.now(UTC)
        behind, told = 0.0, ""
        for number, ((when, user), items) in enumerate(visits(bought)):
            due = began + (when - first).total_seconds() / speed
            behind = time.perf_counter() - due
            if behind < 0:
                time.sleep(-behind)
            day = when.date().isoformat()
            if day != told:
                told = day
                say(f"{day}, commit {followings.of(ranker).commit or 0}")
            online, frozen = (
                each.recommend(RecommendRequest(user=user, k=K), now=when, fresh=recent.of(user), until=NO_DEADLINE)
                for each in (followings.of(ranker), ranker)
            )
            rows.append((day, user, _recall(online, items), _recall(frozen, items), online.commit or 0))
            entries = list(_entries(number, user, items, online, when))
            offset = log.append(entries)[-1]
            lags.waiting.append((offset, time.perf_counter(), day))
            for item in items:
                recent.add(Kept(source="organic", kind="purchase", user=user, item=item, time=when, received=when))
        say("what is left is learned")
        _wait(loop, log.end(), lags, period_seconds)
        seconds = time.perf_counter() - began
        chain.refresh()
    return _told(rows, lags, chain, seed) | {
        "purchases": len(bought),
        "speed": speed,
        "seconds": seconds,
        "behind_seconds": max(behind, 0.0),
        "seconds_between_commits": period_seconds,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


def visits(bought: Sequence[Purchase]) -> Iterator[tuple[tuple[datetime, str], list[str]]]:
    """What each user bought at a time, in the order of the times."""
    ordered = sorted(bought, key=lambda purchase: (purchase[2], purchase[0]))
    for key, purchases in groupby(ordered, key=lambda purchase: (purchase[2], purchase[0])):
        yield key, list(dict.fromkeys(item for _, item, _ in purchases))


def _entries(number: int, user: str, items: list[str], answer: Answer, when: datetime) -> Iterator[Entry]:
    """As they would lie in the log: the answer, and what was bought, of the answer or not."""
    shown = [placed.item for placed in answer.items]
    impression = Shown(
        request_id=str(number), user=user, version=answer.version, surface="items", method=answer.method,
        as_of=answer.as_of, time=when, items=shown, scores=[placed.score for placed in answer.items],
        propensities=[1.0] * len(shown),
    )  # fmt: skip
    yield Entry(f"i:{number}", to_json(impression))
    for item in items:
        about = {"source": "attributed", "request_id": str(number)} if item in shown else {"source": "organic"}
        kept = Kept(kind="purchase", user=user, item=item, time=when, received=when, **about)
        yield Entry(f"e:{number}:{item}", to_json(kept))


def _recall(answer: Answer, items: list[str]) -> float:
    return len({placed.item for placed in answer.items} & set(items)) / len(items)


@contextmanager
def _working(
    loop: OnlineLoop,
    updater: Updater,
    answering: Callable[[], Ranker],
    chain: Chain,
    lags: _Lags,
    period_seconds: float,
) -> Iterator[None]:
    """The learner, the updater and who looks what is answered with, each in its thread."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(LOOK_SECONDS):
            if commit := answering().commit:
                if commit > chain.head:
                    chain.refresh()
                lags.passed(chain.offset_of(commit), time.perf_counter())

    threads = [
        threading.Thread(target=lambda: loop.run(period_seconds=period_seconds, until=stop.is_set), name="learner"),
        threading.Thread(target=lambda: follow(updater, until=stop.is_set), name="updater"),
        threading.Thread(target=look, name="looks"),
    ]
    for thread in threads:
        thread.start()
    gc.freeze()  # what is loaded is not looked through for garbage, as in a learner's own process
    try:
        yield
    finally:
        gc.unfreeze()
        stop.set()
        for thread in threads:
            thread.join()


def _wait(loop: OnlineLoop, end: int, lags: _Lags, period_seconds: float) -> None:
    """Until all is learned that can be: what teaches nothing at the end is in no commit."""
    until, quiet = time.perf_counter() + END_SECONDS, time.perf_counter()
    while lags.waiting and time.perf_counter() < until:
        if loop.offset < end:
            quiet = time.perf_counter()
        if time.perf_counter() - quiet > 3 * period_seconds + 1:
            return
        time.sleep(LOOK_SECONDS)


def _told(rows: list[_Row], lags: _Lags, chain: Chain, seed: int) -> dict[str, Any]:
    frame = pl.DataFrame(rows, schema=["day", "user", "online", "frozen", "commit"], orient="row")
    of_user = frame.group_by("user", maintain_order=True).agg(pl.col("online", "frozen").mean())
    online_U, frozen_U = of_user["online"].to_numpy(), of_user["frozen"].to_numpy()
    seconds: dict[str, list[float]] = {}
    for day, lag in lags.seconds:
        seconds.setdefault(day, []).append(lag)
    days, before = [], 0
    for (day,), visits in frame.group_by("day", maintain_order=True):
        last = max(int(visits["commit"].to_numpy().max()), before)
        days.append({
            "day": day,
            "visits": visits.height,
            "online": float(visits["online"].to_numpy().mean()),
            "frozen": float(visits["frozen"].to_numpy().mean()),
            "commits": last - before,
            "lag_seconds": float(np.median(seconds[str(day)])) if str(day) in seconds else None,
        })  # fmt: skip
        before = last
    totals = chain.commits[-1].totals if chain.commits else Totals()
    every = [lag for _, lag in lags.seconds]
    return {
        "recall@10": {
            "online": float(online_U.mean()),
            "frozen": float(frozen_U.mean()),
            "difference": float((online_U - frozen_U).mean()),
            "interval": Bootstrap(of_user.height, seed=seed).interval(online_U - frozen_U),
        },
        "visits": frame.height,
        "users": of_user.height,
        "days": days,
        "lag_seconds": {f"p{q}": float(np.quantile(every, q / 100)) if every else None for q in (50, 99)},
        "commits": sum(commit.action == "learn" for commit in chain.commits),
        "trips": [
            {"commit": commit.number, "reason": commit.reason} for commit in chain.commits if commit.action == "freeze"
        ],
        "learned": totals.examples,
        "loss": {
            "online": totals.online_loss / max(totals.examples, 1),
            "frozen": totals.frozen_loss / max(totals.examples, 1),
        },
        "capped": totals.capped,
        "dead_letters": totals.dead_letters,
    }
