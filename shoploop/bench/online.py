"""How many events a second are learned, by the learner alone and from the event log to a durable commit; and whether what is
learned predicts better (:mod:`shoploop.bench.prequential`).
"""

import gc
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np

from shoploop.bench.prequential import of_dataset, of_version
from shoploop.bench.rivals import other_rates
from shoploop.compute.cores import one_thread
from shoploop.events.log import Entry
from shoploop.events.messages import Kept, Kind, Shown, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain
from shoploop.online.guardrails import NO_GUARD
from shoploop.online.intake import BATCH
from shoploop.online.learner import ItemLearner, LearnerConfig
from shoploop.online.limits import NO_LIMITS
from shoploop.online.loop import OnlineLoop
from shoploop.online.optimizers import OPTIMIZERS
from shoploop.online.process import keep_what_is_loaded
from shoploop.packaging.local_setup import packaged_ranker
from shoploop.ranking.ranker import Ranker
from shoploop.store import Store

ITEMS, WIDTH = 12_000, 64
REPETITIONS = 3
APPENDED = 5_000
APART = timedelta(microseconds=30)


def run(
    store: Store,
    name: str,
    *,
    events: int = 20_000,
    seed: int = 0,
    replayed: int = 5_000,
    datasets: Sequence[str] = (),
    trainings: int = 3,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Measures the learner on vectors that are drawn, and the loop on a served version.

    Args:
        store: Where that version lies; nothing is written there.
        name: Of the recommender.
        events: To learn in each repetition: purchases by users of the version, of its items, both drawn.
        seed: Of what is drawn.
        replayed: How many of the purchases of the days that it was evaluated on are replayed at most, from the first on.
        datasets: Of each, versions are trained and replayed like this, too.
        trainings: Of each of these, with seeds from 0 on.
        say: Told what is being done.

    Returns:
        ``learner_events_per_second`` and ``log_to_commit_events_per_second`` (median, min and max over the repetitions, each
        in one thread, and the median by a second of CPU time, which a machine that has other work, too, does not change as
        much), ``rivals_events_per_cpu_second`` of other online learners, where River or Vowpal Wabbit is installed,
        ``log_to_commit_visits_per_second``, the same of records of answers, clicks and purchases;
        ``restart_seconds`` of a learner that reads all of them again; ``prequential``: of the recommender and of
        each dataset what :func:`~shoploop.bench.prequential.of_version` tells;
        ``optimizers``, the same of each rule; and what that was measured on.
    """
    random = np.random.default_rng(seed)
    say(f"the learner alone, {ITEMS} items of width {WIDTH}")
    with one_thread():
        alone = [_alone(random, events) for _ in range(REPETITIONS)]
    drawn = random.integers(0, [[events], [ITEMS]], (2, events)).tolist()
    rivals = other_rates(*drawn, width=WIDTH)
    ranker = Ranker.load(packaged_ranker(store, name))
    purchases, visits, restarts = [], [], []
    for repetition in range(REPETITIONS):
        say(f"{events} events from the log to a commit, {repetition + 1} of {REPETITIONS}")
        with one_thread(), _settled():
            rates, restart = _whole(ranker, name, drawn_purchases(ranker, random, events, apart=APART))
            purchases.append(rates)
            restarts.append(restart)
            visits.append(_whole(ranker, name, drawn_visits(ranker, random, events, apart=APART))[0])
    return {
        "learner_events_per_second": _middle(alone),
        "rivals_events_per_cpu_second": rivals,
        "log_to_commit_events_per_second": _middle(purchases),
        "log_to_commit_visits_per_second": _middle(visits),
        "restart_seconds": float(np.median(restarts)),
        "prequential": {name: of_version(store, ranker, name, replayed=replayed, seed=seed, say=say)}
        | {dataset: of_dataset(dataset, seeds=range(trainings), replayed=replayed, say=say) for dataset in datasets},
        "optimizers": {
            optimizer: of_version(
                store, ranker, name, replayed=replayed, seed=seed, say=say, config=LearnerConfig(optimizer=optimizer)
            )
            for optimizer in OPTIMIZERS
        },
        "events": events,
        "version": ranker.version,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }


@contextmanager
def _settled() -> Iterator[None]:
    """What is loaded is not looked through for garbage, and the rest seldom, as in a learner's own process."""
    before = gc.get_threshold()
    keep_what_is_loaded()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _middle(rates: list[tuple[float, float]]) -> dict[str, float]:
    wall = sorted(rate for rate, _ in rates)
    return {
        "median": wall[len(wall) // 2],
        "min": wall[0],
        "max": wall[-1],
        "per_cpu_second": float(np.median([rate for _, rate in rates])),
    }


def _alone(random: np.random.Generator, events: int) -> tuple[float, float]:
    """Events a second, and a second of CPU time."""
    learner = ItemLearner(random.normal(size=(ITEMS, WIDTH)).astype(np.float32), np.zeros(ITEMS, np.float32))
    states_ND = random.normal(size=(events, WIDTH)).astype(np.float32)
    chosen = random.integers(0, ITEMS, events).tolist()
    began, computed = time.perf_counter(), time.process_time()
    for first in range(0, events, BATCH):
        last = min(first + BATCH, events)
        among = [None] * (last - first)
        learner.learn_many(states_ND[first:last], chosen[first:last], among, range(first, last))
    return events / (time.perf_counter() - began), events / (time.process_time() - computed)


def drawn_purchases(
    ranker: Ranker,
    random: np.random.Generator,
    events: int,
    *,
    apart: timedelta = timedelta(milliseconds=100),
    first: int = 0,
    users: int | None = None,
) -> list[Entry]:
    """Purchases of items of the version, by so many users that none has had their share; numbered from ``first``."""
    begin = datetime(2026, 1, 5, tzinfo=UTC)
    known = ranker.settings.warm_up_users or ("somebody",)
    entries = []
    for number in range(first, first + events):
        time_ = begin + number * apart
        user = known[number % len(known)] if number % 50 == 0 else f"user {random.integers(0, users or events)}"
        item = ranker.known_items[int(random.integers(0, len(ranker.known_items)))]
        kept = Kept(source="organic", kind="purchase", user=user, item=item, time=time_, received=time_)
        entries.append(Entry(str(number), to_json(kept)))
    return entries


def drawn_visits(ranker: Ranker, random: np.random.Generator, records: int, *, apart: timedelta) -> list[Entry]:
    """What a shop's log holds: answers of ten items, a click on every other one, a purchase on every tenth."""
    begin = datetime(2026, 1, 5, tzinfo=UTC)
    entries: list[Entry] = []
    while len(entries) < records:
        number = len(entries)
        time_ = begin + number * apart
        user, codes = f"user {random.integers(0, records)}", random.choice(len(ranker.known_items), 10, replace=False)
        items = [ranker.known_items[code] for code in codes.tolist()]
        shown = Shown(
            request_id=str(number), user=user, version=ranker.version, surface="items", method="fused", as_of="2026-01-05",
            time=time_, items=items, scores=[0.0] * 10, propensities=[1.0] * 10,
        )  # fmt: skip
        entries.append(Entry(str(number), to_json(shown)))
        for kind, share in (("click", 0.5), ("purchase", 0.1)):
            if random.random() < share:
                did = Kept(
                    source="attributed", kind=cast(Kind, kind), user=user, item=items[int(random.integers(0, 10))],
                    time=time_, received=time_, request_id=str(number),
                )  # fmt: skip
                entries.append(Entry(f"{number} {kind}", to_json(did)))
    return entries[:records]


def _whole(ranker: Ranker, name: str, entries: list[Entry]) -> tuple[tuple[float, float], float]:
    """Events a second and a second of CPU time, and the seconds of a start after them."""
    events = len(entries)
    with tempfile.TemporaryDirectory(prefix="shoploop-bench-") as folder, SqliteLog(Path(folder) / "log") as log:
        for first in range(0, events, APPENDED):
            log.append(entries[first : first + APPENDED])
        store = Store(str(Path(folder) / "store"))

        def loop() -> OnlineLoop:
            guard = NO_GUARD  # what is drawn cannot be learned
            made = OnlineLoop(
                ranker=ranker, log=log, chain=Chain(store, name, ranker.version), guard=guard, limits=NO_LIMITS
            )
            made.catch_up()
            return made

        learner = loop()
        began, computed = time.perf_counter(), time.process_time()
        while learner.step():
            pass
        learner.publish()
        seconds, computed = time.perf_counter() - began, time.process_time() - computed
        began = time.perf_counter()
        loop()
        return (events / seconds, events / computed), time.perf_counter() - began
