"""Two machines train together on a real Kubeflow Trainer: its absence is told, a killed worker costs no epoch."""

import json
import subprocess
import time

import pytest
from conftest import Cluster, Shop, condition, own_data
from workers import kill_second, workers

pytestmark = pytest.mark.cluster

EPOCHS = 12
TRAINING = {"resources": {"cpu": "300m", "memory": "2Gi"}, "epochs": EPOCHS, "nodes": 2}
BAR_SECONDS = 240
"""From the TrainJob to its end, the restart included."""


def test_two_nodes_train_and_serve(cluster: Cluster, together: str, record_property):
    kubebox = cluster.env.get("KUBEBOX")
    if kubebox is None:
        pytest.skip("only kubebox can be asked for the Kubeflow Trainer")
    namespace = together
    made = own_data(
        "grocery", namespace, training=TRAINING, augmentation={"mode": "Never"}, importance={"estimator": "None"},
        serving={"replicas": 1, "deadlineMilliseconds": 1000},
    )  # fmt: skip
    cluster.apply(made)
    shop = Shop(cluster=cluster, namespace=namespace, name="grocery", seconds_to_ready=0)

    def missing() -> str:
        one = condition(shop.recommender(), "Ready")
        return one["message"] if one["reason"] == "TrainerMissing" else ""

    told = shop.wait("the missing Trainer is told", missing, seconds=300)
    assert "is not installed" in told and "set spec.training.nodes to 1" in told
    subprocess.run([kubebox, "addon", "trainer"], check=True, env=cluster.env)
    begun = time.monotonic()

    def state() -> str:
        (found,) = cluster.items("trainjobs.trainer.kubeflow.org", "-n", namespace) or [{}]
        conditions = found.get("status", {}).get("conditions", [])
        return next((one["type"] for one in conditions if one["status"] == "True"), "Active" if found else "")

    def progress() -> dict:
        found = shop.recommender()["status"]["run"].get("progress") or {}
        return found if found.get("what") == "epochs" else {}  # before them trees tell a lesson

    before = shop.wait("the training says how far it is", progress, seconds=180)
    assert before["total"] == EPOCHS + 1 and before["loss"] > 0
    kill_second(shop)
    shop.wait("the TrainJob is done", lambda: state() == "Complete", seconds=BAR_SECONDS)
    seconds = time.monotonic() - begun
    record_property("seconds_of_the_train_job", round(seconds))
    print(f"\nfrom the Trainer to the TrainJob's end, with a killed worker: {seconds:.0f} s (bar: {BAR_SECONDS} s)")
    assert seconds < BAR_SECONDS
    log = cluster.kubectl("logs", workers(shop)["0"]["metadata"]["name"], "-n", namespace)
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    went_on = [event["done"] for event in events if (event["kind"], event.get("what")) == ("progress", "epochs")]
    assert went_on[-1] == EPOCHS + 1
    assert went_on[0] > before["done"], "epochs that were over before the worker was killed were done again"
    found = shop.wait_until_ready(seconds=300)
    assert found["status"]["run"]["nodes"] == 2 and found["status"]["run"]["progress"]["done"] == EPOCHS + 1
    assert len(shop.recommend("1", 3)["items"]) == 3
    cluster.kubectl("delete", "recommender", "grocery", "-n", namespace, "--timeout=120s", timeout=130)
    shop.wait("the TrainJob is gone", lambda: not state(), seconds=60)
