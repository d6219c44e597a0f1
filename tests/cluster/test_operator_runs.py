"""What becomes of runs and records that nobody needs any more."""

import pytest
from conftest import Cluster, condition
from prepared import Prepared, prepared, recommender, version

pytestmark = pytest.mark.cluster


def test_another_spec_gives_up_the_run_under_way(cluster: Cluster, platform: str):
    with cluster.namespace("given-up") as namespace:
        images = {"registry": "registry.invalid"}  # its pods never begin
        cluster.apply(recommender("grocery", namespace, images=images))
        shop = Prepared(cluster=cluster, namespace=namespace)

        def jobs() -> set[str]:
            return {job["metadata"]["name"] for job in cluster.items("jobs", *shop.where)}

        before = shop.wait("the run's Job", jobs)
        shop.patch(training={"seed": 7})
        shop.wait("another run's Job alone", lambda: len(jobs()) == 1 and jobs() != before)
        maps = {found["metadata"]["name"] for found in cluster.items("configmaps", *shop.where)}
        assert not {name for name in maps if any(name in job for job in before)}
        assert {"RunStarted", "RunDiscarded"} <= shop.events()
        cluster.kubectl("delete", "recommender", "grocery", *shop.where, "--timeout=60s")
        shop.wait("its Jobs are gone", lambda: not jobs())


def test_a_run_that_no_node_can_take_goes_on_when_it_asks_for_less(cluster: Cluster, platform: str):
    with cluster.namespace("moved") as namespace:
        images = {"registry": "registry.invalid"}  # its pods never begin
        too_much = {"resources": {"cpu": "50m", "memory": "900Gi"}}
        cluster.apply(recommender("grocery", namespace, images=images, training=too_much))
        shop = Prepared(cluster=cluster, namespace=namespace)
        assert "no node fits its pod" in shop.wait_for("Ready", "RunStalled")["message"]
        (before,) = cluster.items("jobs", *shop.where)
        run = shop.live()["status"]["run"]["id"]
        shop.patch(training={"resources": {"memory": "1Gi"}})

        def asked() -> str:
            (job,) = cluster.items("jobs", *shop.where) or [before]
            return job["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"]

        shop.wait("a Job that asks for less", lambda: asked() == "1Gi", seconds=30)
        told = lambda: condition(shop.live(), "Ready")["message"]  # noqa: E731
        shop.wait("its pod is on a node", lambda: "its image cannot be pulled" in told())
        (after,) = cluster.items("jobs", *shop.where)
        assert after["metadata"]["name"] == before["metadata"]["name"]
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        assert shop.live()["status"]["run"]["id"] == run
        assert "RunMoved" in shop.events() and "RunDiscarded" not in shop.events()
        cluster.kubectl("delete", "recommender", "grocery", *shop.where, "--timeout=60s")


def test_changed_data_start_a_run_and_a_small_pod_tells_of_them(cluster: Cluster, platform: str):
    with cluster.namespace("data-check") as namespace:
        made = recommender("grocery", namespace, dataCheck={"everyMinutes": 10_080})
        record = version(made)
        record["spec"]["lineage"] = {"data": "0" * 64}  # it learned from other data than there are now
        cluster.apply(record, made)
        shop = Prepared(cluster=cluster, namespace=namespace)
        run = shop.wait("a run", lambda: shop.live().get("status", {}).get("run"), seconds=90)
        assert run["trigger"] == "Data"
        assert run["cause"] == run["source"] != "0" * 64
        assert "RunStarted" in shop.events()
        cluster.kubectl("delete", "recommender", "grocery", *shop.where, "--timeout=60s")


def test_records_beyond_retention_go_and_the_one_that_serves_stays(cluster: Cluster, platform: str):
    with prepared(cluster, "retention", retention={"versions": 1}, serving={"replicas": 0}) as shop:
        made = recommender("grocery", shop.namespace)
        shop.patch(serving={"pinnedVersion": "v000000000001"})
        shop.wait("it is seen", lambda: shop.live()["status"]["observedGeneration"] == 2)
        cluster.apply(version(made, 2), version(made, 3))

        def left() -> set[str]:
            return {found["spec"]["version"] for found in cluster.items("modelversions", *shop.where)}

        shop.wait("two are left", lambda: len(left()) == 2)
        assert "v000000000001" in left()
        assert shop.live()["status"]["version"] == "v000000000001"
        assert "Pruned" in shop.events()
