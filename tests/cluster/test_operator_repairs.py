"""What is edited or deleted comes back within its bar, and what a person rolled back is left alone."""

import json
import time
from collections.abc import Iterator

import pytest
from conftest import PLATFORM, Cluster, condition
from prepared import RELEASED, Prepared, prepared, recommender, version

pytestmark = pytest.mark.cluster

BAR_SECONDS = 10


@pytest.fixture(scope="module")
def shop_at_rest(cluster: Cluster, platform: str) -> Iterator[Prepared]:
    with prepared(cluster, "repairs") as made:
        yield made


def operator_pods(cluster: Cluster) -> list[str]:
    selector = "app.kubernetes.io/component=operator"
    return [pod["metadata"]["name"] for pod in cluster.items("pods", "-n", PLATFORM, "-l", selector)]


def kill_operator(cluster: Cluster) -> None:
    for pod in operator_pods(cluster):
        cluster.kubectl("delete", "pod", pod, "-n", PLATFORM, "--grace-period=0", "--force", "--wait=false")


def operator_runs(cluster: Cluster) -> bool:
    deployment = cluster.get("deployment", "shoploop-operator", "-n", PLATFORM)
    return deployment["status"].get("readyReplicas") == 1


@pytest.mark.parametrize("kind", RELEASED)
def test_a_deleted_child_is_back_within_its_bar(shop_at_rest: Prepared, kind: str):
    cluster, where = shop_at_rest.cluster, shop_at_rest.where
    before = cluster.get(kind, "grocery-predictor", *where)["metadata"]["uid"]
    revisions = len(shop_at_rest.revisions())
    began = time.monotonic()
    cluster.kubectl("delete", kind, "grocery-predictor", *where)

    def back() -> bool:
        found = cluster.find(kind, "grocery-predictor", *where)
        return found is not None and found["metadata"]["uid"] != before

    shop_at_rest.wait(f"{kind} is back", back, seconds=BAR_SECONDS)
    print(f"\n{kind}: back after {time.monotonic() - began:.1f} s")
    assert len(shop_at_rest.revisions()) == revisions


def test_an_edited_child_is_put_right_within_its_bar(shop_at_rest: Prepared):
    cluster, where = shop_at_rest.cluster, shop_at_rest.where
    revisions = len(shop_at_rest.revisions())
    cluster.kubectl("scale", "deployment", "grocery-predictor", "--replicas=1", *where)
    cluster.kubectl("patch", "service", "grocery-predictor", *where, "--type=merge", "-p",
                    '{"spec": {"selector": {"app.kubernetes.io/instance": "other"}}}')  # fmt: skip

    def right() -> bool:
        deployment = cluster.get("deployment", "grocery-predictor", *where)
        service = cluster.get("service", "grocery-predictor", *where)
        instance = service["spec"]["selector"]["app.kubernetes.io/instance"]
        return deployment["spec"]["replicas"] == 0 and instance == "grocery"

    shop_at_rest.wait("both are right again", right, seconds=BAR_SECONDS)
    assert len(shop_at_rest.revisions()) == revisions
    shop_at_rest.wait_for("Ready", "ScaledToZero")
    assert "Repaired" in shop_at_rest.events()


def test_children_deleted_while_the_operator_is_down_come_back(shop_at_rest: Prepared):
    cluster, where = shop_at_rest.cluster, shop_at_rest.where
    cluster.kubectl("scale", "deployment", "shoploop-operator", "-n", PLATFORM, "--replicas=0")
    cluster.wait("the operator is gone", lambda: not operator_pods(cluster), seconds=60)
    cluster.kubectl("delete", "service,deployment,networkpolicy", "grocery-predictor", *where)
    cluster.kubectl("scale", "deployment", "shoploop-operator", "-n", PLATFORM, "--replicas=1")
    cluster.wait("the operator runs", lambda: operator_runs(cluster), seconds=90)
    shop_at_rest.wait(
        "all are back",
        lambda: all(cluster.find(k, "grocery-predictor", *where) for k in ("service", "deployment", "networkpolicy")),
        seconds=BAR_SECONDS,
    )


def test_a_changed_spec_is_a_revision_and_an_unchanged_one_is_none(shop_at_rest: Prepared):
    before = len(shop_at_rest.revisions())
    shop_at_rest.patch(retention={"runs": 7})
    shop_at_rest.wait_for("Ready", "ScaledToZero")
    assert len(shop_at_rest.revisions()) == before, "retention changes no predictor"
    shop_at_rest.patch(serving={"deadlineMilliseconds": 222})
    shop_at_rest.wait("a revision", lambda: len(shop_at_rest.revisions()) == before + 1)
    shop_at_rest.wait_for("Ready", "ScaledToZero")


