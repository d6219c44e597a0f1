"""The fault matrix: whatever ends at whatever moment, the same world comes about, once."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from conftest import PLATFORM, Cluster, Object, Shop, own_data, put_data
from prepared import RELEASED, Prepared, prepared, recommender, version
from test_operator_repairs import BAR_SECONDS, kill_operator, operator_runs

pytestmark = pytest.mark.cluster_full

SEEN = "recommenders,jobs,configmaps,modelversions,deployments,secrets"


class World:
    """What there is in one namespace at a moment, by kind."""

    def __init__(self, cluster: Cluster, namespace: str):
        self.objects = cluster.items(SEEN, "-n", namespace)

    def __call__(self, kind: str) -> list[Object]:
        return [found for found in self.objects if found["kind"] == kind]

    @property
    def status(self) -> Object:
        (found,) = self("Recommender")
        return dict(found.get("status", {}))


def job_is(field: str) -> Callable[[World], bool]:
    return lambda world: any(job.get("status", {}).get(field) for job in world("Job"))


PHASES: dict[str, Callable[[World], bool]] = {
    "it was found": lambda world: bool(world("Recommender")[0]["metadata"].get("finalizers")),
    "a run was begun": lambda world: world.status.get("run", {}).get("phase") == "Running",
    "the run's Job is there": lambda world: bool(world("Job")),
    "its pod runs": job_is("ready"),
    "its pod is done": job_is("succeeded"),
    "the version is recorded": lambda world: bool(world("ModelVersion")),
    "Helm has begun": lambda world: any(one["type"] == "helm.sh/release.v1" for one in world("Secret")),
    "the predictor is made": lambda world: bool(world("Deployment")),
    "it is ready": lambda world: any(
        one["type"] == "Ready" and one["status"] == "True" for one in world.status["conditions"]
    ),
}


def test_an_operator_killed_in_every_phase_makes_one_story_of_it(cluster: Cluster, platform: str):
    with cluster.namespace("phases") as namespace:
        put_data(cluster, namespace)
        cluster.apply(own_data("grocery", namespace, serving={"replicas": 1}))
        shop = Shop(cluster=cluster, namespace=namespace, name="grocery", seconds_to_ready=0)
        for phase, reached in PHASES.items():
            shop.wait(phase, lambda reached=reached: reached(World(cluster, namespace)), seconds=300)
            kill_operator(cluster)
            print(f"\nkilled once {phase}", end="")
        shop.wait_until_ready()
        world = World(cluster, namespace)
        (job,), (record,) = world("Job"), world("ModelVersion")
        assert world.status["run"]["id"] == record["spec"]["run"] == job["metadata"]["labels"]["shoploop.io/run"]
        assert world.status["release"]["revision"] == 1
        assert len(shop.recommend("1", 3)["items"]) == 3

        cluster.kubectl("delete", "modelversion", record["metadata"]["name"], "-n", namespace)
        again = shop.wait("the record is back", lambda: World(cluster, namespace)("ModelVersion"), seconds=BAR_SECONDS)
        assert again[0]["spec"] == record["spec"]
        shop.wait_until_ready()

        cluster.kubectl("delete", "recommender", "grocery", "-n", namespace, "--wait=false")
        kill_operator(cluster)
        gone = lambda: cluster.find("recommender", "grocery", "-n", namespace) is None  # noqa: E731
        shop.wait("it is gone", gone, seconds=180)
        assert cluster.items("deployments,secrets,modelversions", "-n", namespace, "-l", "owner=helm") == []


def test_what_a_run_under_way_needs_comes_back_when_it_is_deleted(cluster: Cluster, platform: str):
    with cluster.namespace("mid-run") as namespace:
        put_data(cluster, namespace)
        cluster.apply(own_data("grocery", namespace, serving={"replicas": 0}))
        shop = Shop(cluster=cluster, namespace=namespace, name="grocery", seconds_to_ready=0)
        shop.wait("the run", lambda: job_is("ready")(World(cluster, namespace)), seconds=90)
        for kind in ("Job", "ConfigMap"):
            (child,) = (
                c for c in World(cluster, namespace)(kind) if "shoploop.io/run" in c["metadata"].get("labels", {})
            )
            name, uid = child["metadata"]["name"], child["metadata"]["uid"]
            cluster.kubectl("delete", kind.lower(), name, "-n", namespace)

            def back(kind: str = kind, name: str = name, uid: str = uid) -> bool:
                found = cluster.find(kind.lower(), name, "-n", namespace)
                return found is not None and found["metadata"]["uid"] != uid

            shop.wait(f"{kind} is back", back, seconds=BAR_SECONDS)
        shop.wait_until_ready(seconds=300)
        cluster.kubectl("delete", "recommender", "grocery", "-n", namespace, "--timeout=90s", timeout=100)


@pytest.fixture(scope="module")
def at_rest(cluster: Cluster, platform: str) -> Iterator[Prepared]:
    with prepared(cluster, "faults") as made:
        yield made


def test_notes_of_helm_that_are_deleted_are_written_again(at_rest: Prepared):
    cluster, where = at_rest.cluster, at_rest.where
    kept = {kind: cluster.get(kind, "grocery-predictor", *where)["metadata"]["uid"] for kind in RELEASED}
    cluster.kubectl("delete", "secrets", "-l", "owner=helm", *where)
    at_rest.wait(
        "the release is back", lambda: cluster.items("secrets", "-l", "owner=helm", *where), seconds=BAR_SECONDS
    )
    at_rest.wait_for("Ready", "ScaledToZero")
    assert at_rest.revisions()[-1]["status"] == "deployed"
    assert kept == {kind: cluster.get(kind, "grocery-predictor", *where)["metadata"]["uid"] for kind in RELEASED}


@contextmanager
def nothing_else_changed(shop: Prepared) -> Iterator[None]:
    revisions, run = len(shop.revisions()), shop.live()["status"].get("run")
    yield
    shop.wait_for("Ready", "ScaledToZero", seconds=120)
    assert (len(shop.revisions()), shop.live()["status"].get("run")) == (revisions, run)


@pytest.mark.parametrize("component", ["apiserver", "etcd", "controller-manager"])
def test_a_part_of_the_cluster_that_is_killed_is_outlived(at_rest: Prepared, component: str):
    cluster, where = at_rest.cluster, at_rest.where
    if "KUBEBOX" not in cluster.env:
        pytest.skip("only kubebox lets a test kill parts of the cluster")
    with nothing_else_changed(at_rest):
        cluster.kill(component)
        cluster.wait("the API server answers", lambda: answers(cluster), seconds=60)
        cluster.wait("the operator runs", lambda: operator_runs(cluster), seconds=90)
        before = cluster.get("service", "grocery-predictor", *where)["metadata"]["uid"]
        cluster.kubectl("delete", "service", "grocery-predictor", *where)
        began = time.monotonic()

        def back() -> bool:
            found = cluster.find("service", "grocery-predictor", *where)
            return found is not None and found["metadata"]["uid"] != before

        at_rest.wait("the Service is back", back, seconds=BAR_SECONDS)
        print(f"\n{component} killed: repaired {time.monotonic() - began:.1f} s after the deletion")


def answers(cluster: Cluster) -> bool:
    try:
        return cluster.kubectl("get", "--raw", "/readyz") == "ok"
    except AssertionError:
        return False


def test_a_spec_that_changes_while_the_api_server_is_away_is_seen(at_rest: Prepared):
    cluster = at_rest.cluster
    if "KUBEBOX" not in cluster.env:
        pytest.skip("only kubebox lets a test kill parts of the cluster")
    before = len(at_rest.revisions())
    at_rest.patch(serving={"deadlineMilliseconds": 444})
    cluster.kill("apiserver")
    cluster.wait("the API server answers", lambda: answers(cluster), seconds=60)
    at_rest.wait("a revision", lambda: len(at_rest.revisions()) == before + 1, seconds=60)
    at_rest.wait_for("Ready", "ScaledToZero")


def test_two_recommenders_of_one_name_in_two_namespaces_do_not_know_each_other(cluster: Cluster, platform: str):
    with prepared(cluster, "twin-a") as first, cluster.namespace("twin-b") as other:
        made = recommender("grocery", other)
        cluster.apply(version(made), made)
        second = Prepared(cluster=cluster, namespace=other)
        second.wait_for("Ready", "ScaledToZero")
        before = first.revisions()
        second.patch(serving={"deadlineMilliseconds": 321})
        second.wait("a revision", lambda: len(second.revisions()) == 2)
        cluster.kubectl("delete", "recommender", "grocery", "-n", other, "--timeout=60s")
        assert cluster.items("deployments,services", *second.where) == []
        assert first.revisions() == before
        assert all(cluster.find(kind, "grocery-predictor", *first.where) for kind in RELEASED)
        first.wait_for("Ready", "ScaledToZero")


def test_a_killed_operator_leaves_no_finalizer_and_no_second_release(at_rest: Prepared):
    cluster = at_rest.cluster
    before = at_rest.revisions()
    for _ in range(3):
        kill_operator(cluster)
        cluster.wait("the operator runs", lambda: operator_runs(cluster), seconds=90)
    at_rest.wait_for("Ready", "ScaledToZero")
    assert at_rest.revisions() == before
    assert len(cluster.items("pods", "-n", PLATFORM, "-l", "app.kubernetes.io/component=operator")) == 1
