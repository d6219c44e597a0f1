"""Every example and every bad spec goes through the real API server."""

import json
from pathlib import Path

import pytest
from conftest import ROOT, Cluster, Failed

pytestmark = pytest.mark.cluster

BAD = sorted((ROOT / "tests" / "api" / "bad").glob("*.yaml"))
EXAMPLES = sorted((ROOT / "examples").glob("*/recommender.yaml"))

SAYS = {
    "autoscaling-reversed": "min must not exceed max",
    "candidate-percent-101": "should be less than or equal to 99",
    "confidence-half": "should be greater than 0.5",
    "cron-three-fields": "spec.schedule.cron in body should match",
    "data-check-always": "spec.dataCheck.everyMinutes in body should be greater than or equal to 1",
    "column-with-comma": "spec.serving.itemFields[0] in body should match",
    "empty-surfaces": "should have at least 1 items",
    "memory-no-quantity": "spec.training.resources.memory in body should match",
    "name-too-long": "metadata.name must be 1 to 40 lower-case letters",
    "name-upper-case": "metadata.name must be 1 to 40 lower-case letters",
    "negative-replicas": "should be greater than or equal to 0",
    "no-data": "spec.data: Required value",
    "origin-with-path": "spec.serving.allowedOrigins[0] in body should match",
    "replicas-and-autoscaling": "replicas and autoscaling exclude each other",
    "replicas-in-quotes": "must be of type integer",
    "sqlite-log-autoscaling": "an online log of type Sqlite serves one pod",
    "sqlite-log-many-pods": "an online log of type Sqlite serves one pod",
    "kafka-on-a-claim": "claim is for a log of type Sqlite",
    "kafka-with-a-url": "spec.online.log.connection in body should match",
    "redis-without-address": "a log of type Redis or Kafka needs connection",
    "sqlite-log-without-learner-many-pods": "an online log of type Sqlite serves one pod",
    "sqlite-with-address": "a log of type Redis or Kafka needs connection",
    "offers-of-own-tables": "offers asks for those of a dataset; your own are the table tables.offers",
    "two-sources": "name exactly one of dataset and tables",
    "unknown-field": 'unknown field "spec.trainig"',
    "password-in-an-address": "log.connection must hold no username or password",
    "tls-to-a-plain-redis": "connection redis:// is without TLS",
    "unknown-nested-field": 'unknown field "spec.serving.replica"',
    "unknown-runner": 'supported values: "Job", "KubeflowPipelines"',
}


def refused(cluster: Cluster, *args: object, stdin: str | None = None) -> str:
    with pytest.raises(Failed) as error:
        cluster.kubectl(*args, stdin=stdin)
    return str(error.value)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_spec_is_refused_with_its_rule(cluster: Cluster, platform: str, path: Path):
    assert SAYS[path.stem] in refused(cluster, "create", "--dry-run=server", "-f", path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_is_accepted(cluster: Cluster, platform: str, path: Path):
    assert "server dry run" in cluster.kubectl("create", "--dry-run=server", "-f", path)


def test_defaults_are_filled_in_and_replicas_is_left_open(cluster: Cluster, platform: str):
    made = cluster.kubectl("create", "--dry-run=server", "-o", "json", "-f", EXAMPLES[0])
    spec = json.loads(made)["spec"]
    assert (spec["training"]["epochs"], spec["gate"]["metric"]) == (4, "ndcg@10")
    assert "replicas" not in spec["serving"]


def test_what_may_not_change_cannot_change(cluster: Cluster, platform: str):
    with cluster.namespace("crd-changes") as namespace:
        spec = {"data": {"dataset": "x"}, "suspend": True}
        meta = {"name": "grocery", "namespace": namespace}
        cluster.apply(
            {"apiVersion": "shoploop.io/v1alpha1", "kind": "Recommender", "metadata": meta, "spec": spec},
            {
                "apiVersion": "shoploop.io/v1alpha1",
                "kind": "ModelVersion",
                "metadata": meta | {"name": "grocery-v1"},
                "spec": {"recommender": "grocery", "version": "v1"},
            },
        )  # fmt: skip
        where = ("-n", namespace, "--type=merge", "-p")
        moved = refused(cluster, "patch", "recommender", "grocery", *where, '{"spec": {"store": {"uri": "s3://b"}}}')
        assert "store.uri cannot be changed" in moved
        forged = refused(
            cluster, "patch", "modelversion", "grocery-v1", *where, '{"spec": {"metrics": {"ndcg@10": 1}}}'
        )
        assert "a ModelVersion is a record and cannot be changed" in forged
        cluster.kubectl("scale", "recommender", "grocery", "--replicas=3", "-n", namespace)
        assert cluster.get("recommender", "grocery", "-n", namespace)["spec"]["serving"]["replicas"] == 3
        cluster.kubectl("delete", "recommender", "grocery", "-n", namespace, "--timeout=60s")


def test_kubectl_explains_and_lists(cluster: Cluster, platform: str):
    assert "How often updated weights are offered" in cluster.kubectl("explain", "recommender.spec.online")
    short = cluster.kubectl("api-resources", "--api-group=shoploop.io", "--no-headers")
    assert "rec,recs" in short and "mv" in short
    cluster.kubectl("get", "shoploop", "-A")
