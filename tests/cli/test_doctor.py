"""What the doctor says about clusters that lack one thing each."""

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest

from shoploop.api.crd import definitions
from shoploop.cli.doctor import examine, missing_fields
from shoploop.cli.kubectl import ClusterUnavailable, Kubectl
from shoploop.errors import NotFound

DEFAULT_CLASS = {
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
}
OPERATOR = {
    "metadata": {"namespace": "system", "name": "shoploop-operator"},
    "spec": {"template": {"spec": {"containers": [{"image": "shoploop/operator:1"}]}}},
    "status": {"availableReplicas": 1},
}


@dataclass(frozen=True, kw_only=True)
class PaperCluster(Kubectl):
    """A cluster written down: lists by kind, and what may be done."""

    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    minor: str = "34"
    forbidden: tuple[str, ...] = ()

    def run(self, *args: str) -> str:
        assert args == ("get", "--raw", "/version")
        return f'{{"major": "1", "minor": "{self.minor}", "gitVersion": "v1.{self.minor}.0"}}'

    def get(self, *args: str) -> dict[str, Any]:
        if args[0] == "secret":
            if args[1] not in self.secrets:
                raise NotFound(args[1])
            return {"data": self.secrets[args[1]]}
        if args[0] not in self.lists:
            raise NotFound(args[0])
        return {"items": self.lists[args[0]]}

    def allowed(self, verb: str, resource: str, *, namespace: str | None = None) -> bool:
        return resource not in self.forbidden


def recommender(**spec):
    ready = {"type": "Ready", "status": "True", "reason": "Serving", "message": "serves v1"}
    return {
        "metadata": {"namespace": "shop", "name": "grocery"},
        "spec": spec,
        "status": {"conditions": [ready]},
    }


@pytest.fixture
def make_cluster():
    """A cluster that lacks nothing; a test names only what differs."""

    def make(*recommenders, secrets=None, minor="34", forbidden=(), **lists):
        whole = {
            "recommenders.shoploop.io": list(recommenders),
            "customresourcedefinitions": list(definitions().values()),
            "deployments": [OPERATOR],
            "storageclasses": [DEFAULT_CLASS],
            "nodes": [{"status": {"allocatable": {"cpu": "2"}}}],
            "services": [],
        }
        return PaperCluster(lists=whole | lists, secrets=secrets or {}, minor=minor, forbidden=forbidden)

    return make


def state_of(cluster, about):
    (found,) = (finding for finding in examine(cluster) if finding.about == about)
    return found


def test_a_whole_cluster_lacks_nothing(make_cluster):
    assert [f for f in examine(make_cluster(recommender())) if f.state == "missing"] == []


def test_everything_that_is_missing_comes_with_what_mends_it(make_cluster):
    bare = make_cluster(customresourcedefinitions=[], deployments=[], minor="29", forbidden=("pods/log",))
    missing = [finding for finding in examine(bare) if finding.state == "missing"]
    assert [f.about for f in missing] == [
        "Kubernetes", "recommenders.shoploop.io", "modelversions.shoploop.io", "operator", "permissions",
    ]  # fmt: skip
    assert all(finding.remedy for finding in missing)


