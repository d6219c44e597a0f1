"""What shoppers do, on a cluster: what one predictor takes counts at the other, and a kill -9 loses nothing."""

import base64
import json
import os
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from conftest import Cluster, Object, Shop
from redis_server import PASSWORD, Redis, kill_9, secret, serving

pytestmark = pytest.mark.cluster

SERVER_KEY = base64.b64encode(b"a key of the shop's own servers.").decode()
WITHIN_SECONDS = 1.5
"""From the acceptance at one pod to another answer of the other; the goal is a second."""

ENOUGH = 1000
"""Events that make a test worth something."""

COUNTS = """
import json, sys, time, urllib.request

one, other, key, user = sys.argv[1:]


def ask(pod, path, body, **headers):
    headers["content-type"] = "application/json"
    request = urllib.request.Request(f"http://{pod}:3000{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.status, json.loads(answer.read())


wanted = {"user": user, "k": 20}
before = ask(other, "/recommend", wanted)[1]
event = {"id": "1", "kind": "purchase", "user": user, "item": before["items"][-1]["item"]}
status, told = ask(one, "/events", {"events": [event]}, authorization=f"Bearer {key}")
accepted = time.monotonic()
while time.monotonic() < accepted + 30:
    after = ask(other, "/recommend", wanted)[1]
    if after["method"] != before["method"]:
        break
    time.sleep(0.02)
seconds = round(time.monotonic() - accepted, 3)
print(json.dumps({"status": status, "told": told, "seconds": seconds, "before": before, "after": after}))
"""

SEND = """
import json, sys, threading, time, urllib.request
from pathlib import Path

label, key, *pods = sys.argv[1:]
STOP = Path("/tmp/stop")
accepted, refused = [], []


def send(number):
    batch = 0
    while not STOP.exists():
        names = [f"{label}-{number}-{batch}-{n}" for n in range(20)]
        events = [{"id": name, "kind": "view", "user": name, "item": name} for name in names]
        attempt = 0
        while True:  # as a shop's backend does: the same events again, at the next pod, until somebody has taken them
            pod = pods[(number + attempt) % len(pods)]
            headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
            request = urllib.request.Request(
                f"http://{pod}:3000/events", json.dumps({"events": events}).encode(), headers
            )
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    assert answer.status == 202 and json.loads(answer.read())["accepted"] == len(events)
                break
            except Exception as error:
                refused.append(f"{pod}: {type(error).__name__}: {error}")
                attempt += 1
                time.sleep(0.1)
        accepted.extend(event["item"] for event in events)
        batch += 1
        time.sleep(0.1)


threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
print("started", flush=True)
for thread in threads:
    thread.join()
print(json.dumps({"accepted": accepted, "refused": refused}))
"""


