"""Promotions and rollbacks of the real service under load: does a request fail, and how much later is one answered."""

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from shoploop.bench.clients import BACK_SECONDS, Clients
from shoploop.bench.load import cores_apart
from shoploop.bench.serving import K, users_of
from shoploop.errors import NotFound
from shoploop.packaging.archive import pack, unpack
from shoploop.packaging.bento import REPORT, build_bento, publish_bento
from shoploop.packaging.fetch import ranker_folder
from shoploop.packaging.local_service import free_port, running
from shoploop.packaging.local_setup import serving_version
from shoploop.ranking.settings import RankerSettings
from shoploop.runs import folder_of
from shoploop.store import Store, disk
from shoploop.versions import promotions
from shoploop.versions.artifact import load_version, write_version

CLIENTS = 4
BY = "shoploop bench promotions"
EFFECT_SECONDS = 30.0
"""A promotion that takes no effect for so long counts as failed."""

REST_SECONDS = 0.25
"""Between an effect and the next promotion, in which requests are as they always are."""

AROUND_SECONDS = 0.1
"""A request that goes on within so long of an effect is one at a swap."""


@dataclass(frozen=True)
class Answered:
    """One request that got an answer."""

    began: float
    ended: float
    version: str


class _Load(Clients):
    """Clients that ask again as soon as they are answered, until they are told to end."""

    def __init__(self, url: str, users: list[str]):
        super().__init__()
        self.answered: list[Answered] = []
        self.failures: list[str] = []
        self.refused: list[float] = []
        """When one was turned away with 503: past what the service can do."""

        self._url, self._users = url, users

    def version_since(self, moment: float, version: str) -> float | None:
        """When the version first answered a request that began after the moment."""
        for each in reversed(self.answered[-2_000:]):
            if each.began < moment:
                return None
            if each.version == version:
                return min(
                    other.ended
                    for other in self.answered[-2_000:]
                    if other.began >= moment and other.version == version
                )
        return None

    async def _ask(self) -> None:
        import aiohttp

        headers, timeout = {"content-type": "application/json"}, aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:

            async def client(number: int) -> None:
                asked = number
                while not self._stop.is_set():
                    body = json.dumps({"user": self._users[asked % len(self._users)], "k": K}).encode()
                    asked += CLIENTS
                    began = time.perf_counter()
                    try:
                        async with session.post(self._url, data=body) as response:
                            content = await response.read()
                            if response.status == 503:
                                self.refused.append(began)
                                await asyncio.sleep(BACK_SECONDS)
                                continue
                            if response.status != 200:
                                self.failures.append(f"{response.status} {content[:200].decode(errors='replace')}")
                                continue
                    except (aiohttp.ClientError, TimeoutError) as error:
                        self.failures.append(f"{type(error).__name__}: {error}")
                        continue
                    self.answered.append(Answered(began, time.perf_counter(), json.loads(content)["version"]))

            await asyncio.gather(*(client(number) for number in range(CLIENTS)))