def test_an_older_definition_is_told_by_the_fields_that_it_lacks(make_cluster):
    older = copy.deepcopy(list(definitions().values()))
    del older[0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["gate"]
    found = state_of(make_cluster(customresourcedefinitions=older), "recommenders.shoploop.io")
    assert (found.state, "lacks spec.gate" in found.detail) == ("missing", True)
    assert "helm upgrade" in found.remedy


def test_fields_of_lists_are_compared_too():
    wanted = {"properties": {"a": {"items": {"properties": {"b": {}}}}}}
    assert list(missing_fields(wanted, {"properties": {"a": {"items": {}}}})) == ["a[].b"]
    assert list(missing_fields(wanted, wanted)) == []


@pytest.mark.parametrize(
    ("about", "spec"),
    [
        ("GPU", {"training": {"resources": {"gpu": 1}}}),
        ("Kubeflow Trainer", {"training": {"nodes": 2}}),
        ("Kueue", {"training": {"placement": {"queue": "team"}}}),
        ("KEDA", {"serving": {"autoscaling": {"min": 1, "max": 3}}}),
        ("Kubeflow Pipelines", {"runner": {"type": "KubeflowPipelines"}}),
    ],
)
def test_a_part_is_missing_only_where_a_recommender_needs_it(make_cluster, about, spec):
    assert state_of(make_cluster(recommender()), about).state == "unused"
    found = state_of(make_cluster(recommender(**spec)), about)
    assert found.state == "missing"
    assert "shop/grocery" in found.detail


def test_one_node_needs_no_trainer_and_no_gpu(make_cluster):
    spec = {"training": {"nodes": 1, "resources": {"gpu": 0}}}
    for about in ("GPU", "Kubeflow Trainer"):
        assert state_of(make_cluster(recommender(**spec)), about).state == "unused"


@pytest.mark.parametrize(
    ("secrets", "state", "words"),
    [
        ({}, "missing", "Secret keys does not exist"),
        ({"keys": {"AWS_ACCESS_KEY_ID": "eA=="}}, "missing", "Secret keys lacks AWS_SECRET_ACCESS_KEY"),
        ({"keys": {"AWS_ACCESS_KEY_ID": "eA==", "AWS_SECRET_ACCESS_KEY": "eA=="}}, "ok", "has both keys"),
    ],
)
def test_the_secret_of_a_store_needs_both_keys(make_cluster, secrets, state, words):
    cluster = make_cluster(recommender(store={"secretRef": {"name": "keys"}}), secrets=secrets)
    found = state_of(cluster, "store of shop/grocery")
    assert (found.state, words in found.detail) == (state, True)


@pytest.mark.parametrize(
    ("endpoint", "state"),
    [
        ("http://seaweedfs:8333", "ok"),
        ("http://seaweedfs.shop:8333", "ok"),
        ("http://seaweedfs.shop.svc.cluster.local:8333", "ok"),
        ("http://weed:8333", "missing"),
        ("http://seaweedfs.storage.svc:8333", "missing"),
        ("https://s3.example.com", "ok"),
    ],
)
def test_an_s3_within_the_cluster_must_be_a_service(make_cluster, endpoint, state):
    services = [{"metadata": {"namespace": "shop", "name": "seaweedfs"}}]
    cluster = make_cluster(recommender(store={"endpoint": endpoint}), services=services)
    assert state_of(cluster, "S3 of shop/grocery").state == state


def test_redis_must_be_a_service(make_cluster):
    asks = recommender(features={"onlineStore": {"type": "Redis", "connection": "redis:6379"}})
    about = "features.onlineStore.connection of shop/grocery"
    assert state_of(make_cluster(asks), about).state == "missing"
    services = [{"metadata": {"namespace": "shop", "name": "redis"}}]
    assert state_of(make_cluster(asks, services=services), about).state == "ok"


def test_a_recommender_that_is_not_ready_says_why(make_cluster):
    waiting = recommender()
    waiting["status"]["conditions"][0] |= {"status": "False", "reason": "GateRefused", "message": "no better"}
    found = state_of(make_cluster(waiting), "recommender shop/grocery")
    assert (found.state, found.detail) == ("missing", "GateRefused: no better")


def test_a_recommender_on_its_way_is_nothing_to_mend(make_cluster):
    running = recommender()
    running["status"]["conditions"][0] |= {"status": "False", "reason": "Running", "message": "at part 1 of 1"}
    running["status"]["conditions"].append({"type": "Progressing", "status": "True"})
    found = state_of(make_cluster(running), "recommender shop/grocery")
    assert (found.state, found.remedy) == ("waiting", None)
    running["status"]["conditions"].append({"type": "Degraded", "status": "True"})
    assert state_of(make_cluster(running), "recommender shop/grocery").state == "missing"


@pytest.mark.parametrize("uri", ["file:///store", ".shoploop"])
def test_a_folder_as_a_store_needs_a_storage_class(make_cluster, uri):
    asks = recommender(store={"uri": uri})
    assert state_of(make_cluster(asks, storageclasses=[]), "storage").state == "missing"
    assert state_of(make_cluster(storageclasses=[]), "storage").state == "unused"


def test_without_kubectl_the_doctor_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ClusterUnavailable, match="kubectl is not on the PATH") as refused:
        examine(Kubectl())
    assert refused.value.exit_code == 2
