"""What is wrong in the world is told by a condition that says what to do, and mends itself when the world does."""

import json
import time
from collections.abc import Iterator

import pytest
from conftest import PLATFORM, ROOT, Cluster, Failed, condition
from prepared import Prepared, recommender, version

pytestmark = pytest.mark.cluster


@pytest.fixture
def empty(cluster: Cluster, platform: str, request: pytest.FixtureRequest) -> Iterator[Prepared]:
    """A namespace, and the grocery that a test puts into it."""
    name = "bad-" + str(abs(hash(request.node.name)) % 10_000)
    with cluster.namespace(name):
        yield Prepared(cluster=cluster, namespace=name)
        cluster.kubectl("delete", "recommenders", "--all", "-n", name, "--timeout=90s", timeout=100)


def test_a_secret_that_is_created_later_is_found(empty: Prepared):
    store = {"uri": "s3://shop/late", "secretRef": {"name": "keys"}}
    made = recommender("grocery", empty.namespace, store=store)
    empty.cluster.apply(version(made), made)
    assert "Create it" in empty.wait_for("Ready", "SecretMissing")["message"]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys", "namespace": empty.namespace},
        "stringData": {"AWS_ACCESS_KEY_ID": "a"},
    }
    empty.cluster.apply(secret)
    empty.annotate("note=look")
    assert "lacks AWS_SECRET_ACCESS_KEY" in empty.wait_for("Ready", "SecretKeyMissing", seconds=90)["message"]
    empty.cluster.apply(secret | {"stringData": {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}})
    empty.wait_for("Ready", "ScaledToZero", seconds=90)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (
            {"runner": {"type": "KubeflowPipelines", "endpoint": "http://kfp", "steps": {"train": {}}}},
            "RunnerRefuses",
        ),
        ({"online": {"enabled": True}}, "OnlineLogUnset"),
        ({"store": {"uri": "ftp://shop"}}, "NotBuilt"),
    ],
    ids=["kubeflow", "online", "store"],
)
def test_what_is_not_built_is_refused_with_a_reason(empty: Prepared, spec: dict, reason: str):
    empty.cluster.apply(recommender("grocery", empty.namespace, **spec))
    empty.wait_for("Ready", reason)
    assert empty.cluster.items("jobs", *empty.where) == []


def test_a_schedule_that_never_fires_is_told(empty: Prepared):
    made = recommender("grocery", empty.namespace, schedule={"cron": "0 3 31 2 *"})
    empty.cluster.apply(version(made), made)
    assert "never fires" in empty.wait_for("Degraded", "ScheduleNeverFires")["message"]
    empty.wait_for("Ready", "ScaledToZero")


def test_a_foreign_object_in_the_way_is_not_adopted(empty: Prepared):
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "grocery-predictor", "namespace": empty.namespace},
        "spec": {"ports": [{"port": 1234}]},
    }
    made = recommender("grocery", empty.namespace)
    empty.cluster.apply(service)
    empty.cluster.apply(version(made), made)
    assert "grocery-predictor" in empty.wait_for("Ready", "ForeignObject")["message"]
    kept = empty.cluster.get("service", "grocery-predictor", *empty.where)
    assert kept["spec"]["ports"][0]["port"] == 1234
    empty.cluster.kubectl("delete", "service", "grocery-predictor", *empty.where)
    empty.wait_for("Ready", "ScaledToZero", seconds=120)


def test_two_recommenders_on_one_store_path_are_refused(cluster: Cluster, empty: Prepared):
    store = {"uri": "s3://shared/loop"}
    first = recommender("grocery", empty.namespace, store=store)
    cluster.apply(version(first), first)
    empty.wait_for("Ready", "ScaledToZero")
    with cluster.namespace("bad-rival"):
        rival = Prepared(cluster=cluster, namespace="bad-rival")
        time.sleep(1.1)  # of two, the older one keeps the place
        cluster.apply(recommender("grocery", "bad-rival", store=store))
        told = rival.wait_for("Ready", "StoreTaken")
        assert f"{empty.namespace}/grocery" in told["message"]
        assert cluster.items("jobs", "-n", "bad-rival") == []
        cluster.kubectl("delete", "recommender", "grocery", "-n", "bad-rival", "--timeout=60s")


