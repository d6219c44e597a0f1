"""How fast the real service answers one client, whether it ever fails, and whether its scores are the offline ones."""

import json
import os
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from shoploop.errors import NotFound
from shoploop.packaging.local_service import RunningService, free_port, running, serving_version
from shoploop.runs import folder_of
from shoploop.store import Store

USERS = 1000
COMPARED = 100
WARM_UP = 100
"""Requests before the first that counts."""

K = 10
TOLERANCE = 1e-4
"""Of a score. Batches of another size round differently."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one client saw."""

    seconds: list[float]
    failures: list[str]
    answers: dict[str, dict[str, Any]]
    """Each user's first."""

    wall_seconds: float


def run(store_uri: str, name: str, seed: int = 0, requests: int = 10_000) -> dict[str, Any]:
    """Starts the promoted version as ``shoploop serve`` does and asks it, one request after another on one connection.

    Args:
        store_uri: Where the recommender's versions and runs lie.
        name: Of the recommender.
        seed: Of the choice of 1,000 users and their order.
        requests: How many.

    Returns:
        ``milliseconds`` (p50, p95, p99, mean, max), ``cpu_milliseconds_per_request`` of the service, ``failures``,
        ``methods`` (how many answers each gave), ``offline``
        (how many of 100 users' answers equal offline scores, the largest difference), ``rss_bytes`` of the service's
        processes together, ``start_seconds``.

    Raises:
        NotFound: nothing is promoted, or the run that made the version is not on this machine.
    """
    store = Store(store_uri)
    version = serving_version(store, name)
    made_by = folder_of(store, name, version)
    if made_by is None:
        raise NotFound(f"No run of {name!r} has its tables on this machine. Measure where it was run.")
    users = _users(made_by, seed)
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log, running(store, name, port=free_port(), version=version, log=log) as service:
        started = time.perf_counter() - began
        before = _cpu_seconds(service)
        measured = _ask(service.url, users, requests)
        cpu_seconds = _cpu_seconds(service) - before
        rss = sum(process.memory_info().rss for process in _processes(service))
    milliseconds = np.array(measured.seconds) * 1000
    return {
        "recommender": name,
        "version": version,
        "requests": requests,
        "users": len(users),
        "k": K,
        "milliseconds": {
            "p50": round(float(np.quantile(milliseconds, 0.5)), 3),
            "p95": round(float(np.quantile(milliseconds, 0.95)), 3),
            "p99": round(float(np.quantile(milliseconds, 0.99)), 3),
            "mean": round(float(milliseconds.mean()), 3),
            "max": round(float(milliseconds.max()), 3),
        },
        "requests_per_second": round(requests / measured.wall_seconds, 1),
        "cpu_milliseconds_per_request": round(cpu_seconds / (requests + WARM_UP) * 1000, 3),
        "failures": len(measured.failures),
        "first_failures": measured.failures[:5],
        "methods": dict(Counter(answer["method"] for answer in measured.answers.values())),
        "offline": compare_offline(made_by, measured.answers),
        "rss_bytes": rss,
        "start_seconds": round(started, 2),
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _ask(url: str, users: list[str], requests: int) -> Measured:
    seconds, failures = [], []
    answers: dict[str, dict[str, Any]] = {}
    with httpx.Client(base_url=url, timeout=30) as client:
        for number in range(WARM_UP):
            client.post("/recommend", json={"user": users[number % len(users)], "k": K})
        began = time.perf_counter()
        for number in range(requests):
            user = users[number % len(users)]
            asked = time.perf_counter()
            try:
                response = client.post("/recommend", json={"user": user, "k": K})
                answer = response.json()
            except (httpx.HTTPError, ValueError) as error:
                failures.append(f"{user}: {type(error).__name__}: {error}")
                continue
            finally:
                seconds.append(time.perf_counter() - asked)
            if response.status_code != 200 or not answer["items"]:
                failures.append(f"{user}: {response.status_code} {response.text[:200]}")
            else:
                answers.setdefault(user, answer)
        return Measured(seconds=seconds, failures=failures, answers=answers, wall_seconds=time.perf_counter() - began)


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
    from shoploop.features.shop import ShopStatistics
    from shoploop.features.user import user_rows, user_stats
    from shoploop.samples.sample_set import Request, Sources, assemble
    from shoploop.samples.step import read_log
    from shoploop.versions.artifact import load_version
    from shoploop.versions.trained import TrainedModel

    trained = TrainedModel.of_version(load_version(folder / "model"))
    log = read_log(folder / "data", trained.vocabulary)
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
    )
    requests = [Request(user=codes[user], day=_day(answers[user]["as_of"])) for user in chosen]
    rows = user_rows(user_stats(log), chosen, [request.day for request in requests])
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


def _users(folder: Path, seed: int) -> list[str]:
    import polars as pl

    known = pl.read_parquet(folder / "data" / "interactions.parquet", columns=["user"])["user"].unique().sort()
    order = np.random.default_rng(seed).permutation(len(known))[:USERS]
    return [str(known[int(position)]) for position in order]


def _processes(service: RunningService) -> list[psutil.Process]:
    parent = psutil.Process(service.process.pid)
    return [parent, *parent.children(recursive=True)]


def _cpu_seconds(service: RunningService) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _processes(service))
