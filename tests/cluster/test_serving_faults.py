"""What shoppers notice of upgrades, rollbacks and lost pods: nothing."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Cluster, Shop, condition

pytestmark = pytest.mark.cluster

LOAD = Path(__file__).with_name("load.py")
ENOUGH = 50
"""Requests that make a test worth something."""


@contextmanager
def load(shop: Shop, name: str) -> Iterator[dict]:
    """Shoppers who ask all the time within the block; afterwards what they got."""
    cluster, result = shop.cluster, {}
    config = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "load", "namespace": shop.namespace},
        "data": {"load.py": LOAD.read_text()},
    }  # fmt: skip
    volumes = {"/load": {"configMap": {"name": "load"}}}
    pod = cluster.pod(shop.namespace, name, "python", "/load/load.py", f"{shop.name}-predictor", volumes=volumes)
    cluster.apply(config, pod)
    where = ("-n", shop.namespace)
    shop.wait("the load", lambda: "started" in cluster.log(name, shop.namespace), seconds=60)
    time.sleep(2)
    yield result
    time.sleep(2)
    cluster.kubectl("exec", name, *where, "--", "touch", "/tmp/stop")
    shop.wait("the end of the load", lambda: cluster.get("pod", name, *where)["status"]["phase"] == "Succeeded")
    result.update(json.loads(cluster.kubectl("logs", name, *where).splitlines()[-1]))
    cluster.kubectl("delete", "pod", name, *where, "--wait=false")


def no_request_failed(result: dict) -> None:
    assert result["failures"] == []
    assert result["answered"] >= ENOUGH


def uids(shop: Shop, *, ending: bool = False) -> set[str]:
    return {pod["metadata"]["uid"] for pod in shop.pods(ending=ending)}


def test_no_request_fails_while_a_changed_spec_rolls_out(shop: Shop):
    before = uids(shop)
    with load(shop, "load-upgrade") as result:
        shop.patch(serving={"replicas": 2, "deadlineMilliseconds": 900})
        shop.wait("new pods", lambda: uids(shop) - before)
        shop.rolled_out()
        shop.wait("the old pods' end", lambda: not before & uids(shop, ending=True))
    no_request_failed(result)
    shop.wait_until_ready()


def test_no_request_fails_while_a_pod_is_deleted(shop: Shop):
    shop.rolled_out()
    gone, stays = (pod["metadata"]["name"] for pod in shop.pods())
    with load(shop, "load-deletion") as result:
        shop.cluster.kubectl("delete", "pod", gone, "-n", shop.namespace, "--wait=true", "--timeout=120s", timeout=130)
        shop.rolled_out()
    no_request_failed(result)
    assert stays in {pod["metadata"]["name"] for pod in shop.pods()}


def test_no_request_fails_while_a_person_rolls_back_and_the_release_is_held(shop: Shop):
    before = uids(shop)
    with load(shop, "load-rollback") as result:
        shop.cluster.helm("rollback", shop.name, "-n", shop.namespace)
        shop.wait("new pods", lambda: uids(shop) - before)
        shop.rolled_out()
        shop.wait("the old pods' end", lambda: not before & uids(shop, ending=True))
    no_request_failed(result)
    held = shop.wait("the held release", lambda: condition(shop.recommender(), "ReleaseHeld")["status"] == "True")
    assert held
    history = json.loads(shop.cluster.helm("history", shop.name, "-n", shop.namespace, "-o", "json"))
    assert history[-1]["description"].startswith("Rollback to")
    shop.patch(serving={"replicas": 2, "deadlineMilliseconds": 800})
    shop.wait("the release is let go", lambda: condition(shop.recommender(), "ReleaseHeld")["status"] != "True")
    shop.rolled_out()
    shop.wait_until_ready()


def test_no_request_fails_while_the_operator_is_upgraded(shop: Shop):
    before = uids(shop)
    with load(shop, "load-operator") as result:
        shop.cluster.kubectl("rollout", "restart", "deployment/shoploop-operator", "-n", "shoploop-system")
        shop.cluster.kubectl(
            "rollout", "status", "deployment/shoploop-operator", "-n", "shoploop-system", "--timeout=120s", timeout=130
        )
    no_request_failed(result)
    assert uids(shop) == before


def test_a_version_with_other_bytes_is_never_served(shop: Shop, cluster: Cluster):
    """By hand, without the operator: the digest is what guards, wherever the release comes from."""
    values = json.loads(cluster.helm("get", "values", shop.name, "-n", shop.namespace, "-o", "json"))
    values |= {"fullnameOverride": "forged", "recommender": {"name": "forged"}, "replicas": 1}
    values["version"]["digest"] = "0" * 64
    file = Path(cluster.env.get("TMPDIR", "/tmp")) / "forged-values.json"
    file.write_text(json.dumps(values))
    chart = Path(__file__).resolve().parents[2] / "charts" / "recommender"
    cluster.helm("install", "forged", chart, "-n", shop.namespace, "-f", file)
    try:
        selector = "shoploop.io/recommender=forged"

        def refused() -> str:
            pods = cluster.items("pods", "-n", shop.namespace, "-l", selector)
            states = [s["state"] | s["lastState"] for p in pods for s in p["status"].get("initContainerStatuses", [])]
            ended = [state["terminated"] for state in states if "terminated" in state]
            return cluster.kubectl("logs", "-n", shop.namespace, "-l", selector, "-c", "fetch") if ended else ""

        log = shop.wait("the refusal", refused)
        assert "has sha256" in log and f"and {'0' * 64} was asked for" in log
        ready = [p for p in cluster.items("pods", "-n", shop.namespace, "-l", selector) if ready_pod(p)]
        assert ready == []
    finally:
        cluster.helm("uninstall", "forged", "-n", shop.namespace)
        file.unlink()


def ready_pod(pod: dict) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


@pytest.mark.cluster_full
def test_predictors_are_scaled_by_real_load(shop: Shop, cluster: Cluster):
    if not cluster.find("customresourcedefinition", "scaledobjects.keda.sh"):
        pytest.skip("KEDA is not installed in this cluster")
    shop.patch(serving={"replicas": None, "autoscaling": {"min": 1, "max": 3}})
    shop.wait_until_ready()
    shop.wait("one pod", lambda: len([p for p in shop.pods() if ready_pod(p)]) == 1, seconds=300)
    with many_loads(shop, 3):
        shop.wait("a second pod", lambda: len(shop.pods()) >= 2, seconds=180)
    shop.patch(serving={"autoscaling": None, "replicas": 2})
    shop.wait_until_ready()


@contextmanager
def many_loads(shop: Shop, number: int) -> Iterator[None]:
    done = threading.Event()
    threads = [threading.Thread(target=keep_asking, args=(shop, f"load-{n}", done)) for n in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def keep_asking(shop: Shop, name: str, done: threading.Event) -> None:
    with load(shop, name):
        done.wait(300)
