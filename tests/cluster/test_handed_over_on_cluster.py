"""The task that trains on Kubeflow Pipelines, in a pod of its own, has two machines train on a real Kubeflow Trainer."""

import json
import subprocess

import pytest
from conftest import Cluster, Failed, own_data

from shoploop.runs import train_job

pytestmark = pytest.mark.cluster

TASKS = """
import json, sys, tempfile
from pathlib import Path
from shoploop.api.v1alpha1 import Recommender
from shoploop.runs.kubeflow import task
from shoploop.steps import needed_by
from shoploop.steps.parameters import arguments_of
document = json.loads(sys.argv[1])
given = arguments_of(Recommender.model_validate(document).spec)
begun = task.begin(document, given, run="20261128-120000-abcd")
for step in needed_by("train_fused"):
    out = Path(tempfile.mkdtemp())
    task.carry_out(step, settings={}, inputs={}, out=out, place=begun.place, due=begun.due[step])
print("all done")
"""
"""What Kubeflow's pods do one after another: the plan, and each task up to the training."""


def test_two_machines_train_for_a_task_that_may_ask_for_them(cluster: Cluster, together: str):
    """What comes before the training was done by the operator's run of the same shop, and is reused."""
    kubebox = cluster.env.get("KUBEBOX")
    if kubebox is None:
        pytest.skip("only kubebox can be asked for the Kubeflow Trainer")
    namespace = together
    made = own_data(
        "grocery", namespace, augmentation={"mode": "Never"}, importance={"estimator": "None"},
        training={"resources": {"cpu": "200m", "memory": "2Gi"}, "epochs": 1, "nodes": 2},
        runner={
            "type": "KubeflowPipelines", "image": cluster.image, "volumes": [{"claim": "store", "path": "/store"}],
        },
    )  # fmt: skip
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner", "namespace": namespace}}
    cluster.apply(account)
    subprocess.run([kubebox, "addon", "trainer"], check=True, env=cluster.env)

    def run(name: str) -> str:
        claim = {"persistentVolumeClaim": {"claimName": "store"}}
        pod = cluster.pod(namespace, name, "python", "-c", TASKS, json.dumps(made), volumes={"/store": claim})
        pod["spec"] |= {"serviceAccountName": "runner", "automountServiceAccountToken": True}
        field = {name: {"fieldRef": {"fieldPath": path}} for name, path in FIELDS.items()}
        pod["spec"]["containers"][0]["env"] = [{"name": "HOME", "value": "/tmp"}] + [
            {"name": name, "valueFrom": source} for name, source in field.items()
        ]
        return cluster.run_pod(pod, seconds=420)

    with pytest.raises(Failed, match=f"--serviceaccount={namespace}:runner"):
        run("without-rights")
    kinds = ",".join(f"{plural}.{train_job.GROUP}" for plural in train_job.KINDS.values())
    role = ("--verb=get,create,patch,delete", f"--resource={kinds}", "-n", namespace)
    cluster.kubectl("create", "role", "shoploop-train", *role)
    bound = ("--role=shoploop-train", f"--serviceaccount={namespace}:runner", "-n", namespace)
    cluster.kubectl("create", "rolebinding", "shoploop-train", *bound)
    told = run("with-rights")
    assert "all done" in told and "2 machines" in told
    assert "build_samples: unchanged, reused" in told, "what was done before is not done again"
    assert not cluster.items(f"trainjobs.{train_job.GROUP}", "-n", namespace), "nothing is left of it"


FIELDS = {"SHOPLOOP_POD": "metadata.name", "SHOPLOOP_POD_UID": "metadata.uid"}
