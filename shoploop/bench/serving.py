"""How fast the real service answers, beside a bare BentoML service, whether it ever fails, and if its scores are right."""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from shoploop.api.online import EventLogSpec
from shoploop.bench.hello import hello
from shoploop.bench.load import Load, ask, cores_apart
from shoploop.errors import NotFound
from shoploop.packaging.local_service import RunningService, free_port, running
from shoploop.packaging.local_setup import packaged_ranker, serving_version
from shoploop.ranking.settings import RankerSettings
from shoploop.runs import folder_of
from shoploop.store import Store

USERS = 1000
COMPARED = 100
CLIENTS = 32
CROWD = 200
"""More clients than one core can answer with the whole model within the deadline."""

K = 10
TOLERANCE = 1e-4
"""Of a score. Batches of another size round differently."""


def run(
    store_uri: str,
    name: str,
    *,
    seed: int = 0,
    requests: int = 10_000,
    progress: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Starts the promoted version as ``shoploop serve`` does, with a log of events, and asks it; then a bare service.

    First one client asks for each of 1,000 users, whom the service has never seen: nothing is cached. Then 32 clients ask,
    and then 200, who do not wait when they are refused: past what it can do, it must answer in time or refuse.
    The service has the first core, the clients the others. Impressions go to a log of this benchmark's own.

    Args:
        store_uri: Where the recommender's versions and runs lie.
        name: Of the recommender.
        seed: Of the choice of 1,000 users and their order.
        requests: Of the 32 clients together, to each service.
        progress: Told what begins.

    Returns:
        ``recommend`` and ``hello``: ``p50_ms``, ``p95_ms``, ``p99_ms`` of one client; ``throughput`` of 32 clients:
        ``recommend_rps``, ``hello_rps``, ``share`` of the second that the first is, ``failures``, ``refused`` (503: past what
        it can do); ``overload`` of 200 clients: ``deadline_ms``, ``p50_ms`` and ``p99_ms`` of what was answered,
        ``within_deadline``, the share of these that took no longer, ``answered_rps``, ``refused``, ``failures`` and
        ``rungs``, null where all were refused; ``rungs``, the share of one client's answers by how they came about;
        ``equal_to_offline`` and ``offline``: how many of 100 users' answers equal offline scores, the largest difference;
        ``cpu_milliseconds_per_request``, ``rss_bytes`` of the service's processes together, ``start_seconds``,
        ``cores_apart``, ``load_average``.

    Raises:
        NotFound: nothing is promoted, or the run that made the version is not on this machine.
    """
    store = Store(store_uri)
    version = serving_version(store, name)
    made_by = folder_of(store, name, version)
    if made_by is None:
        raise NotFound(f"No run of {name!r} has its tables on this machine. Measure where it was run.")
    deadline = RankerSettings.read(packaged_ranker(store, name, version)).deadline_milliseconds
    asked: list[dict[str, Any]] = [{"user": user, "k": K} for user in users_of(made_by, seed)]
    progress(f"starting {name} {version}")
    began = time.perf_counter()
    with (
        tempfile.TemporaryFile() as log,
        tempfile.TemporaryDirectory() as home,
        running(
            store, name, port=free_port(), version=version, log=log, events=EventLogSpec(), events_home=Path(home)
        ) as service,
    ):
        started = time.perf_counter() - began
        url = f"{service.url}/recommend"
        with cores_apart(psutil.Process(service.process.pid)) as apart:
            before = _cpu_seconds(service)
            progress(f"one client, {len(asked)} users")
            one = ask(url, asked, clients=1, requests=len(asked))
            cpu_seconds = _cpu_seconds(service) - before
            progress(f"{CLIENTS} clients, {requests} requests")
            many = ask(url, asked, clients=CLIENTS, requests=requests)
            progress(f"{CROWD} clients, {requests} requests")
            crowd = ask(url, asked, clients=CROWD, requests=requests)
        rss = sum(process.memory_info().rss for process in _processes(service))
    if not one.bodies:
        raise NotFound(
            f"The service of {name} answered nobody: {one.failures[0]}. Look at what `shoploop serve` prints."
        )
    progress("a bare service")
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory() as folder:
        body = next(iter(one.bodies.values()))
        with hello(Path(folder), body, log) as (bare, process), cores_apart(psutil.Process(process.pid)):
            alone = ask(f"{bare}/recommend", asked, clients=1, requests=len(asked))
            bare_many = ask(f"{bare}/recommend", asked, clients=CLIENTS, requests=requests)
    progress("offline scores")
    answers = {user: json.loads(content) for user, content in one.bodies.items()}
    offline = compare_offline(made_by, answers)
    rungs = Counter(answer["method"] for answer in answers.values())
    return {
        "recommender": name,
        "version": version,
        "users": len(asked),
        "k": K,
        "clients": CLIENTS,
        "requests": requests,
        "recommend": _latency(one),
        "hello": _latency(alone),
        "throughput": {
            "recommend_rps": many.per_second,
            "hello_rps": bare_many.per_second,
            "share": round(many.per_second / max(bare_many.per_second, 1e-9), 3),
            "failures": len(one.failures) + len(many.failures),
            "refused": one.refused + many.refused,
        },
        "overload": {"clients": CROWD, **_overload(crowd, deadline)},
        "first_failures": [*one.failures, *many.failures, *crowd.failures][:5],
        "rungs": _shares(rungs),
        "equal_to_offline": offline["equal"] == offline["compared"] > 0,
        "offline": offline,
        "cpu_milliseconds_per_request": round(cpu_seconds / len(asked) * 1000, 3),
        "rss_bytes": rss,
        "start_seconds": round(started, 2),
        "cores": os.cpu_count(),
        "cores_apart": apart,
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


_RUNG = {"fused": "full"}
"""The full model's answers by the name that people ask for."""


def _shares(methods: Counter[str]) -> dict[str, float]:
    return {_RUNG.get(method, method): round(count / methods.total(), 4) for method, count in methods.items()}


def _overload(load: Load, deadline_milliseconds: float) -> dict[str, Any]:
    return {
        "deadline_ms": deadline_milliseconds,
        "p50_ms": load.milliseconds(0.5) if load.seconds else None,
        "p99_ms": load.milliseconds(0.99) if load.seconds else None,
        "within_deadline": load.within(deadline_milliseconds) if load.seconds else None,
        "answered_rps": load.per_second,
        "refused": load.refused,
        "failures": len(load.failures),
        "rungs": _shares(load.methods),
    }


def _latency(load: Load) -> dict[str, float]:
    return {f"p{percent}_ms": load.milliseconds(percent / 100) for percent in (50, 95, 99)}


def compare_offline(folder: Path, answers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Holds answers against scores of the same requests that are computed from the run's tables, without Feast.

    Args:
        folder: Of the run that made the version, with ``data/``, ``features/`` and ``model/``.
        answers: Of ``/recommend``, by user; the first 100 that the model gave are compared.

    Returns:
        ``compared``, ``equal`` (same items in the same places, scores within the tolerance), ``largest_difference``.
    """
    from shoploop.evaluation.scoring import model_scores
    from shoploop.features.item import ItemStatistics
    from shoploop.features.offers import Offers
    from shoploop.features.shop import ShopStatistics
    from shoploop.features.user import user_rows, user_stats
    from shoploop.samples.sample_set import Request, Sources, assemble
    from shoploop.samples.step import read_log
    from shoploop.versions.artifact import load_version
    from shoploop.versions.trained import TrainedModel

    trained = TrainedModel.of_version(load_version(folder / "model"))
    log = read_log(folder / "data", trained.vocabulary, sessions=trained.sessions)
    codes = {user: code for code, user in enumerate(log.users)}
    chosen = [user for user, answer in answers.items() if answer["method"] in ("fused", "dnn") and user in codes]
    chosen = chosen[:COMPARED]
    # a predictor's statistics of items and shops are those of the day after the data's last, on later days too
    last = int(json.loads((folder / "features" / "features.json").read_bytes())["serving_day"])
    items, shops = ItemStatistics(log).on(last), ShopStatistics(log).rows_on(last)
    sources = Sources(
        log=log,
        contract=trained.contract,
        catalogs=lambda _: trained.catalog,
        items=lambda _: items,
        shops=lambda _: shops,
        offers=Offers.of_features(folder / "features", trained.contract, trained.vocabulary),
    )
    requests = [Request(user=codes[user], day=_day(answers[user]["as_of"])) for user in chosen]
    stats = user_stats(log, visited_shops="visited_shops" in trained.contract.user_stats)
    rows = user_rows(stats, chosen, [request.day for request in requests])
    equal, differences = 0, [0.0]
    for samples in assemble(requests, rows, sources, candidates=trained.candidates):
        scores = model_scores(trained.model, samples)
        for q in range(len(samples)):
            answer = answers[log.users[samples.users_Q[q]]]
            at = samples.rows(q)
            own = dict(zip(samples.items_R[at].tolist(), scores[answer["method"]][at].tolist(), strict=True))
            best = sorted(own.values(), reverse=True)
            served = [(trained.vocabulary.code(item["item"]), item["score"]) for item in answer["items"]]
            off = [abs(own[code] - score) if code in own else np.inf for code, score in served]
            # items of almost equal scores may change places
            off += [abs(score - best[place]) for place, (_, score) in enumerate(served)]
            differences.append(max(off))
            equal += max(off) <= TOLERANCE
    return {
        "compared": len(chosen),
        "equal": equal,
        "largest_difference": float(max(differences)),
        "tolerance": TOLERANCE,
    }


def _day(as_of: str) -> int:
    return (date.fromisoformat(as_of) - date(1970, 1, 1)).days


def users_of(folder: Path, seed: int) -> list[str]:
    import polars as pl

    known = pl.read_parquet(folder / "data" / "interactions.parquet", columns=["user"])["user"].unique().sort()
    order = np.random.default_rng(seed).permutation(len(known))[:USERS]
    return [str(known[int(position)]) for position in order]


def items_of(folder: Path) -> list[str]:
    """Items of the run's log."""
    import polars as pl

    known = pl.read_parquet(folder / "data" / "interactions.parquet", columns=["item"])["item"].unique().sort()
    return [str(item) for item in known]


def _processes(service: RunningService) -> list[psutil.Process]:
    parent = psutil.Process(service.process.pid)
    return [parent, *parent.children(recursive=True)]


def _cpu_seconds(service: RunningService) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _processes(service))
