"""Tenants on a real Kueue: what one asks for waits for that tenant's own quota, and never for another's.

It comes last of all: Kueue, which stays, is asked about every Job from then on.
"""

import subprocess

import pytest
from conftest import RESTRICTED, Cluster, Object

from shoploop.api.pods import queued
from shoploop.api.v1alpha1 import RecommenderSpec

pytestmark = pytest.mark.cluster

KUEUE = "kueue.x-k8s.io/v1beta1"
CPU = "50m"
"""The quota of each tenant, and what each Job asks for."""


def tenant(name: str) -> list[Object]:
    """Namespace, quota and queue."""
    flavor = {"name": "any", "resources": [{"name": "cpu", "nominalQuota": CPU}]}
    group = {"coveredResources": ["cpu"], "flavors": [flavor]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}},
        {
            "apiVersion": KUEUE, "kind": "ClusterQueue", "metadata": {"name": name},
            "spec": {"namespaceSelector": selector, "resourceGroups": [group]},
        },
        {
            "apiVersion": KUEUE, "kind": "LocalQueue", "metadata": {"name": f"{name}-queue", "namespace": name},
            "spec": {"clusterQueue": name},
        },
    ]  # fmt: skip


def job(cluster: Cluster, namespace: str, name: str, queue: str) -> Object:
    """A Job as a run's is: in the queue that the spec names, and suspended until there is room."""
    pod = cluster.pod(namespace, name, "sleep", "600")["spec"]
    pod["containers"][0]["resources"] = {"requests": {"cpu": CPU}}
    made = {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": namespace, "labels": {}},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }  # fmt: skip
    training = {"placement": {"queue": queue}}
    return queued(made, RecommenderSpec.model_validate({"data": {"dataset": "any"}, "training": training}))


def test_one_tenants_jobs_wait_for_its_own_quota_and_leave_anothers_alone(cluster: Cluster):
    kubebox = cluster.env.get("KUBEBOX")
    if kubebox is None:
        pytest.skip("only kubebox can be asked for Kueue")
    subprocess.run([kubebox, "addon", "kueue"], check=True, env=cluster.env)

    def goes_on(namespace: str, name: str) -> bool:
        return cluster.get("job", name, "-n", namespace)["spec"].get("suspend") is False

    north, south = "kueue-north", "kueue-south"
    try:
        cluster.apply({"apiVersion": KUEUE, "kind": "ResourceFlavor", "metadata": {"name": "any"}})
        for name in (north, south):
            cluster.apply(*tenant(name))
        cluster.apply(job(cluster, north, "first", f"{north}-queue"))
        cluster.wait("the first Job is admitted", lambda: goes_on(north, "first"), seconds=60)
        cluster.apply(
            job(cluster, north, "second", f"{north}-queue"), job(cluster, north, "trespasses", f"{south}-queue")
        )
        cluster.apply(job(cluster, south, "first", f"{south}-queue"))
        cluster.wait("the other tenant's is admitted", lambda: goes_on(south, "first"), seconds=60)
        assert not goes_on(north, "second"), "the quota is for one"
        assert not goes_on(north, "trespasses"), "another tenant's queue is none of this namespace"
        cluster.kubectl("delete", "job", "first", "-n", north)
        cluster.wait("the second is admitted when there is room", lambda: goes_on(north, "second"), seconds=60)
        assert not goes_on(north, "trespasses")
    finally:
        cluster.kubectl("delete", "namespace", north, south, "--wait=false", "--ignore-not-found")
        cluster.kubectl("delete", "clusterqueue", north, south, "--wait=false", "--ignore-not-found")
