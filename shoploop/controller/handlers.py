"""Kopf entry points: what a watch tells goes into the cache, and its Recommender onto the list of those to look at.

Kopf lists and watches; it keeps no state in the objects, neither annotations nor finalizers. Its indices are used for
one thing: no event is handled before everything of every kind was listed, so no decision is made on half a world.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import kopf

from shoploop.controller.audit import Audit
from shoploop.controller.cache import Cache
from shoploop.controller.decide.kinds import WATCHED, Kind, selector
from shoploop.controller.decide.settings import Settings
from shoploop.controller.health import BEAT_SECONDS, Pulse
from shoploop.controller.worker import Worker


def registry(cache: Cache, worker: Worker, audit: Audit, pulse: Pulse) -> kopf.OperatorRegistry:
    """Everything that kopf calls."""
    handlers = kopf.OperatorRegistry()
    for kind in WATCHED:
        place = (kind.group, kind.version, kind.plural)
        kopf.index(*place, id=f"seen_{kind.plural}", registry=handlers)(_remember(kind, cache))
        kopf.on.event(*place, id=f"told_{kind.plural}", registry=handlers)(_tell(kind, cache, worker))

    kopf.on.login(registry=handlers)(kopf.login_via_client)
    beats: list[asyncio.Task[None]] = []

    @kopf.on.startup(registry=handlers)
    async def begin(**_: Any) -> None:
        worker.start()
        audit.start()
        beats.append(asyncio.create_task(_beat(pulse)))

    @kopf.on.cleanup(registry=handlers)
    async def end(**_: Any) -> None:
        audit.stop()
        await asyncio.to_thread(worker.stop)
        for beat in beats:
            beat.cancel()

    return handlers


def configured(settings: Settings) -> kopf.OperatorSettings:
    """Kopf's settings: one operator, no state in objects, watches that see only what is ours."""
    kopf_settings = kopf.OperatorSettings()
    kopf_settings.peering.standalone = True
    kopf_settings.posting.enabled = False
    kopf_settings.scanning.disabled = True
    for kind in WATCHED:
        if selector(kind):
            place = kopf_selector(kind)
            kopf_settings.watching.label_selectors[place] = selector(kind)
    return kopf_settings


def kopf_selector(kind: Kind) -> tuple[str, str, str]:
    return (kind.group, kind.version, kind.plural)


def _remember(kind: Kind, cache: Cache) -> Callable[..., None]:
    def remember(body: kopf.Body, **_: Any) -> None:
        cache.put(kind, _raw(body))

    return remember


def _tell(kind: Kind, cache: Cache, worker: Worker) -> Callable[..., Any]:
    async def tell(type: str | None, body: kopf.Body, **_: Any) -> None:
        live = _raw(body)
        if type == "DELETED":
            for key in cache.remove(kind, live["metadata"]["namespace"], live["metadata"]["name"]):
                worker.pending.add(key)
            return
        owner = cache.put(kind, live)
        if owner is not None:
            worker.pending.add(owner)

    return tell


def _raw(body: kopf.Body) -> dict[str, Any]:
    """The object as the API server wrote it."""
    raw: dict[str, Any] = dict(body)
    return raw


async def _beat(pulse: Pulse) -> None:
    while True:
        pulse.beat()
        await asyncio.sleep(BEAT_SECONDS)