def test_a_dataset_that_is_not_there_fails_the_run_with_its_name(empty: Prepared):
    body = {"dataset": "no-such-dataset"}
    empty.cluster.apply(recommender("grocery", empty.namespace, data=body, store={"uri": ".shoploop"}))
    told = empty.wait_for("Ready", "RunFailed", seconds=180)
    assert "no-such-dataset" in told["message"]
    assert "shoploop.io/run=" in told["message"]
    before = empty.live()["status"]["run"]["id"]
    empty.annotate("shoploop.io/run=again")
    empty.wait("another run", lambda: empty.live()["status"]["run"]["id"] != before)


def test_a_quota_that_allows_no_pod_is_told(empty: Prepared):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": empty.namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    empty.cluster.apply(quota)
    time.sleep(2)
    empty.cluster.apply(recommender("grocery", empty.namespace))
    assert "exceeded quota" in empty.wait_for("Ready", "RunStalled", seconds=90)["message"]


def test_an_image_that_cannot_be_pulled_is_told(empty: Prepared):
    images = {"registry": "registry.invalid"}
    empty.cluster.apply(recommender("grocery", empty.namespace, images=images))
    told = empty.wait_for("Ready", "RunStalled", seconds=120)
    assert "its image cannot be pulled" in told["message"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"store": {"uri": "file:///store", "claim": "nowhere"}}, 'persistentvolumeclaim "nowhere" not found'),
        ({"training": {"placement": {"priorityClassName": "nobody"}}}, "no PriorityClass with name nobody was found"),
        ({"training": {"resources": {"memory": "9000Gi"}}}, "Insufficient memory"),
    ],
    ids=["claim", "priority-class", "memory"],
)
def test_what_a_run_needs_and_nobody_has_is_told(empty: Prepared, spec: dict, said: str):
    empty.cluster.apply(recommender("grocery", empty.namespace, **spec))
    assert said in empty.wait_for("Ready", "RunStalled", seconds=90)["message"]


def test_a_chart_value_of_the_wrong_type_is_refused_with_its_name(empty: Prepared):
    chart = ROOT / "charts" / "recommender"
    with pytest.raises(Failed, match="'/replicas': got string, want"):
        empty.cluster.helm("install", "grocery", chart, *empty.where, "--set-string=replicas=two")
    assert json.loads(empty.cluster.helm("list", *empty.where, "-o", "json")) == []


def test_a_deletion_empties_a_store_only_where_it_was_asked_to(empty: Prepared):
    made = recommender("grocery", empty.namespace, store={"uri": ".shoploop"}, deletionPolicy="Delete", suspend=False)
    empty.cluster.apply(made)
    empty.wait("the claim", lambda: empty.cluster.find("pvc", "grocery-store", *empty.where))
    empty.cluster.kubectl("delete", "recommender", "grocery", *empty.where, "--timeout=60s")
    empty.wait("the claim is gone", lambda: empty.cluster.find("pvc", "grocery-store", *empty.where) is None)


def test_the_operator_tells_prometheus_about_itself(cluster: Cluster, platform: str):
    (pod,) = cluster.items("pods", "-n", PLATFORM, "-l", "app.kubernetes.io/component=operator")
    name = pod["metadata"]["name"]
    path = f"/api/v1/namespaces/{PLATFORM}/pods/{name}:9090/proxy/metrics"
    told = cluster.kubectl("get", "--raw", path)
    assert "shoploop_operator_reconciles_total" in told


def test_a_suspended_recommender_promotes_nothing(empty: Prepared):
    made = recommender("grocery", empty.namespace)
    empty.cluster.apply(version(made), made)
    empty.wait_for("Ready", "ScaledToZero")
    empty.patch(suspend=True)
    empty.wait("it is seen", lambda: empty.live()["status"]["observedGeneration"] == 2)
    empty.cluster.apply(version(made, 2))
    time.sleep(4)
    assert empty.live()["status"]["version"] == "v000000000001"
    empty.patch(suspend=False)
    empty.wait("it is promoted", lambda: empty.live()["status"]["version"] == "v000000000002")
    assert condition(empty.live(), "Degraded")["status"] == "False"
    assert json.loads(empty.cluster.helm("list", *empty.where, "-o", "json"))[0]["revision"] == "2"
