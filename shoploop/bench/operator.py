"""How the operator bears many Recommenders: seconds until all are as wanted, and what it writes when nothing happens.

Needs a cluster of its own (``KUBECONFIG``) with the rights of an administrator, and helm; no node has to run pods. Every
Recommender has a version that passed and a release of no pods, so nothing is trained.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

from shoploop.errors import ShoploopError
from shoploop.packaging.local_service import open_local

NAMESPACE = "shoploop-bench"
HEALTH_PORT, METRICS_PORT = 18088, 19098
CHART = Path(__file__).parents[2] / "charts" / "recommender"
POLL_SECONDS = 1.0
GRANTED_AS = {"POST": "create", "PUT": "update", "PATCH": "patch", "APPLY": "patch", "DELETE": "delete"}
"""RBAC's words for the verbs that the API server counts writes by."""

Object = dict[str, Any]


class NotConverged(ShoploopError):
    """The Recommenders were not as wanted in time."""


def run(
    *, objects: int = 500, idle_seconds: float = 120, limit_seconds: float = 1200, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Makes ``objects`` Recommenders, waits until all are Ready, then does nothing for a while.

    Returns:
        ``objects``; ``start_seconds`` until the operator answers its probe; ``converge_seconds`` from the first object
        to the last that is Ready; ``idle_writes_per_object_hour`` as the API server counts them, over
        ``idle_seconds``; ``repair_seconds`` from the deletion of a child until it is back; ``rss_bytes``, the
        operator's peak.

    Raises:
        NotConverged: some were not Ready after ``limit_seconds``.
        ClusterError: there is no cluster, or it refuses.
    """
    from shoploop.controller.cluster import Cluster, login
    from shoploop.controller.decide.kinds import MODEL_VERSION, RECOMMENDER, Kind

    login()
    cluster = Cluster()
    _install_types(cluster)
    namespace = Kind(group="", version="v1", kind="Namespace", plural="namespaces")
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, namespace)
    with operator() as (process, start_seconds):
        try:
            say(f"The operator started in {start_seconds:.1f} s.")
            began = time.monotonic()
            for number in range(objects):
                recommender, version = _pair(number)
                made = cluster.apply(version, MODEL_VERSION)
                cluster.set_status(made, version["status"])  # it has a door of its own
                cluster.apply(recommender, RECOMMENDER)
            converge_seconds = _until_ready(cluster, objects, began, limit_seconds, say)
            writes = _idle_writes(cluster, idle_seconds, say)
            repair_seconds = _repair_seconds(cluster)
            rss_bytes = _peak_rss_bytes(process.pid)
        finally:
            process.terminate()
            process.wait(30)
            _remove(cluster, namespace)
    return {
        "objects": objects,
        "start_seconds": round(start_seconds, 2),
        "converge_seconds": round(converge_seconds, 1),
        "idle_seconds": idle_seconds,
        "idle_writes_per_object_hour": round(writes / objects / (idle_seconds / 3600), 3),
        "repair_seconds": round(repair_seconds, 2),
        "rss_bytes": rss_bytes,
    }


@contextmanager
def operator(**settings: str) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A running operator and the seconds that it took to start; ``settings`` are variables of its environment."""
    env = os.environ | {
        "SHOPLOOP_CHART": str(CHART),
        "SHOPLOOP_HEALTH_PORT": str(HEALTH_PORT),
        "SHOPLOOP_METRICS_PORT": str(METRICS_PORT),
        "SHOPLOOP_LOG_LEVEL": "warning",
        **settings,
    }
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "shoploop.controller"], env=env)
    try:
        while not _answers(int(env["SHOPLOOP_HEALTH_PORT"])):
            if process.poll() is not None or time.monotonic() - began > 60:
                raise NotConverged("The operator did not start. Run python -m shoploop.controller to see why.")
            time.sleep(0.05)
        yield process, time.monotonic() - began
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


