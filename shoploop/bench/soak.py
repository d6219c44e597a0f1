"""The service under load for a long time: does it fail, and does what it holds, and what it writes, grow?

What runs is ``shoploop serve``, with all the processes that it starts, on a store of this benchmark's own. Its event log
holds as much before as what is bounded keeps at most: what a shop's first hours fill is no leak, and would hide one.
"""

import asyncio
import base64
import json
import os
import sys
import tempfile
import time
import uuid
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from shoploop.api.online import EventLogSpec
from shoploop.bench.clients import BACK_SECONDS, Clients
from shoploop.bench.resources import WARM_UP_SHARE, Trend, Watch
from shoploop.bench.serving import items_of, users_of
from shoploop.compute import lifetime
from shoploop.errors import NotFound
from shoploop.events.fresh import EVENTS_A_USER
from shoploop.events.keyring import Keyring
from shoploop.events.log import Entry, EventLog
from shoploop.events.messages import Kept, Shown, to_json
from shoploop.events.opening import open_log
from shoploop.online.chain import Chain
from shoploop.online.joiner import CLOSED, SHOWN_AT_ONCE
from shoploop.packaging.local_service import free_port, service_process
from shoploop.packaging.local_setup import home_of_events, serving_version
from shoploop.predictor.feedback_settings import SERVER_KEYS
from shoploop.runs import folder_of
from shoploop.store import Store, layout
from shoploop.versions import promotions

K = 10
BY = "shoploop bench soak"
BUYS = 0.2
"""How many of those who click buy, too."""

NEXT = 0.35
"""The chance that of a list an item is clicked, if none before it was: what a shop's own order would see."""

OTHER_EVERY = 8
"""Answers, after which the other ways to ask are asked once each."""

NOT_COUNTED = ("too_often", "rate_limited")
"""Events that are refused as they should be, where few users have clicked all day."""

BYTES_SHARE_PER_HOUR = 0.1
"""Of the mean of a commit's bytes: a slope that is not above it is flat."""

LAG_SECONDS_PER_HOUR = 1.0
MOST_LAG_SECONDS = 60.0
"""Waited for at the end until what came last is served."""

APPENDED = 1_000
"""Entries at a time."""


class _Load(Clients):
    """Clients that ask, and tell what became of it, until they are told to end."""

    def __init__(self, url: str, key: str, users: list[str], clients: int, seed: int):
        super().__init__()
        self.requests: Counter[str] = Counter()
        """With an answer, by route."""

        self.refused = 0
        """503: past what the service can do."""

        self.events: Counter[str] = Counter()
        """``accepted``, and the codes of what was not."""

        self.failures: list[str] = []
        self.seconds: list[float] = []
        """Of each answer of ``/recommend``."""

        self.served: dict[int, float] = {}
        """When each commit was first in an answer, in seconds since 1970."""

        self._url, self._key, self._users, self._clients, self._seed = url, key, users, clients, seed

    async def _ask(self) -> None:
        import aiohttp

        headers = {"content-type": "application/json", "authorization": f"Bearer {self._key}"}
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:

            async def post(route: str, body: dict[str, Any]) -> dict[str, Any] | None:
                try:
                    async with session.post(f"{self._url}/{route}", data=json.dumps(body).encode()) as response:
                        content, status = await response.read(), response.status
                except (aiohttp.ClientError, TimeoutError) as error:
                    self.failures.append(f"/{route}: {type(error).__name__}: {error}")
                    return None
                if status == 503:
                    self.refused += 1
                    await asyncio.sleep(BACK_SECONDS)
                    return None
                answer: dict[str, Any] = json.loads(content)
                if route == "events":
                    self.events.update(accepted=answer.get("accepted", 0))
                    self.events.update(each["code"] for each in answer.get("refused", ()))
                if status not in (200, 202) and answer.get("code") not in NOT_COUNTED:
                    self.failures.append(f"/{route}: {status} {content[:200].decode(errors='replace')}")
                    return None
                self.requests[route] += 1
                return answer

            async def client(number: int) -> None:
                random = np.random.default_rng([self._seed, number])
                while not self._stop.is_set():
                    user = self._users[int(random.integers(len(self._users)))]
                    began = time.perf_counter()
                    answer = await post("recommend", {"user": user, "k": K})
                    if answer is None or not answer["items"]:
                        continue
                    self.seconds.append(time.perf_counter() - began)
                    if answer["commit"]:
                        self.served.setdefault(answer["commit"], time.time())
                    shown = [item["item"] for item in answer["items"]]
                    item = shown[(int(random.geometric(NEXT)) - 1) % len(shown)]
                    kinds = ("click", "purchase") if random.random() < BUYS else ("click",)
                    about = {"user": user, "item": item, "impression": answer["impression"]}
                    await post("events", {"events": [{"id": uuid.uuid4().hex, "kind": kind} | about for kind in kinds]})
                    if int(random.integers(OTHER_EVERY)) == 0:
                        titles = [str(each["fields"].get("title") or each["item"]) for each in answer["items"]]
                        await post("search", {"query": titles[0][:100], "user": user, "k": K})
                        await post("rank", {"user": user, "items": shown[::-1]})
                        await post("explain", {"request_id": answer["request_id"], "item": item})

            await asyncio.gather(*(client(number) for number in range(self._clients)))


