"""``python -m shoploop.controller``: the operator, until it is told to stop."""

import asyncio
import logging
import time
from threading import BoundedSemaphore

import kopf

from shoploop.compute.answering import serve
from shoploop.controller.audit import Audit
from shoploop.controller.cache import Cache
from shoploop.controller.cluster import Cluster, ClusterError, login
from shoploop.controller.decide.kinds import MODEL_VERSION, RECOMMENDER
from shoploop.controller.decide.settings import Settings
from shoploop.controller.handlers import configured, registry
from shoploop.controller.health import Pulse, health_answer, metrics_answer
from shoploop.controller.helm import Helm
from shoploop.controller.worker import Worker

log = logging.getLogger("shoploop.controller")

TYPES_POLL_SECONDS = 0.5


def wait_for_types(cluster: Cluster, settings: Settings) -> None:
    """Returns once the API server serves the custom resources: kopf looks for them once, when it starts.

    A chart installs definitions and operator together, and a new definition takes a moment.
    """
    warned = False
    for kind in (RECOMMENDER, MODEL_VERSION):
        while True:
            try:
                cluster.versions(kind, settings.namespaces[0] if settings.namespaces else None)
                break
            except ClusterError as error:
                if not warned:
                    log.warning("waiting for the definition of %s: %s", kind.kind, error)
                    warned = True
                time.sleep(TYPES_POLL_SECONDS)


def main() -> None:
    settings = Settings.from_env()
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True
    )
    logging.getLogger("kopf").setLevel(logging.WARNING)
    login()
    cache = Cache()
    helm = Helm(program=settings.helm, chart=settings.chart, slots=BoundedSemaphore(settings.helm_processes))
    cluster = Cluster(connections=settings.workers + 4)
    worker = Worker(settings, cluster, helm, cache)
    audit = Audit(settings, cluster, cache, worker.pending)
    pulse = Pulse(busy=lambda: list(worker.busy_since.values()), deaf=lambda: audit.deaf)
    serve(settings.health_port, health_answer(pulse))
    serve(settings.metrics_port, metrics_answer)
    wait_for_types(cluster, settings)
    asyncio.run(
        kopf.operator(
            registry=registry(cache, worker, audit, pulse),
            settings=configured(settings),
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
        )
    )


if __name__ == "__main__":
    main()
