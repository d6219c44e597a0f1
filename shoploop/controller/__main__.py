"""``python -m shoploop.controller``: the operator, until it is told to stop."""

import asyncio
import logging
from threading import BoundedSemaphore

import kopf

from shoploop.controller.audit import Audit
from shoploop.controller.cache import Cache
from shoploop.controller.cluster import Cluster, login
from shoploop.controller.handlers import configured, registry
from shoploop.controller.health import Pulse, health_answer, metrics_answer, serve
from shoploop.controller.helm import Helm
from shoploop.controller.settings import Settings
from shoploop.controller.worker import Worker


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
