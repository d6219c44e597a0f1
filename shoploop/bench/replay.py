"""Later days of a recommender's own data, replayed through the whole loop: each visit asks, buys, and is learned from, while
a frozen version answers the same visits; beside both, where it is asked for, a version that is trained anew every night, and
one that is renewed every night, each alone and with what is learned since.

It is the loop as it serves, within one process: an event log, the joiner and the learner, a chain in a store, an updater that
writes a folder, and a ranker that follows it. Nothing of the shop's own is written.
"""

import gc
import platform
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.bench import nights
from shoploop.bench.prequential import EPOCH, later_purchases
from shoploop.compute.cores import one_thread
from shoploop.errors import NotFound
from shoploop.evaluation.intervals import Bootstrap
from shoploop.evaluation.metrics import ndcg
from shoploop.events.fresh import Recent
from shoploop.events.log import Entry, EventLog
from shoploop.events.messages import Kept, Shown, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain, Totals
from shoploop.online.following import Followings
from shoploop.online.learner import LearnerConfig
from shoploop.online.loop import OnlineLoop
from shoploop.online.updater import Updater, follow
from shoploop.packaging.local_setup import packaged_ranker
from shoploop.ranking.answer import Answer, RecommendRequest
from shoploop.ranking.ranker import Ranker
from shoploop.runs.record import Record, folder_of, read_record
from shoploop.store import Store, layout
from shoploop.versions.artifact import load_version

K = 10
OF_NIGHTS = ("nightly", "renewed")
"""What becomes of the version every night: it is trained anew, or renewed (docs/decisions/0117)."""

SIDES = ("online", "frozen", *(f"{kind}{side}" for kind in OF_NIGHTS for side in ("_online", "")))
"""With what was learned and without, first of one version, then of those of each night."""

METRICS = ("recall@10", "ndcg@10")

NO_DEADLINE = float("inf")
"""Else a machine with other work would answer without the model now and then."""

LOOK_SECONDS = 0.02
END_SECONDS = 120
"""How long the end of a replay waits for what is still to be learned."""

Purchase = tuple[str, str, datetime]
"""User, item, time."""

Morning = Callable[[], Ranker]
"""Loads the version of a morning."""