@pytest.fixture(scope="module")
def redis(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with serving(cluster, tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture(scope="module")
def collecting(shop: Shop, redis: Redis) -> Iterator[Shop]:
    """The shop, once its two predictors collect events; afterwards it collects none again."""
    shop.cluster.apply(
        secret(shop.namespace, "impressions", **{"1__key": base64.b64encode(os.urandom(32)).decode()}),
        secret(shop.namespace, "servers", shop__key=SERVER_KEY),
        secret(shop.namespace, "redis", password=PASSWORD),
    )
    log = {"type": "Redis", "connection": redis.address, "secretRef": {"name": "redis"}}
    keys = {"impressions": {"name": "impressions"}, "server": {"name": "servers"}}
    # thousands of events of nobody are to become no interactions, or whoever trains afterwards has another shop
    online = {"log": log, "keys": keys, "compactEveryMinutes": 10_080}
    shop.patch(online=online, serving={"replicas": 2})
    shop.wait_until_ready(seconds=300)
    shop.wait("two pods and no more", lambda: len(shop.pods(ending=True)) == 2)
    yield shop
    redis.kill()
    redis.start()  # whatever a test left
    shop.patch(online={"log": None, "keys": None}, serving={"replicas": 2})
    shop.wait_until_ready(seconds=300)


def address(pod: Object) -> str:
    return str(pod["status"]["podIP"])


def restarts(shop: Shop) -> int:
    return sum(status["restartCount"] for pod in shop.pods() for status in pod["status"]["containerStatuses"])


def all_ready(shop: Shop) -> bool:
    statuses = [status for pod in shop.pods() for status in pod["status"].get("containerStatuses", [])]
    return len(statuses) == 2 and all(status["ready"] for status in statuses)


def ask(shop: Shop, name: str, script: str, *arguments: str, seconds: float = 120) -> Object:
    """Runs a script within the cluster to its end; returns what it printed."""
    pod = shop.cluster.pod(shop.namespace, name, "python", "-c", script, *arguments)
    return dict(json.loads(shop.cluster.run_pod(pod, seconds=seconds)))


def test_an_event_at_one_pod_counts_in_the_next_answer_of_the_other(collecting: Shop, record_property):
    one, other = (address(pod) for pod in collecting.pods())
    taken = []
    for number in range(3):
        found = ask(collecting, f"counts-{number}", COUNTS, one, other, SERVER_KEY, f"new-shopper-{number}")
        assert (found["status"], found["told"]["accepted"]) == (202, 1)
        assert (found["before"]["method"], found["after"]["method"]) == ("popularity", "fused")
        assert found["before"]["impression"] and found["after"]["impression"]
        taken.append(found["seconds"])
        one, other = other, one
    print(f"\nan event counted at the other pod after {', '.join(f'{seconds:.2f}' for seconds in taken)} s")
    record_property("seconds_to_count", taken)
    assert max(taken) <= WITHIN_SECONDS


def sent_while(shop: Shop, name: str, fault) -> Object:
    """What was accepted while something went wrong."""
    pods = [address(pod) for pod in shop.pods()]
    cluster, where = shop.cluster, ("-n", shop.namespace)
    cluster.apply(cluster.pod(shop.namespace, name, "python", "-c", SEND, name, SERVER_KEY, *pods))
    shop.wait("the senders", lambda: "started" in cluster.log(name, shop.namespace), seconds=60)
    time.sleep(5)
    fault()
    time.sleep(5)
    cluster.kubectl("exec", name, *where, "--", "touch", "/tmp/stop")
    shop.wait("their end", lambda: cluster.get("pod", name, *where)["status"]["phase"] == "Succeeded")
    found = json.loads(cluster.kubectl("logs", name, *where).splitlines()[-1])
    cluster.kubectl("delete", "pod", name, *where, "--wait=false")
    return dict(found)


def each_is_there_once(accepted: list[str], before: set[str], log: list[str]) -> None:
    kept = Counter(item for item in log if item is not None)
    assert [item for item in accepted if kept[item] != 1] == []
    assert {item for item in kept if item not in before} == set(accepted)
    assert len(accepted) >= ENOUGH


def test_a_predictor_that_is_killed_amid_events_loses_and_doubles_none(collecting: Shop, redis: Redis):
    shop, before, since = collecting, set(redis.items("grocery")), restarts(collecting)
    victim = shop.pods()[0]

    def fault() -> None:
        kill_9(victim, "bentoml")
        shop.wait("its restart", lambda: restarts(shop) > since and all_ready(shop), seconds=180)

    found = sent_while(shop, "numbered", fault)
    print(f"\n{len(found['accepted'])} events accepted, {len(found['refused'])} tries failed")
    assert found["refused"], "nobody noticed the kill"
    each_is_there_once(found["accepted"], before, redis.items("grocery"))


def test_a_redis_that_is_killed_amid_events_loses_and_doubles_none(collecting: Shop, redis: Redis):
    before, since = set(redis.items("grocery")), restarts(collecting)

    def fault() -> None:
        redis.kill()
        time.sleep(3)
        redis.start()

    found = sent_while(collecting, "numbered-too", fault)
    print(f"\n{len(found['accepted'])} events accepted, {len(found['refused'])} tries failed")
    assert any("503" in why for why in found["refused"])
    each_is_there_once(found["accepted"], before, redis.items("grocery"))
    assert restarts(collecting) == since and all_ready(collecting)


EVENTS = """
import json, sys, urllib.error, urllib.request
body = json.dumps({"events": [{"id": sys.argv[3], "kind": "view", "user": "late", "item": "late"}]}).encode()
headers = {"content-type": "application/json", "authorization": f"Bearer {sys.argv[2]}"}
request = urllib.request.Request(f"http://{sys.argv[1]}:3000/events", body, headers)
try:
    with urllib.request.urlopen(request, timeout=20) as answer:
        print(json.dumps({"status": answer.status}))
except urllib.error.HTTPError as error:
    print(json.dumps({"status": error.code, "code": json.loads(error.read())["code"], "retry": error.headers["retry-after"]}))
"""


def test_a_predictor_starts_while_its_log_is_away_and_takes_events_when_it_is_back(collecting: Shop, redis: Redis):
    shop, since = collecting, restarts(collecting)
    victim = shop.pods()[0]
    redis.kill()
    kill_9(victim, "bentoml")
    shop.wait("its restart", lambda: restarts(shop) > since and all_ready(shop), seconds=180)
    assert len(shop.recommend("1", 3)["items"]) == 3
    found = ask(shop, "away", EVENTS, address(victim), SERVER_KEY, "1")
    assert found == {"status": 503, "code": "log_unavailable", "retry": "1"}
    redis.start()
    taken = lambda: ask(shop, f"back-{time.time_ns()}", EVENTS, address(victim), SERVER_KEY, "1")["status"] == 202  # noqa: E731
    shop.wait("events are taken", taken, seconds=60)


@pytest.mark.cluster_full
def test_a_log_in_a_file_outlives_the_one_pod_that_writes_it(collecting: Shop):
    """Told last: the pods have another log afterwards."""
    shop = collecting
    file = {"type": "Sqlite", "connection": None, "secretRef": None}
    shop.patch(online={"log": file}, serving={"replicas": 1})
    shop.wait_until_ready(seconds=300)
    shop.wait("one pod and no more", lambda: len(shop.pods(ending=True)) == 1)
    (pod,) = shop.pods()
    found = ask(shop, "in-a-file", COUNTS, address(pod), address(pod), SERVER_KEY, "of-the-file")
    assert (found["status"], found["before"]["method"], found["after"]["method"]) == (202, "popularity", "fused")
    shop.cluster.kubectl("delete", "pod", pod["metadata"]["name"], "-n", shop.namespace, "--timeout=120s", timeout=130)
    shop.rolled_out()
    (other,) = shop.pods()
    assert other["metadata"]["uid"] != pod["metadata"]["uid"]
    assert shop.recommend("of-the-file", 3)["method"] == "fused"
    claim = shop.cluster.get("pvc", "grocery-events", "-n", shop.namespace)
    assert "ownerReferences" not in claim["metadata"]