def test_a_persons_rollback_holds_until_somebody_lets_go(shop_at_rest: Prepared):
    cluster, where = shop_at_rest.cluster, shop_at_rest.where
    shop_at_rest.patch(serving={"deadlineMilliseconds": 333})
    shop_at_rest.wait_for("Released", "Released")
    shop_at_rest.wait("the revision", lambda: "generation" in shop_at_rest.revisions()[-1]["description"])
    cluster.helm("rollback", "grocery", *where)
    held = shop_at_rest.wait_for("ReleaseHeld", "ReleaseHeld")
    revision = shop_at_rest.revisions()[-1]["revision"]
    assert f"shoploop.io/resume={revision}" in held["message"]
    cluster.kubectl("delete", "service", "grocery-predictor", *where)
    time.sleep(5)
    assert cluster.find("service", "grocery-predictor", *where) is None, "a held release is not repaired"
    shop_at_rest.annotate(f"shoploop.io/resume={revision}")
    shop_at_rest.wait("it is repaired", lambda: cluster.find("service", "grocery-predictor", *where))
    shop_at_rest.wait_for("Ready", "ScaledToZero")
    assert condition(shop_at_rest.live(), "ReleaseHeld")["status"] == "False"


def test_a_pinned_version_rolls_back_and_forth(shop_at_rest: Prepared):
    cluster = shop_at_rest.cluster
    made = recommender("grocery", shop_at_rest.namespace)
    cluster.apply(version(made, 2))
    shop_at_rest.wait("the newest serves", lambda: shop_at_rest.live()["status"]["version"] == "v000000000002")
    shop_at_rest.patch(serving={"pinnedVersion": "v000000000001"})
    shop_at_rest.wait("the pinned one serves", lambda: shop_at_rest.live()["status"]["version"] == "v000000000001")
    shop_at_rest.patch(serving={"pinnedVersion": "v00000000dead"})
    missing = shop_at_rest.wait_for("Ready", "VersionNotFound")
    assert "v000000000001, v000000000002" in missing["message"]
    shop_at_rest.patch(serving={"pinnedVersion": None})
    shop_at_rest.wait("the newest serves", lambda: shop_at_rest.live()["status"]["version"] == "v000000000002")


def test_the_gate_keeps_a_refused_version_from_serving(shop_at_rest: Prepared):
    made = recommender("grocery", shop_at_rest.namespace)
    shop_at_rest.cluster.apply(version(made, 3, passed=False))
    time.sleep(3)
    assert shop_at_rest.live()["status"]["version"] == "v000000000002"


def test_nothing_is_written_while_nothing_happens(shop_at_rest: Prepared):
    shop_at_rest.wait_for("Ready", "ScaledToZero")
    time.sleep(5)
    kinds = "recommenders,modelversions,deployments,services,secrets,networkpolicies,poddisruptionbudgets"
    state = lambda: {  # noqa: E731
        item["metadata"]["name"]: item["metadata"]["resourceVersion"]
        for item in shop_at_rest.cluster.items(kinds, *shop_at_rest.where)
    }
    before = state()
    time.sleep(20)
    assert state() == before


@pytest.mark.parametrize("after_seconds", [0.0, 0.3, 0.8, 1.5, 3.0])
def test_an_operator_killed_at_any_moment_goes_on(cluster: Cluster, platform: str, after_seconds: float):
    namespace = f"killed-{int(after_seconds * 10)}"
    cluster.wait("the operator runs", lambda: operator_runs(cluster), seconds=90)
    with cluster.namespace(namespace):
        made = recommender("grocery", namespace)
        cluster.apply(version(made), made)
        time.sleep(after_seconds)
        kill_operator(cluster)
        shop = Prepared(cluster=cluster, namespace=namespace)
        shop.wait_for("Ready", "ScaledToZero", seconds=120)
        (release,) = json.loads(cluster.helm("list", "-n", namespace, "-o", "json"))
        assert release["status"] == "deployed"
        cluster.kubectl("delete", "recommender", "grocery", "-n", namespace, "--wait=false")
        time.sleep(after_seconds / 3)
        kill_operator(cluster)
        shop.wait("it is gone", lambda: cluster.find("recommender", "grocery", "-n", namespace) is None, seconds=120)
        assert json.loads(cluster.helm("list", "-n", namespace, "-o", "json")) == []
