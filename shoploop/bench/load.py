"""Load from many clients at once, each asking again as soon as it is answered, and what they saw."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil

_METHOD = re.compile(rb'"method": ?"(\w+)"')
"""Read without parsing the whole: the clients share the machine with what they measure."""


@dataclass(kw_only=True)
class Load:
    """What the clients of one load saw."""

    seconds: list[float] = field(default_factory=list)
    """Of each request answered with 200, from sending it to having read the answer."""

    refused: int = 0
    """503: past what the service can do."""

    failures: list[str] = field(default_factory=list)
    """Other answers than 200, and connections that broke."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    """The first answer to each different request, by its ``user``."""

    methods: Counter[str] = field(default_factory=Counter)
    """Answers with 200 by the ``method`` that they say gave them."""

    wall_seconds: float = 0.0

    def milliseconds(self, share: float) -> float:
        """This quantile of the latency."""
        return round(float(np.quantile(self.seconds, share)) * 1000, 3) if self.seconds else float("nan")

    def within(self, milliseconds: float) -> float:
        """The share of what was answered with 200 that took no longer."""
        return round(float(np.mean(np.array(self.seconds) <= milliseconds / 1000)), 4) if self.seconds else float("nan")

    @property
    def per_second(self) -> float:
        """Requests answered with 200 a second."""
        return round(len(self.seconds) / max(self.wall_seconds, 1e-9), 1)


def ask(url: str, asked: Sequence[dict[str, Any]], *, clients: int, requests: int) -> Load:
    """Posts ``asked`` in turn, over and over, from so many clients with a connection each.

    Args:
        url: That takes them as JSON.
        asked: Bodies; each has a ``user``.
        clients: That ask at a time.
        requests: In all.
    """
    return asyncio.run(_ask(url, asked, clients, requests))


async def _ask(url: str, asked: Sequence[dict[str, Any]], clients: int, requests: int) -> Load:
    import aiohttp  # comes with BentoML; several times as fast as httpx, so that the service is what is measured

    load, numbers = Load(), iter(range(requests))
    bodies = [(str(body["user"]), json.dumps(body).encode()) for body in asked]
    connector, headers = aiohttp.TCPConnector(limit=clients), {"content-type": "application/json"}
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:

        async def client() -> None:
            for number in numbers:
                user, body = bodies[number % len(bodies)]
                began = time.perf_counter()
                try:
                    async with session.post(url, data=body) as response:
                        content = await response.read()
                except (aiohttp.ClientError, TimeoutError) as error:
                    load.failures.append(f"{user}: {type(error).__name__}: {error}")
                    continue
                if response.status == 200:
                    load.seconds.append(time.perf_counter() - began)
                    load.bodies.setdefault(user, content)
                    if said := _METHOD.search(content):
                        load.methods[said[1].decode()] += 1
                elif response.status == 503:
                    load.refused += 1
                else:
                    load.failures.append(f"{user}: {response.status} {content[:200].decode(errors='replace')}")

        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        load.wall_seconds = time.perf_counter() - started
    return load


@contextmanager
def cores_apart(service: psutil.Process) -> Iterator[bool]:
    """The service and its children on the first core, this process on the others; False where that cannot be."""
    own = psutil.Process()
    cores = own.cpu_affinity() if hasattr(own, "cpu_affinity") else []  # macOS has none
    if len(cores) < 2:
        yield False
        return
    for process in (service, *service.children(recursive=True)):
        for thread in process.threads():  # affinity is each thread's own
            psutil.Process(thread.id).cpu_affinity(cores[:1])
    own.cpu_affinity(cores[1:])
    try:
        yield True
    finally:
        own.cpu_affinity(cores)