def _answers(port: int) -> bool:
    try:
        with open_local(f"http://127.0.0.1:{port}/healthz", seconds=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _install_types(cluster: Any) -> None:
    from shoploop.api.crd import definitions
    from shoploop.controller.decide.kinds import Kind

    kind = Kind(
        group="apiextensions.k8s.io", version="v1", kind="CustomResourceDefinition", plural="customresourcedefinitions"
    )
    for crd in definitions().values():
        cluster.apply(crd, kind)
    deadline = time.monotonic() + 30
    for crd in definitions().values():
        while time.monotonic() < deadline:
            live = cluster.get(kind, None, crd["metadata"]["name"]) or {}
            found = {c["type"]: c["status"] for c in live.get("status", {}).get("conditions", [])}
            if found.get("Established") == "True":
                break
            time.sleep(0.2)
    time.sleep(2)  # storage of a new type answers 429 for a moment


def _pair(number: int) -> tuple[Object, Object]:
    """A Recommender and the version that it serves."""
    from shoploop.api.v1alpha1 import API_VERSION, RecommenderSpec
    from shoploop.controller.decide.manifests import pack_hash, spec_hash

    name = f"shop-{number:04}"
    spec: Object = {
        "data": {"dataset": "completejourney"},
        "serving": {"replicas": 0},
        "store": {"uri": f"s3://bench/{name}"},
    }
    version = f"v{number:012x}"
    asked = RecommenderSpec.model_validate(spec)
    since = {"run": "bench", "time": "2026-01-01T00:00:00Z"}
    verdict = since | {"rule": "Always", "passed": True, "reason": "It is a benchmark.", "specHash": spec_hash(asked)}
    package = since | {
        "digest": f"{number:064x}",
        "bento": f"s3://bench/{name}/recommenders/{name}/bentos/{version}",
        "packHash": pack_hash(asked),
    }
    meta = {"namespace": NAMESPACE}
    return (
        {"apiVersion": API_VERSION, "kind": "Recommender", "metadata": meta | {"name": name}, "spec": spec},
        {
            "apiVersion": API_VERSION,
            "kind": "ModelVersion",
            "metadata": meta | {"name": f"{name}-{version}"},
            "spec": {"recommender": name, "version": version},
            "status": {"serving": False, "verdicts": [verdict], "packages": [package]},
        },
    )


def _until_ready(cluster: Any, objects: int, began: float, limit_seconds: float, say: Callable[[str], None]) -> float:
    from shoploop.controller.decide.kinds import RECOMMENDER

    reported = 0
    while True:
        ready = sum(_is_ready(found) for found in cluster.find(RECOMMENDER, NAMESPACE))
        seconds = time.monotonic() - began
        if ready == objects:
            say(f"{objects} are ready after {seconds:.0f} s.")
            return seconds
        if seconds > limit_seconds:
            raise NotConverged(f"{objects - ready} of {objects} Recommenders were not Ready after {seconds:.0f} s.")
        if ready - reported >= max(objects // 10, 1):
            reported = ready
            say(f"{ready} of {objects} are ready after {seconds:.0f} s.")
        time.sleep(POLL_SECONDS)


def _is_ready(recommender: Object) -> bool:
    conditions = recommender.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _idle_writes(cluster: Any, seconds: float, say: Callable[[str], None]) -> int:
    """Writes that the API server took while nothing happened."""
    time.sleep(20)  # what was under way settles
    before = _writes(cluster.text("/metrics"))
    time.sleep(seconds)
    after = _writes(cluster.text("/metrics"))
    for what in sorted(after):
        if after[what] != before.get(what, 0):
            say(f"{after[what] - before.get(what, 0)} × {what} while idle")
    return sum(after.values()) - sum(before.values())


def _writes(metrics: str) -> dict[str, int]:
    """Writing requests by verb and resource, from the API server's own metrics.

    Those that the operator has no right to were made by others: a cluster's controllers patch events and leases all the time.
    """
    from shoploop.controller.decide.kinds import PERMISSIONS

    granted = {(verb, resource) for held in PERMISSIONS for verb in held.verbs for resource in held.resources}
    counts: dict[str, int] = {}
    for line in metrics.splitlines():
        if not line.startswith("apiserver_request_total{"):
            continue
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
        resource = "/".join(filter(None, (labels["resource"], labels["subresource"])))
        if (GRANTED_AS.get(labels["verb"]), resource) in granted:
            what = f"{labels['verb']} {resource}"
            counts[what] = counts.get(what, 0) + int(float(line.rsplit(" ", 1)[1]))
    return counts


def _repair_seconds(cluster: Any) -> float:
    """Seconds from the deletion of one child until the operator has put it back."""
    from shoploop.controller.decide.kinds import RELEASED

    service = next(kind for kind in RELEASED if kind.kind == "Service")
    name = "shop-0000-predictor"
    before = cluster.get(service, NAMESPACE, name)["metadata"]["uid"]
    began = time.monotonic()
    cluster.delete(service, NAMESPACE, name)
    while True:
        live = cluster.get(service, NAMESPACE, name)
        seconds = time.monotonic() - began
        if live is not None and live["metadata"]["uid"] != before:
            return seconds
        if seconds > 60:
            raise NotConverged(f"Service {name} was not put back within 60 s.")
        time.sleep(0.1)


def _peak_rss_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(match[1]) * 1024 if match else 0


def _remove(cluster: Any, namespace: Any) -> None:
    """Takes everything away without waiting for 500 uninstalls."""
    from shoploop.controller.cluster import Stale
    from shoploop.controller.decide.kinds import RECOMMENDER

    for live in cluster.find(RECOMMENDER, NAMESPACE):
        try:
            cluster.set_finalizer(live, False)
        except Stale:
            continue
    cluster.delete(namespace, None, NAMESPACE)
