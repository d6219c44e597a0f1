"""A store on a real S3: what a missing Secret, wrong keys and right ones make of a Recommender."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import ROOT, Cluster, Object, Shop, own_data
from prepared import Prepared
from s3 import OWNER, READER, S3, secret, serving


@pytest.fixture(scope="module")
def s3(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with serving(cluster, tmp_path_factory.mktemp("s3")) as made:
        made.put(*(ROOT / "examples" / "own-data" / name for name in FILES.values()))
        yield made


FILES = {"interactions": "events.csv", "items": "products.csv"}


def grocery(namespace: str, store: Object, **spec: Any) -> Object:
    """A Recommender of examples/own-data, with its files and its store on S3."""
    made = own_data("grocery", namespace, store=store, **spec)
    for table, name in FILES.items():
        made["spec"]["data"]["tables"][table]["uri"] = f"s3://shop/lake/{name}"
    return made


@pytest.mark.cluster
def test_a_store_that_may_not_be_written_fails_the_run_and_says_so(cluster: Cluster, platform: str, s3: S3):
    with cluster.namespace("bad-store") as namespace:
        cluster.apply(secret(namespace, READER), grocery(namespace, s3.store("forbidden")))
        shop = Prepared(cluster=cluster, namespace=namespace)
        told = shop.wait_for("Ready", "RunFailed", seconds=180)["message"]
        assert "s3://shop/forbidden" in told and "refuses these credentials" in told, told
        cluster.kubectl("delete", "recommender", "grocery", "-n", namespace, "--timeout=60s")


@pytest.mark.cluster_full
def test_a_shop_on_s3_waits_for_its_secret_then_trains_in_three_jobs_and_serves(
    cluster: Cluster, platform: str, s3: S3
):
    """One of them holds a GPU; what a Job's steps wrote reaches the next one through the store."""
    subprocess.run([s3.kubebox, "gpus", "1"], check=True)
    resources = {"cpu": "500m", "memory": "3Gi", "gpu": 1}
    with cluster.namespace("on-s3") as namespace:
        training = {"resources": resources, "epochs": 1}
        cluster.apply(grocery(namespace, s3.store("loop"), serving={"replicas": 1}, training=training))
        Prepared(cluster=cluster, namespace=namespace).wait_for("Ready", "SecretMissing")
        assert cluster.items("jobs", "-n", namespace) == []
        cluster.apply(secret(namespace, OWNER))
        shop = Shop(cluster=cluster, namespace=namespace, name="grocery", seconds_to_ready=0)
        shop.wait_until_ready(seconds=420)
        jobs = sorted(cluster.items("jobs", "-n", namespace), key=lambda job: job["metadata"]["name"])
        assert [gpus(job) for job in jobs] == [0, 1, 0]
        assert len(shop.recommend("1", 3)["items"]) == 3
        cluster.kubectl("delete", "recommender", "grocery", "-n", namespace, "--timeout=120s", timeout=130)


def gpus(job: Object) -> int:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return int(container["resources"].get("limits", {}).get("nvidia.com/gpu", 0))