def run(
    store: Store,
    name: str,
    *,
    count: int = 1000,
    seed: int = 0,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Serves the promoted version from a store of this benchmark's own, beside one of the same weights under another id, and
    promotes the one and rolls back to the other in turn while four clients ask.

    Args:
        store: Where the recommender's versions and runs lie.
        name: Of the recommender.
        count: Promotions and rollbacks together.
        seed: Of the choice of users.
        say: Told what begins.

    Returns:
        ``promotions``, rollbacks among them, and ``rollbacks``; ``failures``, requests that got no answer, and
        ``without_effect``; ``refused`` with 503, past what the service can do, and how many of them ``refused_at_swap``,
        beside ``share_at_swap`` of all requests; ``requests``;
        ``effect_seconds``: p50, p99 and max from a promotion to the first request with the new version; ``pause_p99_ms``: how
        much longer the slowest 1 % of requests at a swap took than the slowest 1 % of the others; both as ``at_swap_p99_ms``
        and ``else_p99_ms``; ``first_effect_seconds``, with the loading of a version that was never in memory.

    Raises:
        NotFound: nothing is promoted, or the run that made the version is not on this machine.
    """
    version = serving_version(store, name)
    made_by = folder_of(store, name, version)
    if made_by is None:
        raise NotFound(f"No run of {name!r} has its tables on this machine. Measure where it was run.")
    users = users_of(made_by, seed)
    with tempfile.TemporaryDirectory(prefix="shoploop-promotions-") as work:
        own = Store(str(Path(work, "store")))
        say("packaging two versions")
        one, other = _two_versions(own, name, made_by, Path(work))
        promotions.promote(own, name, one, reason="first", by=BY)
        with (
            tempfile.TemporaryFile() as log,
            running(own, name, port=free_port(), log=log) as service,
            cores_apart(psutil.Process(service.process.pid)) as apart,
            _Load(f"{service.url}/recommend", users) as load,
        ):
            time.sleep(2.0)
            effects = _exchange(own, name, other, load, count, say)
    took = [effect - moment for moment, effect in effects if effect is not None]
    swaps = [effect for _, effect in effects if effect is not None]
    at_swap, elsewhere = _latencies(load.answered, swaps)
    return {
        "recommender": name,
        "promotions": len(effects),
        "rollbacks": len(effects) // 2,
        "failures": len(load.failures),
        "first_failures": load.failures[:5],
        "refused": len(load.refused),
        "refused_at_swap": _at_moments([(began, began) for began in load.refused], swaps).count(True),
        "share_at_swap": round(len(at_swap) / max(len(load.answered), 1), 3),
        "without_effect": sum(effect is None for _, effect in effects),
        "requests": len(load.answered),
        "clients": CLIENTS,
        "first_effect_seconds": round(took[0], 3) if took else None,
        "effect_seconds": {"p50": _at(took, 0.5), "p99": _at(took, 0.99), "max": _at(took, 1.0)},
        "pause_p99_ms": round(max(_at(at_swap, 0.99) - _at(elsewhere, 0.99), 0.0) * 1000, 3),
        "at_swap_p99_ms": round(_at(at_swap, 0.99) * 1000, 3),
        "else_p99_ms": round(_at(elsewhere, 0.99) * 1000, 3),
        "at_swap_p50_ms": round(_at(at_swap, 0.5) * 1000, 3),
        "else_p50_ms": round(_at(elsewhere, 0.5) * 1000, 3),
        "cores": os.cpu_count(),
        "cores_apart": apart,
        "load_average": [round(each, 2) for each in os.getloadavg()],
    }


def _exchange(
    store: Store, name: str, other: str, load: _Load, count: int, say: Callable[[str], None]
) -> list[tuple[float, float | None]]:
    """When each promotion was written, and when it took effect."""
    found: list[tuple[float, float | None]] = []
    for number in range(count):
        if number % 2:
            promotion = promotions.rollback(store, name, by=BY)
        else:
            promotion = promotions.promote(store, name, other, reason=f"number {number}", by=BY)
        moment = time.perf_counter()
        effect = None
        while effect is None and time.perf_counter() < moment + EFFECT_SECONDS:
            time.sleep(0.01)
            effect = load.version_since(moment, promotion.version)
        found.append((moment, effect))
        time.sleep(REST_SECONDS)
        if (number + 1) % 100 == 0:
            say(f"{number + 1} promotions and rollbacks, {len(load.failures)} failures")
    return found


def _two_versions(store: Store, name: str, made_by: Path, work: Path) -> tuple[str, str]:
    """The run's version and one of the same weights, both packaged by the code that is here."""
    model = load_version(made_by / "model")
    twin = work / "twin"
    write_version(
        twin,
        tensors=model.tensors,
        config=model.config,
        contract=model.contract,
        items=model.items,
        lineage=model.lineage | {"parent": model.id},
        metrics=model.manifest["metrics"],
        extra_files=model.extra_files,
    )
    first = work / "first"
    report = build_bento(data=made_by / "data", features=made_by / "features", model=made_by / "model", out=first)
    found = [promotions.publish_version(store, name, folder) for folder in (made_by / "model", twin)]
    publish_bento(store, name, found[0], first)
    publish_bento(store, name, found[1], _repacked(first / report["archive"], report, twin, work / "second"))
    return found[0], found[1]


def _repacked(archive: Path, report: dict[str, Any], model: Path, out: Path) -> Path:
    """The same Bento with another model; built anew it would have the same bytes but for its name, a minute later."""
    unpacked = out / "unpacked"
    unpack(archive, unpacked, sha256=str(report["sha256"]))
    ranker = ranker_folder(unpacked)
    version = load_version(model).id
    shutil.rmtree(ranker / "model")
    shutil.copytree(model, ranker / "model")
    replace(RankerSettings.read(ranker), version=version).write(ranker)
    packed = out / f"{version}.bento"
    pack(unpacked, packed)
    told = report | {"version": version, "archive": packed.name, "sha256": disk.digest_of(packed)}
    disk.write_json(out / REPORT, told | {"bytes": packed.stat().st_size})
    return out


def _latencies(answered: list[Answered], effects: list[float]) -> tuple[list[float], list[float]]:
    """Seconds of requests at a swap, and of the others."""
    at_swap: list[float] = []
    elsewhere: list[float] = []
    near = _at_moments([(each.began, each.ended) for each in answered], effects)
    for each, is_near in zip(answered, near, strict=True):
        (at_swap if is_near else elsewhere).append(each.ended - each.began)
    return at_swap, elsewhere


def _at_moments(spans: list[tuple[float, float]], effects: list[float]) -> list[bool]:
    """Whether each span of time is near one of the effects."""
    moments = np.array(sorted(effects))
    found = []
    for began, ended in spans:
        low, high = np.searchsorted(moments, [began - AROUND_SECONDS, ended + AROUND_SECONDS])
        found.append(bool(high > low))
    return found


def _at(seconds: list[float], share: float) -> float:
    return round(float(np.quantile(seconds, share)), 6) if seconds else float("nan")
