"""The platform goes by force and comes back under another name, for some namespaces only and then for all."""

import pytest
from conftest import ROOT, Cluster, Failed, platform_values
from prepared import RELEASED, Prepared, recommender, version

pytestmark = pytest.mark.cluster_full

CHART = ROOT / "charts" / "shoploop"


def install(cluster: Cluster, name: str, namespace: str, *more: str) -> None:
    cluster.helm(
        "install", name, CHART, "-n", namespace, *platform_values(cluster.image), "--wait", "--timeout=180s", *more
    )  # fmt: skip


def test_the_platform_is_forced_out_and_comes_back_under_another_name(cluster: Cluster, platform: str):
    """Told after the story, which has uninstalled the platform and left its definitions."""
    if cluster.helm("list", "-n", platform, "-q").strip():
        pytest.skip("runs after the story, which uninstalls the platform")
    with (
        cluster.namespace("loop-system") as home,
        cluster.namespace("within") as within,
        cluster.namespace("out") as out,
    ):
        with pytest.raises(Failed, match="invalid ownership metadata"):
            install(cluster, "loop", home)
        install(cluster, "loop", home, "--take-ownership", f"--set=watch.namespaces={{{within}}}")
        assert not cluster.items("clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/instance=loop")
        for namespace in (within, out):
            made = recommender("grocery", namespace)
            cluster.apply(version(made), made)
        shop, other = Prepared(cluster=cluster, namespace=within), Prepared(cluster=cluster, namespace=out)
        shop.wait_for("Ready", "ScaledToZero")
        cluster.kubectl("delete", "service", "grocery-predictor", *shop.where)
        shop.wait("it is repaired", lambda: cluster.find("service", "grocery-predictor", *shop.where), seconds=10)
        assert "status" not in other.live(), "it is not in a namespace that this platform serves"

        with pytest.raises(Failed):
            cluster.helm("uninstall", "loop", "-n", home)
        assert "within/grocery" in cluster.kubectl("logs", "-n", home, "job/loop-shoploop-uninstall")
        cluster.helm("uninstall", "loop", "-n", home, "--no-hooks")
        assert all(cluster.find(kind, "grocery-predictor", *shop.where) for kind in RELEASED), "predictors go on"
        before = shop.revisions()

        install(cluster, "again", home, "--take-ownership")
        other.wait_for("Ready", "ScaledToZero")
        shop.wait_for("Ready", "ScaledToZero")
        assert shop.revisions() == before
        for one in (shop, other):
            cluster.kubectl("delete", "recommender", "grocery", *one.where, "--timeout=60s")
            assert cluster.items("deployments,secrets", *one.where) == []
        cluster.helm("uninstall", "again", "-n", home)
        assert cluster.find("customresourcedefinition", "recommenders.shoploop.io")
