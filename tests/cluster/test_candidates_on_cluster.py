"""A version is tried beside the one that serves, promoted, rolled back and pinned, in the pods that are there."""

import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest
from conftest import Cluster, Object, Shop, condition
from test_serving_faults import load, no_request_failed, uids

pytestmark = pytest.mark.cluster

WITHIN_SECONDS = 2.0
"""From an entry in the store to an answer of each pod by the version that it names: once, for others use the machine, too."""

SHARE = """
import collections, json, sys, urllib.request
open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
found = collections.Counter()
for number in range(int(sys.argv[1])):
    body = json.dumps({"user": f"shopper-{number}", "k": 3}).encode()
    for pod in sys.argv[2:]:
        request = urllib.request.Request(f"http://{pod}/recommend", body, {"content-type": "application/json"})
        with open_(request, timeout=20) as answer:
            found[json.loads(answer.read())["version"]] += 1
print(json.dumps(found))
"""

SERVED = """
import json, sys, time, urllib.request
open_ = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
wanted, *pods = sys.argv[1:]
deadline, seen = time.time() + 90, {}
while len(seen) < len(pods) and time.time() < deadline:
    for pod in pods:
        body = json.dumps({"user": "somebody", "k": 3}).encode()
        request = urllib.request.Request(f"http://{pod}/recommend", body, {"content-type": "application/json"})
        with open_(request, timeout=20) as answer:
            if pod not in seen and json.loads(answer.read())["version"] == wanted:
                seen[pod] = time.time()
    time.sleep(0.02)
print(json.dumps(seen))
"""

LAST = """
import json, pathlib
found = sorted(pathlib.Path("/store/recommenders/grocery/promotions").glob("*.json"))[-1]
print(json.dumps(json.loads(found.read_text()) | {"number": int(found.stem)}))
"""


def begin(cluster: Cluster, script: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [os.environ["SHOPLOOP_KUBEBOX"], "exec", "--", sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(process: "subprocess.Popen[str]", *, seconds: float = 120) -> Any:
    told, said = process.communicate(timeout=seconds)
    assert process.returncode == 0, said[-3000:]
    return json.loads(told.splitlines()[-1])


def addresses(shop: Shop) -> list[str]:
    return [f"{pod['status']['podIP']}:3000" for pod in shop.pods()]


def serves(shop: Shop, version: str) -> Object:
    def found() -> Object | None:
        live = shop.recommender()
        return live if live["status"].get("version") == version else None

    return dict(shop.wait(f"{version} serves", found, seconds=120))


def last_entry(shop: Shop) -> Object:
    volumes = {"/store": {"persistentVolumeClaim": {"claimName": "store"}}}
    pod = shop.cluster.pod(shop.namespace, f"last-{time.time_ns() % 10**9}", "python", "-c", LAST, volumes=volumes)
    return dict(json.loads(shop.cluster.run_pod(pod)))


def annotate(shop: Shop, value: str) -> None:
    where = (shop.name, "-n", shop.namespace)
    shop.cluster.kubectl("annotate", "recommender", *where, f"shoploop.io/serve={value}", "--overwrite")


def revision(shop: Shop) -> int:
    told = shop.cluster.helm("history", shop.name, "-n", shop.namespace, "-o", "json")
    return int(json.loads(told)[-1]["revision"])


def since(entry: Object, seen: dict[str, float]) -> float:
    """Seconds from an entry's time to the last pod's first answer by it."""
    from datetime import datetime

    return round(max(seen.values()) - datetime.fromisoformat(entry["time"]).timestamp(), 2)


def test_a_candidate_is_tried_promoted_rolled_back_and_pinned_without_a_failed_request_or_a_moved_pod(
    shop: Shop, record_property
):
    first = shop.recommender()["status"]["version"]
    shop.rolled_out()
    shop.patch(serving={"candidate": {"percent": 10}}, training={"epochs": 2})
    before, history = uids(shop), revision(shop)
    assert len(before) == 2
    taken: dict[str, list[float]] = {"asked": [], "written": []}
    with load(shop, "load-candidate") as result:

        def tried() -> Object | None:
            live = shop.recommender()
            return live if condition(live, "Candidate")["status"] == "True" else None

        live = shop.wait("a candidate", tried, seconds=420)
        second = live["status"]["serving"]["candidate"]["version"]
        assert second != first == live["status"]["version"]
        found = ended(begin(shop.cluster, SHARE, 200, *addresses(shop)))
        print(f"\nat 10 %: {found}")
        assert 8 <= found[second] <= 80 and found[second] + found[first] == 400
        told = lambda: shop.recommender()["status"]["serving"]["candidate"]  # noqa: E731
        shop.wait("its answers are counted", lambda: told()["given"] and told()["pods"] == 2, seconds=60)

        for words, version in ((f"promote {second}", second), ("rollback", first), (f"promote {second} again", second)):
            watch = begin(shop.cluster, SERVED, version, *addresses(shop))
            asked = time.time()
            annotate(shop, words)
            seen = ended(watch)
            assert len(seen) == 2, f"{words}: not all pods serve {version}"
            serves(shop, version)
            taken["asked"].append(round(max(seen.values()) - asked, 2))
            taken["written"].append(since(last_entry(shop), seen))
        watch = begin(shop.cluster, SERVED, first, *addresses(shop))
        shop.patch(serving={"pinnedVersion": first})
        seen = ended(watch)
        assert len(seen) == 2
        serves(shop, first)
        taken["written"].append(since(last_entry(shop), seen))
        shop.patch(serving={"pinnedVersion": None, "candidate": None})
        serves(shop, second)
    print(f"seconds until both pods served it, from the entry {taken['written']}, from kubectl {taken['asked']}")
    record_property("seconds", taken)
    no_request_failed(result)
    assert min(taken["written"]) <= WITHIN_SECONDS
    assert uids(shop) == before, "no pod has moved"
    assert revision(shop) == history, "nothing of it is a revision"
    live = shop.recommender()
    assert condition(live, "Ready")["status"] == "True"
    reasons = {
        one["reason"]
        for one in shop.cluster.items(
            "events", "-n", shop.namespace, "--field-selector", "involvedObject.kind=Recommender"
        )
    }
    assert {"CandidateAnswers", "ServeDecided", "Exchanged"} <= reasons


def test_a_pod_that_comes_later_begins_with_what_serves(shop: Shop):
    annotated = shop.recommender()["status"]["serving"]["promoted"]
    other = next(
        record["spec"]["version"]
        for record in shop.cluster.items("modelversions", "-n", shop.namespace)
        if record["spec"]["version"] != annotated
    )
    annotate(shop, f"promote {other} for whoever comes later")
    serves(shop, other)
    gone = shop.pods()[0]["metadata"]["name"]
    shop.cluster.kubectl("delete", "pod", gone, "-n", shop.namespace, "--wait=true", "--timeout=120s", timeout=130)
    shop.rolled_out()
    assert set(ended(begin(shop.cluster, SHARE, 3, *addresses(shop)))) == {other}
