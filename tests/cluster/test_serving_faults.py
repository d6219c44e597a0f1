"""What shoppers notice of upgrades, rollbacks and lost pods: nothing."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import PLATFORM, ROOT, Cluster, Shop, condition, platform_values

pytestmark = pytest.mark.cluster

LOAD = Path(__file__).with_name("load.py")
PROBED_WITHIN_SECONDS = 5
"""The readiness probe is made every 2 s; the rest is what the cluster takes to tell of it."""

ENOUGH = 50
"""Requests that make a test worth something."""


@contextmanager
def load(shop: Shop, name: str, *how: str) -> Iterator[dict]:
    """Shoppers who ask all the time within the block; afterwards what they got. ``how`` is for load.py."""
    cluster, result = shop.cluster, {}
    config = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "load", "namespace": shop.namespace},
        "data": {"load.py": LOAD.read_text()},
    }  # fmt: skip
    volumes = {"/load": {"configMap": {"name": "load"}}}
    pod = cluster.pod(shop.namespace, name, "python", "/load/load.py", f"{shop.name}-predictor", *how, volumes=volumes)
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


def no_request_failed(result: dict, *, past_capacity: bool = False) -> None:
    """All were answered; only where more is asked than can be, some may be told when to ask again instead."""
    assert result["failures"] == []
    assert past_capacity or result["refused"] == 0
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
    runs = uids(shop)
    shop.patch(serving={"replicas": 2, "deadlineMilliseconds": 1000})  # which is what the person went back to
    shop.wait("the release is let go", lambda: condition(shop.recommender(), "ReleaseHeld")["status"] != "True")
    shop.wait_until_ready()
    assert uids(shop) == runs


@pytest.fixture
def previous_chart(tmp_path: Path) -> Path:
    """charts/shoploop as it was before its last change, out of the repository's own history."""

    def git(*args: str) -> bytes:
        return subprocess.run(["git", "-C", str(ROOT), *args], capture_output=True, check=True).stdout

    try:
        commits = git("log", "--format=%H", "-n", "2", "--", "charts/shoploop").split()
    except (OSError, subprocess.CalledProcessError):
        commits = []
    if len(commits) < 2:
        pytest.skip("there is no history here that holds the chart as it was before its last change")
    archive = tmp_path / "previous.tar"
    archive.write_bytes(git("archive", commits[1].decode(), "charts/shoploop"))
    shutil.unpack_archive(archive, tmp_path)
    return tmp_path / "charts" / "shoploop"


def test_no_request_fails_while_the_platform_goes_to_the_previous_chart_and_is_upgraded_from_it(
    shop: Shop, previous_chart: Path
):
    """The image stays the same: there is no other on the cluster. Charts, definitions and roles are those of then."""
    before, cluster = uids(shop), shop.cluster
    release = shop.recommender()["status"]["release"]
    chosen = platform_values(cluster.image)
    with load(shop, "load-platform") as result:
        where = ("-n", PLATFORM, "--wait", "--timeout=120s")
        cluster.helm("upgrade", "shoploop", previous_chart, *where, *chosen, "--set=podLabels.chart=previous")
        (operator,) = cluster.items("pods", "-n", PLATFORM, "-l", "chart=previous")
        assert ready_pod(operator)
        cluster.helm("upgrade", "shoploop", ROOT / "charts" / "shoploop", *where, *chosen)
        cluster.helm("rollback", "shoploop", *where)
        cluster.helm("rollback", "shoploop", *where)
    no_request_failed(result)
    assert uids(shop) == before
    shop.wait_until_ready()
    assert shop.recommender()["status"]["release"] == release
    assert cluster.items("pods", "-n", PLATFORM, "-l", "chart=previous") == []


@pytest.mark.cluster_full
@pytest.mark.parametrize("component", ["apiserver", "etcd"])
def test_no_request_fails_while_a_part_of_the_cluster_is_killed(shop: Shop, component: str):
    if "KUBEBOX" not in shop.cluster.env:
        pytest.skip("only kubebox lets a test kill parts of the cluster")
    before = uids(shop)
    with load(shop, f"load-{component}") as result:
        shop.cluster.kill(component)
        time.sleep(10)
    no_request_failed(result)
    assert uids(shop) == before
    shop.wait_until_ready()


@pytest.mark.cluster_full
def test_a_killed_kubelet_restarts_no_pod_and_shoppers_are_back_within_seconds(shop: Shop):
    """A kubelet that starts anew holds every pod of its node to be not ready until it has probed it once. Where all pods
    are on that one node, as here, the Service has nobody for so long; no chart can change that, two nodes do."""
    if "KUBEBOX" not in shop.cluster.env:
        pytest.skip("only kubebox lets a test kill parts of the cluster")
    before = uids(shop)
    with load(shop, "load-kubelet") as result:
        shop.cluster.kill("kubelet")
        time.sleep(10)
    times = [float(failure.split()[0]) for failure in result["failures"]]
    seconds = max(times) - min(times) if times else 0
    print(f"\nkubelet killed: {len(times)} requests refused within {seconds:.1f} s, {result['answered']} answered")
    assert seconds <= PROBED_WITHIN_SECONDS
    assert all("ConnectionRefusedError" in failure for failure in result["failures"])
    assert result["answered"] >= ENOUGH and result["refused"] == 0
    assert uids(shop) == before
    assert all(status["restartCount"] == 0 for pod in shop.pods() for status in pod["status"]["containerStatuses"])
    shop.wait_until_ready()


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


@pytest.fixture
def keda(shop: Shop) -> None:
    """KEDA, which came to the cluster after shoploop: the operator has to notice it."""
    if shop.cluster.find("customresourcedefinition", "scaledobjects.keda.sh"):
        return
    if "KUBEBOX" not in shop.cluster.env:
        pytest.skip("KEDA is not installed in this cluster")
    subprocess.run([shop.cluster.env["KUBEBOX"], "addon", "keda"], check=True)


@pytest.mark.cluster_full
def test_predictors_are_scaled_by_real_load(shop: Shop, keda: None):
    shop.patch(serving={"replicas": None, "autoscaling": {"min": 1, "max": 3}})
    shop.wait_until_ready()
    ready = lambda: len([p for p in shop.pods() if ready_pod(p)])  # noqa: E731
    with load(shop, "load-first") as result:
        shop.wait("one pod", lambda: ready() == 1, seconds=300)
    no_request_failed(result)
    began = time.monotonic()
    with load(shop, "load-many", "24", "0") as result:
        shop.wait("more pods that answer", lambda: ready() >= 2, seconds=240)
        print(f"\nscaled to {ready()} ready pods {time.monotonic() - began:.0f} s after the load began")
    no_request_failed(result, past_capacity=True)
    where = ("-n", shop.namespace)
    found = lambda: shop.cluster.find("scaledobject", "grocery-predictor", *where)  # noqa: E731
    uid = found()["metadata"]["uid"]
    shop.cluster.kubectl("delete", "scaledobject", "grocery-predictor", *where, "--wait=false")
    back = lambda: (found() or {}).get("metadata", {}).get("uid", uid) != uid  # noqa: E731
    shop.wait("the ScaledObject is back", back, seconds=10)
    shop.patch(serving={"autoscaling": None, "replicas": 2})
    shop.wait_until_ready()
    shop.wait("no ScaledObject", lambda: not found())
    shop.wait("two pods", lambda: ready() == 2, seconds=180)