def run(
    store: Store,
    name: str,
    *,
    minutes: float = 20.0,
    online: bool = False,
    aged: bool = True,
    clients: int = 2,
    seed: int = 0,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Serves the promoted version, and asks it, clicks and buys, for so many minutes.

    Args:
        store: Where the recommender's versions and runs lie; nothing is written there.
        name: Of the recommender.
        minutes: Of load.
        online: Learn from what is clicked and bought, and serve what was learned.
        aged: Begin as after weeks: of each user the log holds as many events as are kept, and with ``online`` as many answers
            as may wait for what becomes of them. Without it memory grows until it does, for hours.
        clients: That ask at a time, each again as soon as it is answered.
        seed: Of who asks, and what is clicked and bought.
        say: Told what begins, and each minute how far it is.

    Returns:
        ``requests`` and ``requests_by`` route, ``failures``, ``refused`` (503), ``events`` accepted and by the codes of those
        that were not; ``recommend_ms``: p50 and p99, of the first half and of the second; ``processes``, by what they do:
        see :meth:`shoploop.bench.resources.Watch.told`; ``log``: records. With ``online``: ``commits``: ``count``,
        ``bytes_p50`` of those that hold what has changed, ``bytes_slope_per_hour`` with its ``interval`` and ``verdict``,
        ``bytes_full_p50`` of the others, and ``frozen``, why nothing was learned at the end; ``lag_seconds`` from a record's
        being in the log to the first answer that has learned it: p50, p99, max, and its slope. ``flat``: whether all of the
        verdicts are, no process ended, and no request failed.

    Raises:
        NotFound: nothing is promoted, or the run that made the version is not on this machine.
    """
    version = serving_version(store, name)
    made_by = folder_of(store, name, version)
    if made_by is None:
        raise NotFound(f"No run of {name!r} has its tables on this machine. Measure where it was run.")
    users = users_of(made_by, seed)
    random = np.random.default_rng([seed, len(users)])
    with tempfile.TemporaryDirectory(prefix="shoploop-soak-") as work, tempfile.TemporaryFile() as printed:
        own = _own_store(store, name, version, Path(work))
        if aged:
            with _log_of(own, name) as log:
                if online:
                    say(f"{SHOWN_AT_ONCE} answers of the last days")
                    _append(log, _answers(version, users, items_of(made_by), random))
                say(f"{EVENTS_A_USER} events of each of {len(users)} users")
                _append(log, _views(users, items_of(made_by), random))
        port = free_port()
        command = [sys.executable, "-m", "shoploop", "serve", name, "--store", own.uri, "--port", str(port)]
        say(f"starting {name} {version}{' and what learns' if online else ''}")
        with service_process(
            [*command, *(["--online"] if online else [])],
            folder=Path(work), url=f"http://localhost:{port}", what=f"{name} {version}", own={}, log=printed,
        ) as process, _log_of(own, name) as log:  # fmt: skip
            ends: list[tuple[float, int]] = []
            chain = Chain(own, name, version)
            key = base64.b64encode(Keyring(_keys(own, name) / SERVER_KEYS).signing.secret).decode()
            with (
                _Load(f"http://localhost:{port}", key, users, clients, seed) as load,
                Watch(lambda: _named(process.pid)) as watch,
            ):
                _wait(minutes, log, ends, load, say)
                if online:
                    _wait_for_lessons(chain, ends[-1][1], load)
            records = log.end()
        chain.refresh()
        found: dict[str, Any] = {
            "recommender": name,
            "version": version,
            "online": online,
            "aged": aged,
            "minutes": minutes,
            "warm_up_minutes": round(WARM_UP_SHARE * minutes, 2),
            "clients": clients,
            "users": len(users),
            "requests": load.requests.total(),
            "requests_by": dict(load.requests.most_common()),
            "failures": len(load.failures),
            "first_failures": load.failures[:5],
            "refused": load.refused,
            "events": dict(load.events.most_common()),
            "recommend_ms": _halves(load.seconds),
            "processes": watch.told(),
            "log": {"records": records},
        }
        if online:
            found |= {
                "commits": _commits(own, layout.online(name, version), chain),
                "lag_seconds": _lag(chain, ends, load.served),
            }
    verdicts = [verdict for each in found["processes"].values() for verdict in each["verdicts"].values()]
    verdicts += [found[part]["verdict"] for part in ("commits", "lag_seconds") if part in found]
    restarts = sum(each["restarts"] for each in found["processes"].values())
    return found | {
        "restarts": restarts,
        "flat": bool(verdicts) and set(verdicts) == {"flat"} and not restarts and not load.failures,
        "cores": os.cpu_count(),
        "load_average": [round(each, 2) for each in os.getloadavg()],
    }


def _wait(
    minutes: float, log: EventLog, ends: list[tuple[float, int]], load: _Load, say: Callable[[str], None]
) -> None:
    """Until the time is over; notes each second where the log ended."""
    began = told = time.monotonic()
    say(f"{minutes:g} minutes of load")
    while time.monotonic() < began + 60 * minutes:
        time.sleep(min(1.0, 6 * minutes))
        ends.append((time.time(), log.end()))
        if time.monotonic() >= told + 60:
            told = time.monotonic()
            minute = (told - began) / 60
            say(f"minute {minute:.0f}: {load.requests.total()} requests, {len(load.failures)} failures")


def _wait_for_lessons(chain: Chain, end: int, load: _Load) -> None:
    """Until an answer's model has learned all up to a record: else the longest of the last lags would be left out."""
    deadline = time.monotonic() + MOST_LAG_SECONDS
    while time.monotonic() < deadline:
        served = max(load.served, default=0)
        chain.refresh()
        if chain.offset_of(served) >= end or chain.frozen is not None:
            return
        time.sleep(0.2)


def _own_store(store: Store, name: str, version: str, work: Path) -> Store:
    """A store in which that version serves: its chain, its events and their keys are nobody else's."""
    own = Store(str(work / "store"))
    store.get_folder(layout.version(name, version), work / "store" / layout.version(name, version))
    promotions.promote(own, name, version, reason="to be measured", by=BY)
    return own


def _append(log: EventLog, entries: Iterable[Entry]) -> None:
    left = iter(entries)
    while some := list(islice(left, APPENDED)):
        log.append(some)


def _views(users: list[str], items: list[str], random: np.random.Generator) -> Iterator[Entry]:
    """As many of each user as are kept, over the last day; of users in turn, as they come."""
    now = datetime.now(UTC)
    count = EVENTS_A_USER * len(users)
    for number, code in enumerate(random.integers(len(items), size=count).tolist()):
        time_ = now - timedelta(days=1) * (1 - number / count)
        did = Kept(
            source="organic", kind="view", user=users[number % len(users)], item=items[code], time=time_, received=time_
        )
        yield Entry(f"view {number}", to_json(did))


def _answers(version: str, users: list[str], items: list[str], random: np.random.Generator) -> Iterator[Entry]:
    """As many as may wait for what becomes of them, in the days in which they wait."""
    now, wait = datetime.now(UTC), CLOSED - timedelta(hours=2)  # the benchmark's own time goes by, too
    for number in range(SHOWN_AT_ONCE):
        time_ = now - wait * (1 - number / SHOWN_AT_ONCE)
        shown = Shown(
            request_id=uuid.UUID(int=number).hex, user=users[number % len(users)], version=version, surface="items",
            method="fused", as_of=f"{time_:%Y-%m-%d}", time=time_,
            items=[items[code] for code in random.integers(len(items), size=K).tolist()],
            scores=[0.0] * K, propensities=[1.0] * K,
        )  # fmt: skip
        yield Entry(f"answer {number}", to_json(shown))


def _keys(store: Store, name: str) -> Path:
    return home_of_events(store) / layout.event_keys(name)


def _log_of(store: Store, name: str) -> EventLog:
    return open_log(EventLogSpec(), name=name, folder=home_of_events(store) / layout.events(name))


def _named(pid: int) -> dict[str, psutil.Process]:
    """What ``shoploop serve`` started, and itself, by what each does; but not who only waits for its child's end."""
    found: dict[str, psutil.Process] = {}
    for process in lifetime.descendants(pid):
        try:
            words = process.cmdline()
        except psutil.Error:  # it has just ended
            continue
        if not words or lifetime.__file__ in words:
            continue
        found.setdefault(_role(words), process)
    return found


def _role(words: list[str]) -> str:
    if words[1:3] == ["-m", "shoploop"]:
        return {"learn": "learner", "follow": "updater"}.get(words[4], words[3])
    line = " ".join(words[1:])
    if "bentoml" not in line:
        return Path(words[0]).name
    return "predictor" if "worker" in line else "bentoml"


def _halves(seconds: list[float]) -> dict[str, list[float]]:
    halves = [part for part in np.array_split(np.array(seconds), 2) if len(part)]
    return {f"p{q}": [round(float(np.quantile(part, q / 100)) * 1000, 3) for part in halves] for q in (50, 99)}


def _told(seconds: list[float], values: list[float], at_most: float) -> dict[str, Any]:
    """A trend after the warm-up, in the words of the answer."""
    first = seconds[0] + WARM_UP_SHARE * (seconds[-1] - seconds[0]) if seconds else 0.0
    kept = [(second, value) for second, value in zip(seconds, values, strict=True) if second >= first]
    trend = Trend.of([second for second, _ in kept], [value for _, value in kept], at_most=at_most)
    if trend is None:
        return {"verdict": "unclear"}
    interval = [round(end, 3) for end in trend.interval]
    return {"slope_per_hour": round(trend.slope, 3), "interval": interval, "verdict": trend.verdict}


def _commits(store: Store, key: str, chain: Chain) -> dict[str, Any]:
    """Bytes of each commit, its entry and what that names."""
    sizes = store.sizes(key)
    seconds: list[float] = []
    written: list[float] = []
    full: list[int] = []
    for commit in chain.commits:
        size = sizes.get(f"commits/{commit.number:012}.json", 0) + sizes.get(f"objects/{commit.digest}", 0)
        if commit.full:
            full.append(size)
        else:
            seconds.append(datetime.fromisoformat(commit.time).timestamp())
            written.append(float(size))
    mean = float(np.mean(written)) if written else 0.0
    trend = _told(seconds, written, BYTES_SHARE_PER_HOUR * mean)
    return {
        "count": chain.head,
        "bytes_p50": float(np.median(written)) if written else None,
        "bytes_slope_per_hour": trend.pop("slope_per_hour", None),
        **trend,
        "bytes_full_p50": float(np.median(full)) if full else None,
        "frozen": chain.frozen.reason if chain.frozen else None,
    }


def _lag(chain: Chain, ends: list[tuple[float, int]], served: dict[int, float]) -> dict[str, Any]:
    """From a moment when a record was in the log until an answer's model had learned all up to it."""
    offsets = [commit.offset for commit in chain.commits]
    numbers = sorted(served)
    moments: list[float] = []
    for number in reversed(numbers):  # a commit that was in no answer was in that of a later one
        moments.append(min([served[number], *moments[-1:]]))
    moments.reverse()
    seconds: list[float] = []
    lags: list[float] = []
    for moment, end in ends:
        place = bisect_left(numbers, bisect_left(offsets, end) + 1)
        if place < len(numbers):
            seconds.append(moment)
            lags.append(max(moments[place] - moment, 0.0))
    quantiles = {f"p{q}": round(float(np.quantile(lags, q / 100)), 3) if lags else None for q in (50, 99)}
    return {**quantiles, "max": round(max(lags), 3) if lags else None, **_told(seconds, lags, LAG_SECONDS_PER_HOUR)}
