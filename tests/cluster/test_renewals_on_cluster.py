"""A version is brought up to date without training, in the pods that are there."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from conftest import Object, Shop, condition

pytestmark = pytest.mark.cluster

ONE_MORE_DAY = """
import shutil
events = "/store/data/events.csv"
shutil.copyfile(events, events + ".before")
lines = open(events).readlines()
last = [line for line in lines if line.startswith("31.05.2025")]
open(events, "a").writelines(line.replace("31.05.2025", "01.06.2025", 1) for line in last)
print(len(last))
"""
AS_BEFORE = "import os; os.replace('/store/data/events.csv.before', '/store/data/events.csv')"


def on_the_claim(shop: Shop, name: str, script: str) -> str:
    volumes = {"/store": {"persistentVolumeClaim": {"claimName": "store"}}}
    return shop.cluster.run_pod(shop.cluster.pod(shop.namespace, name, "python", "-c", script, volumes=volumes))


@pytest.fixture
def one_more_day(shop: Shop) -> Iterator[None]:
    """The shop's purchases, with another day after the last; whoever trains afterwards has the shop as it was."""
    assert int(on_the_claim(shop, "one-more-day", ONE_MORE_DAY)) > 3
    yield
    on_the_claim(shop, "as-before", AS_BEFORE)


def started(shop: Shop) -> dict[str, list[int]]:
    """How often the containers of each predictor pod were started again."""
    return {
        pod["metadata"]["uid"]: [one["restartCount"] for one in pod["status"]["containerStatuses"]]
        for pod in shop.pods(ending=True)
    }


def seconds(run: Object) -> float:
    began, ended = (datetime.fromisoformat(run[moment]) for moment in ("startedAt", "finishedAt"))
    return (ended - began).total_seconds()


def ask_for_a_renewal(shop: Shop, value: str) -> Object:
    """The Recommender once a renewal has come to its end."""
    where = (shop.name, "-n", shop.namespace)
    shop.cluster.kubectl("annotate", "recommender", *where, f"shoploop.io/renew={value}", "--overwrite")

    def ended() -> Object | None:
        live = shop.recommender()
        run = live["status"]["run"]
        return live if run.get("renewRequest") == value and run["phase"] != "Running" else None

    return dict(shop.wait(f"renewal {value} has ended", ended, seconds=300))


@pytest.mark.usefixtures("one_more_day")
def test_what_serves_is_brought_up_to_date_and_no_pod_moves(shop: Shop, record_property):
    shop.wait_until_ready()
    shop.wait(
        "no pod is on its way", lambda: len(shop.pods(ending=True)) == shop.recommender()["spec"]["serving"]["replicas"]
    )
    before, pods = shop.recommender()["status"], started(shop)

    status = ask_for_a_renewal(shop, "one more day")["status"]
    assert (status["run"]["trigger"], status["run"]["phase"]) == ("Renewal", "Succeeded"), status["run"]
    version = status["run"]["version"]
    taken = {run["trigger"]: seconds(run) for run in (status["trainingRun"], status["run"])}
    print(f"\nseconds from the decision to the end: {taken}")
    record_property("seconds", taken)
    serves = lambda: shop.recommender()["status"]["version"] == version  # noqa: E731
    shop.wait("the renewal serves", serves)
    status = shop.wait_until_ready()["status"]

    assert status["trainingRun"] == before.get("trainingRun", before["run"])
    assert condition({"status": status}, "RunSucceeded")["status"] == "True"
    assert condition({"status": status}, "Renewed")["status"] == "True"
    records = {
        found["spec"]["version"]: found["spec"] for found in shop.cluster.items("modelversions", "-n", shop.namespace)
    }
    assert records[version]["parent"] == before["version"]
    assert records[version]["lineage"]["trained"] == records[before["version"]]["lineage"]["data"]
    assert records[version]["lineage"]["data"] != records[before["version"]]["lineage"]["data"]
    assert shop.recommend("C0053", 5)["version"] == version
    assert started(shop) == pods

    status = ask_for_a_renewal(shop, "and again")["status"]
    assert condition({"status": status}, "Renewed")["reason"] == "NothingToRenew"
    assert condition({"status": status}, "Degraded")["status"] == "False"
    assert status["version"] == version
