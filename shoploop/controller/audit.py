"""Compares what the watches told with what the API server says.

A watch can go deaf: its connection stands and nothing comes. And a deletion that happens between two watches is never
told. Both show only by asking. A difference counts once it has outlived a whole period, because the watches are always
a little behind. A kind that a cluster may lack and that was not there at the start has no watch at all: where it has
come meanwhile, the operator ends, and is started again with one.
"""

import logging
import os
import signal
from collections.abc import Callable
from threading import Event, Thread

from shoploop.controller import metrics
from shoploop.controller.cache import Cache, Key
from shoploop.controller.cluster import Cluster, ClusterError
from shoploop.controller.decide.kinds import WATCHED, Kind, selector
from shoploop.controller.decide.settings import Settings
from shoploop.controller.pending import Pending

log = logging.getLogger(__name__)


def end() -> None:
    """Ends this process in good order."""
    os.kill(os.getpid(), signal.SIGTERM)


class Audit:
    def __init__(
        self, settings: Settings, cluster: Cluster, cache: Cache, pending: Pending, *, end: Callable[[], None] = end
    ):
        self._settings = settings
        self._cluster = cluster
        self._cache = cache
        self._pending = pending
        self._end = end
        self._suspects: dict[tuple[Kind, Key], str | None] = {}
        self._absent: frozenset[Kind] | None = None
        """Kinds that the cluster lacked at the start; None before it was asked."""

        self._stop = Event()
        self.deaf: str | None = None
        """The resource whose watch told nothing of a change for a whole period."""

    def start(self) -> None:
        Thread(target=self._run, name="audit", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _run(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            try:
                self.once()
                self._count()
            except ClusterError as error:
                log.info("audit: %s", error)
            except Exception:
                log.exception("audit failed, and is tried again")
            wait = self._settings.audit_seconds

    def once(self) -> None:
        """One comparison of everything that is watched; the first only looks which kinds there are."""
        if self._absent is None:
            self._absent = frozenset(kind for kind in WATCHED if kind.optional and self._there(kind) is None)
            return
        suspects: dict[tuple[Kind, Key], str | None] = {}
        for kind in WATCHED:
            there = self._there(kind)
            if there is None:
                continue
            if kind in self._absent:
                log.warning("audit: the cluster serves %s now; the operator starts again to watch them", kind.plural)
                self._end()
                return
            known = self._cache.known(kind)
            for where in known.keys() | there.keys():
                if known.get(where) == there.get(where):
                    continue
                if (kind, where) in self._suspects and self._suspects[kind, where] == known.get(where):
                    self._settle(kind, where, gone=where not in there)
                else:
                    suspects[kind, where] = known.get(where)
        self._suspects = suspects

    def _there(self, kind: Kind) -> dict[Key, str] | None:
        found: dict[Key, str] = {}
        for namespace in self._settings.namespaces or (None,):
            try:
                found |= self._cluster.versions(kind, namespace, labels=selector(kind))
            except ClusterError as error:
                if error.status == 404 and kind.optional:
                    return None
                raise
        return found

    def _settle(self, kind: Kind, where: Key, *, gone: bool) -> None:
        if gone:
            log.info("audit: %s %s/%s is gone, which no watch told", kind.kind, *where)
            for key in self._cache.remove(kind, *where):
                self._pending.add(key)
            return
        log.error("audit: %s %s/%s changed, which no watch told", kind.kind, *where)
        metrics.DEAF.labels(kind.plural).inc()
        self.deaf = kind.plural

    def _count(self) -> None:
        ready = {"True": 0, "False": 0, "Unknown": 0}
        degraded = 0
        for recommender in self._cache.recommenders():
            conditions = {c["type"]: c["status"] for c in recommender.get("status", {}).get("conditions", [])}
            ready[conditions.get("Ready", "Unknown")] += 1
            degraded += conditions.get("Degraded") == "True"
        for status, count in ready.items():
            metrics.RECOMMENDERS.labels(status).set(count)
        metrics.DEGRADED.set(degraded)
