"""What becomes of runs and records that nobody needs any more."""

import pytest
from conftest import Cluster
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
