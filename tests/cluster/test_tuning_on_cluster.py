"""A search of settings on a cluster: the API server takes what Katib would be given; without Katib two trials are done."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import Cluster, Shop, own_data

pytestmark = pytest.mark.cluster

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "experiments.kubeflow.org"},
    "spec": {
        "group": "kubeflow.org",
        "scope": "Namespaced",
        "names": {"kind": "Experiment", "singular": "experiment", "plural": "experiments"},
        "versions": [
            {
                "name": "v1beta1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
"""Katib's own, of manifests/v1beta1/components/crd/experiment.yaml: it takes any field."""


def shoploop(cluster: Cluster, *words: object) -> str:
    command = [sys.executable, "-m", "shoploop", *map(str, words)]
    done = subprocess.run(command, env=os.environ | cluster.env, text=True, capture_output=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_trials_are_taken_by_the_api_server_and_carried_out(shop: Shop, tmp_path: Path):
    """Over the shop that was trained: its samples are made already."""
    cluster, namespace = shop.cluster, shop.namespace
    file = tmp_path / "recommender.yaml"
    training = {"resources": {"cpu": "300m", "memory": "2Gi"}, "epochs": 1}
    file.write_text(yaml.safe_dump(own_data("grocery", namespace, training=training)))
    where = ("tune", "-f", file, "--on", "cluster", "-n", namespace, "--image", cluster.image, "--trials", 2)

    cluster.apply(CRD)
    cluster.kubectl("wait", "--for=condition=Established", "crd/experiments.kubeflow.org", "--timeout=30s")
    _, experiment = yaml.safe_load_all(shoploop(cluster, *where, "--manifests", "-"))
    dry = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", "-n", namespace)
    cluster.kubectl(*dry, stdin=json.dumps(experiment))
    text = json.dumps(experiment["spec"]["trialTemplate"]["trialSpec"])
    for given, value in {
        "trial": "t-1",
        "learningRate": "0.001",
        "epochs": "2",
        "adversarialRadius": "0.1",
    }.items():
        text = text.replace(f"${{trialParameters.{given}}}", value)
    job = json.loads(text)
    assert "$" not in text
    job["metadata"]["name"] = "as-katib-makes-it"
    cluster.kubectl(*dry, stdin=json.dumps(job))
    cluster.kubectl("delete", "crd", "experiments.kubeflow.org")

    try:
        found = json.loads(shoploop(cluster, *where, "--json", "-"))
        assert [trial["state"] for trial in found["trials"]] == ["done", "done"]
        assert found["trials"][0]["settings"] == found["present"] and found["verdict"]
        assert cluster.items("jobs", "-n", namespace, "-l", f"shoploop.io/study={found['study']}")
    finally:  # the story is told with nothing else there
        cluster.kubectl("delete", "jobs,configmaps", "-n", namespace, "-l", "shoploop.io/study", "--wait=true")
