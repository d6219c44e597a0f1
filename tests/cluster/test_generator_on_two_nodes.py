"""Two machines train augmentation's generator on a real Kubeflow Trainer, and one of them is killed amid its steps."""

import json
import subprocess

import pytest
from conftest import STORE, Cluster, Shop, claim, own_data
from workers import kill_second, workers

pytestmark = pytest.mark.cluster_full

WRITE_SHOP = """
from pathlib import Path
from shoploop.bench.scale import write_shop
folder = Path("/store/data")
folder.mkdir(exist_ok=True)
write_shop(folder, 20_000, events_a_shopper=40)
"""
"""Of 500 shoppers, so that there is a generator to train; those of examples/own-data are too few."""

FILES = {"interactions": "events", "items": "items"}
STEPS = "steps of the generator"
KILLED_AFTER = 100
"""Steps, of which a checkpoint is written."""


def test_a_killed_worker_costs_the_generator_no_step_that_a_checkpoint_has(cluster: Cluster, platform: str):
    kubebox = cluster.env.get("KUBEBOX")
    if kubebox is None:
        pytest.skip("only kubebox can be asked for the Kubeflow Trainer")
    subprocess.run([kubebox, "addon", "trainer"], check=True, env=cluster.env)
    with cluster.namespace("generator") as namespace:
        store = {"persistentVolumeClaim": {"claimName": "store"}}
        cluster.apply(claim(namespace))
        cluster.run_pod(cluster.pod(namespace, "put-shop", "python", "-c", WRITE_SHOP, volumes={"/store": store}))
        tables = {name: {"uri": f"{STORE}/data/{file}.parquet"} for name, file in FILES.items()}
        made = own_data(
            "grocery", namespace, data={"tables": tables}, augmentation={"mode": "Always"},
            importance={"estimator": "None"},
            training={"resources": {"cpu": "300m", "memory": "2Gi"}, "epochs": 1, "nodes": 2},
            serving={"replicas": 0},
        )  # fmt: skip
        cluster.apply(made)
        shop = Shop(cluster=cluster, namespace=namespace, name="grocery", seconds_to_ready=0)

        def steps() -> dict:
            progress = shop.recommender()["status"].get("run", {}).get("progress") or {}
            return progress if progress.get("what") == STEPS and progress["done"] >= KILLED_AFTER else {}

        before = shop.wait("the generator's steps are told", steps, seconds=420)
        kill_second(shop)

        def went_on() -> list[dict]:
            log = cluster.log(workers(shop)["0"]["metadata"]["name"], namespace)
            told = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
            return [one for one in told if one["kind"] == "progress" and one.get("what") == STEPS]

        first = shop.wait("the generator goes on", went_on, seconds=240)[0]
        assert first["done"] > before["done"], "steps that a checkpoint has were done again"
        found = shop.wait(
            "the run is over", lambda: (one := shop.recommender())["status"]["run"]["phase"] == "Succeeded" and one,
            seconds=420,
        )  # fmt: skip
        assert found["status"]["run"]["nodes"] == 2
        cluster.kubectl("delete", "recommender", "grocery", "-n", namespace, "--timeout=120s", timeout=130)