_Row = tuple[str, str, int, dict[str, float | None]]
"""Day, user, commit, and each of :data:`METRICS` of each of :data:`SIDES`, by :func:`_column`."""


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
    nightly: bool = False,
    renewed: bool = False,
    seed: int = 0,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Replays the days that the served version was evaluated on, which its weights have not seen.

    No side knows what was done on a later day: the frozen version has these weights and what was known before the first of
    the days. Tables of items, users and shops are as they are, whatever the day.

    Args:
        store: Where that version lies; nothing is written there.
        name: Of the recommender.
        speed: So many times faster than it was; where the machine cannot do that, as fast as it can.
        purchases: How many at most, from the first on.
        period_seconds: Between two commits at least.
        nightly: Trains a version for each of the days, on what was known by then.
        renewed: Renews the frozen version for each of the days, with what was known by then.
        seed: Of the intervals.
        say: Told what is being done.

    Returns:
        As :func:`replayed`, and which version it was of.

    Raises:
        NotFound: nothing serves, or the run that made the version is gone.
        TooFewEvents: before one of the days there was too little to train on.
    """
    ranker = Ranker.load(packaged_ranker(store, name))
    events, first = later_purchases(store, ranker, name, purchases)
    bought = [
        (user, item, time_.replace(tzinfo=UTC))
        for user, item, time_ in zip(events["user"], events["item"], events["time"], strict=True)
    ]
    if not bought:
        raise NotFound(f"Nothing was bought in the days that {ranker.version} of {name!r} was evaluated on.")
    say(f"{len(bought)} purchases since {EPOCH + timedelta(days=first)}, {speed:g} times as fast")
    asked: dict[str, Any] = {"speed": speed, "period_seconds": period_seconds, "seed": seed, "say": say}
    with one_thread(), tempfile.TemporaryDirectory(prefix="shoploop-nights-") as folder:
        frozen, made = _made(store, ranker, name, bought, Path(folder), say, nightly=nightly, renewed=renewed)
        mornings = {kind: {day: partial(nights.load, path) for day, path in of.items()} for kind, of in made.items()}
        found = replayed(nights.load(frozen), bought, mornings=mornings, **asked)
    return {"recommender": name, "version": ranker.version} | found


def _made_version(store: Store, name: str, run: Path) -> str | None:
    record = read_record(store, layout.run(name, run.name), run.name)
    return record.version if isinstance(record, Record) else None


def _made(
    store: Store,
    ranker: Ranker,
    name: str,
    bought: Sequence[Purchase],
    folder: Path,
    say: Callable[[str], None],
    *,
    nightly: bool,
    renewed: bool,
) -> tuple[Path, dict[str, dict[date, Path]]]:
    """The version as it was before the first of the days, and of each kind that is wanted one for each of them, of the data
    and by the spec of the run that made the one that serves."""
    run = folder_of(store, name, ranker.version)
    assert run is not None, "its purchases were read"
    record = read_record(store, layout.run(name, run.name), run.name)
    if not isinstance(record, Record):
        raise NotFound(f"The record of run {run.name} of {name!r} cannot be read ({record.why}): run again.")
    data, days = run / "data", sorted({time_.date() for _, _, time_ in bought})
    made: dict[str, dict[date, Path]] = {}
    about: dict[str, Any] = {
        "training": TrainingSpec.model_validate(record.spec.get("spec", {}).get("training", {})),
        "settings": ranker.settings,
    }
    if nightly:
        made["nightly"] = nights.train_nights(data, days, folder, say=say, **about)
    weights_of = load_version(run / "model").weights_of if record.version == ranker.version else None
    made_by = folder_of(store, name, weights_of) if weights_of else None
    if made_by is not None and _made_version(store, name, made_by) == weights_of:
        frozen = nights.first_night(made_by, days[0], folder, data=data, **about)
    else:  # the run's samples, which hold what was known before these days, are gone
        say("a version is trained: the run that trained the one that serves is gone")
        trained = made.get("nightly") or nights.train_nights(data, days[:1], folder, say=say, **about)
        frozen = trained[days[0]]
    if renewed:
        later = nights.renew_nights(data, days[1:], folder, first=frozen, say=say, **about)
        made["renewed"] = {days[0]: frozen} | later
    return frozen, made


def replayed(
    ranker: Ranker,
    bought: Sequence[Purchase],
    *,
    speed: float,
    period_seconds: float = 1.0,
    seed: int = 0,
    learner: LearnerConfig | None = None,
    mornings: Mapping[str, Mapping[date, Morning]] | None = None,
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
        mornings: Of each of :data:`OF_NIGHTS` that is wanted, the version that answers on each day beside ``ranker``, made of
            what came before.
        say: Told what is being done.

    Returns:
        ``recall@10`` and ``ndcg@10`` of visits: ``online``, ``frozen``, their difference and its 95 % interval over users;
        ``nightly`` and ``renewed``, the same of the versions of the mornings (``online`` has learned since the morning,
        ``frozen`` has not) and what the latter have over ``ranker`` (``gained``, of each metric), None without them;
        ``days``, recall@10 day by day with ``visits``, ``commits`` and ``lag_seconds`` (median, from an append until the
        ranker that answers has learned it); ``lag_seconds`` over all (``p50`` and ``p99``), ``commits``, ``learned`` examples
        and their ``loss``,
        ``trips`` of guardrails, ``dead_letters``, and ``behind_seconds`` at the end where the machine was too slow.
    """
    rows: list[_Row] = []
    with tempfile.TemporaryDirectory(prefix="shoploop-replay-") as folder, ExitStack() as stack:
        log = stack.enter_context(SqliteLog(Path(folder) / "log"))

        def side(version: Ranker, name: str, start: int = 0) -> _Side:
            return _Side(version, log, Path(folder) / name, start=start, learner=learner, period_seconds=period_seconds)

        base = stack.enter_context(side(ranker, "base"))
        last_night = stack.enter_context(ExitStack())
        of_night: dict[str, _Side] = {}
        began = time.perf_counter()
        first = bought[0][2] if bought else datetime.now(UTC)
        behind, today = 0.0, date.min
        for number, ((when, user), items) in enumerate(visits(bought)):
            if when.date() != today:
                today, woke = when.date(), time.perf_counter()
                say(f"{today.isoformat()}, commit {base.answering.commit or 0}")
                if mornings:
                    _wait(base.loop, log.end(), base.lags, period_seconds)  # what waits is not to wait for the loading
                    last_night.close()
                    of_night = {
                        kind: last_night.enter_context(
                            side(versions[today](), f"{kind} {today.isoformat()}", start=log.end())
                        )
                        for kind, versions in mornings.items()
                    }
                    began += time.perf_counter() - woke  # nobody shops meanwhile
            due = began + (when - first).total_seconds() / speed
            behind = time.perf_counter() - due
            if behind < 0:
                time.sleep(-behind)
            online, frozen = base.answers(user, when)
            answers = {"online": online, "frozen": frozen}
            for kind, version in of_night.items():
                answers[f"{kind}_online"], answers[kind] = version.answers(user, when)
            rows.append((today.isoformat(), user, online.commit or 0, _measured(answers, items)))
            offset = log.append(list(_entries(number, user, items, online, when)))[-1]
            base.lags.waiting.append((offset, time.perf_counter(), today.isoformat()))
            for each in (base, *of_night.values()):
                each.happened(user, items, when)
        last_night.close()
        say("what is left is learned")
        _wait(base.loop, log.end(), base.lags, period_seconds)
        seconds = time.perf_counter() - began
        base.chain.refresh()
        told = _told(
            rows, base.lags, base.chain, seed, kinds=tuple(mornings or ())
        )  # older commits are read from the folder
    return told | {
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


def _column(metric: str, side: str) -> str:
    return f"{side} {metric}"


def _measured(answers: Mapping[str, Answer], items: list[str]) -> dict[str, float | None]:
    """Of each metric and side how much of what was bought stood in the answer, and how far in front."""
    found: dict[str, float | None] = {_column(metric, side): None for metric in METRICS for side in SIDES}
    codes = {item: code for code, item in enumerate(items)}
    truth_T = np.arange(len(items))
    for side, answer in answers.items():
        ranked_K = np.array([codes.get(placed.item, -1) for placed in answer.items], np.int64)
        found[_column("recall@10", side)] = float((ranked_K >= 0).sum()) / len(items)
        found[_column("ndcg@10", side)] = ndcg(ranked_K, truth_T, K)
    return found


class _Side:
    """A version as it was trained, and what is learned of it meanwhile: learner, updater and who looks what is answered with,
    each in its thread."""

    def __init__(
        self,
        ranker: Ranker,
        log: EventLog,
        folder: Path,
        *,
        start: int,
        learner: LearnerConfig | None,
        period_seconds: float,
    ):
        store = Store(str(folder / "store"))

        def chain() -> Chain:
            return Chain(store, "replay", ranker.version, start=start)

        self.ranker, self.lags = ranker, _Lags()
        self.chain = chain()
        self.loop = OnlineLoop(ranker=ranker, log=log, chain=chain(), start=start, learner=learner)
        self._updater = Updater(chain(), folder / "updates", version=ranker.version)
        self._followings = Followings(ranker, folder / "updates")
        self._recent = Recent()
        self._period_seconds = period_seconds
        self._stop = threading.Event()

    @property
    def answering(self) -> Ranker:
        """With what was learned until now."""
        return self._followings.of(self.ranker)

    def answers(self, user: str, now: datetime) -> tuple[Answer, Answer]:
        """With what was learned, and as it was trained; both know what the user did since."""
        fresh = self._recent.of(user)
        online, frozen = (
            each.recommend(RecommendRequest(user=user, k=K), now=now, fresh=fresh, until=NO_DEADLINE)
            for each in (self.answering, self.ranker)
        )
        return online, frozen

    def happened(self, user: str, items: Sequence[str], when: datetime) -> None:
        for item in items:
            self._recent.add(Kept(source="organic", kind="purchase", user=user, item=item, time=when, received=when))

    def __enter__(self) -> Self:
        self._followings.start()
        self._threads = [
            threading.Thread(target=self._learn, name="learner"),
            threading.Thread(target=lambda: follow(self._updater, until=self._stop.is_set), name="updater"),
            threading.Thread(target=self._look, name="looks"),
        ]
        for thread in self._threads:
            thread.start()
        gc.freeze()  # what is loaded is not looked through for garbage, as in a learner's own process
        return self

    def __exit__(self, *raised: object) -> None:
        gc.unfreeze()
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._followings.stop()

    def _learn(self) -> None:
        self.loop.run(period_seconds=self._period_seconds, until=self._stop.is_set)

    def _look(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            if commit := self.answering.commit:
                if commit > self.chain.head:
                    self.chain.refresh()
                self.lags.passed(self.chain.offset_of(commit), time.perf_counter())


def _wait(loop: OnlineLoop, end: int, lags: _Lags, period_seconds: float) -> None:
    """Until all is learned that can be: what teaches nothing at the end is in no commit."""
    until, quiet = time.perf_counter() + END_SECONDS, time.perf_counter()
    while lags.waiting and time.perf_counter() < until:
        if loop.offset < end:
            quiet = time.perf_counter()
        if time.perf_counter() - quiet > 3 * period_seconds + 1:
            return
        time.sleep(LOOK_SECONDS)


def _mean(column: pl.Series) -> float | None:
    return None if column.null_count() else float(column.to_numpy().mean())


def _told(rows: list[_Row], lags: _Lags, chain: Chain, seed: int, *, kinds: Sequence[str]) -> dict[str, Any]:
    columns = [_column(metric, side) for metric in METRICS for side in SIDES]
    frame = pl.DataFrame(
        [{"day": day, "user": user, "commit": commit, **measured} for day, user, commit, measured in rows],
        schema={"day": pl.String, "user": pl.String, "commit": pl.Int64, **dict.fromkeys(columns, pl.Float64)},
    )
    of_user = frame.group_by("user", maintain_order=True).agg(pl.col(columns).mean())
    bootstrap = Bootstrap(of_user.height, seed=seed)

    def compared(metric: str, better: str, than: str) -> dict[str, Any]:
        better_U, than_U = (of_user[_column(metric, side)].to_numpy() for side in (better, than))
        return {
            "online": float(better_U.mean()),
            "frozen": float(than_U.mean()),
            "difference": float((better_U - than_U).mean()),
            "interval": bootstrap.interval(better_U - than_U),
        }

    def of_nights(kind: str) -> dict[str, Any]:
        gained = {metric: compared(metric, kind, "frozen") for metric in METRICS}
        return {metric: compared(metric, f"{kind}_online", kind) for metric in METRICS} | {
            "gained": {
                metric: {key: found[key] for key in ("difference", "interval")} for metric, found in gained.items()
            }
        }

    seconds: dict[str, list[float]] = {}
    for day, lag in lags.seconds:
        seconds.setdefault(day, []).append(lag)
    days, before = [], 0
    for (day,), visits in frame.group_by("day", maintain_order=True):
        last = max(int(visits["commit"].to_numpy().max()), before)
        days.append({
            "day": day,
            "visits": visits.height,
            **{side: _mean(visits[_column("recall@10", side)]) for side in SIDES},
            "commits": last - before,
            "lag_seconds": float(np.median(seconds[str(day)])) if str(day) in seconds else None,
        })  # fmt: skip
        before = last
    totals = chain.commits[-1].totals if chain.commits else Totals()
    every = [lag for _, lag in lags.seconds]
    return {
        **{metric: compared(metric, "online", "frozen") for metric in METRICS},
        **{kind: of_nights(kind) if kind in kinds else None for kind in OF_NIGHTS},
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
