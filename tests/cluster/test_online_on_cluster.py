"""Learning between two runs, on a cluster: what one pod takes all serve, and kills change nothing of what is learned.

The shop's version is served again in a namespace of its own, from an S3, with a Redis for its events.
"""

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis_server
import s3 as s3_server
from conftest import Cluster, Object, Shop, claim, condition
from learning import AS_ONE_THAT_WAS_NEVER_KILLED, BUY, LEARNED, RANK, REPORT, TRIP, Learning, ended
from prepared import recommender, version
from redis_server import Redis, kill_9, secret
from test_serving_faults import load

pytestmark = pytest.mark.cluster

NAMESPACE = "learning"
SERVER_KEY = base64.b64encode(b"a key of the shop's own servers.").decode()
STORE = f"s3://shop/{NAMESPACE}"
ITEMS = tuple(f"{1001 + number:05}" for number in range(0, 80, 4))
KEYS = {"impressions": {"name": "impressions"}, "server": {"name": "servers"}}
WITHIN_SECONDS = 5.0
"""From the acceptance at one pod to an answer of each that has learned it: once in three, for others use the machine, too."""

TWIN = Path(__file__).with_name("twin.py").read_text()


@pytest.fixture(scope="module")
def redis(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis_server.serving(cluster, tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture(scope="module")
def s3(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3_server.S3]:
    with s3_server.serving(cluster, tmp_path_factory.mktemp("s3")) as made:
        yield made


def keys(namespace: str) -> tuple[Object, Object]:
    """The Secrets that KEYS names."""
    return (
        secret(namespace, "impressions", **{"1__key": base64.b64encode(os.urandom(32)).decode()}),
        secret(namespace, "servers", shop__key=SERVER_KEY),
    )


@pytest.fixture(scope="module")
def learning(shop: Shop, redis: Redis, s3: s3_server.S3) -> Iterator[Learning]:
    """The shop's version with two predictors that learn from what they are told."""
    cluster, serves = shop.cluster, shop.recommender()["status"]["version"]
    record = cluster.get("modelversion", f"grocery-{serves}", "-n", shop.namespace)
    package = record["status"]["packages"][0]
    place = f"{NAMESPACE}/recommenders/grocery/versions/{serves}/bento/{package['digest'][:16]}.bento"
    volumes = {"/store": {"persistentVolumeClaim": {"claimName": "store"}}}
    told = [serves, s3.endpoint, s3_server.OWNER, STORE]
    copied = cluster.run_pod(cluster.pod(shop.namespace, "copy-bento", "python", "-c", TWIN, *told, volumes=volumes))
    twin = copied.split()[-1]
    log = {"type": "Redis", "connection": redis.address, "secretRef": {"name": "redis"}}
    online = {"enabled": True, "log": log, "keys": KEYS}
    serving = {"replicas": 2, "deadlineMilliseconds": 2000}
    made = recommender("grocery", NAMESPACE, store=s3.store(NAMESPACE), online=online, serving=serving)
    known = version(made)
    known["metadata"]["name"], known["spec"]["version"] = f"grocery-{serves}", serves
    known["status"]["packages"][0] |= {"digest": package["digest"], "bento": f"s3://shop/{place}"}
    with cluster.namespace(NAMESPACE):
        cluster.apply(
            s3_server.secret(NAMESPACE, s3_server.OWNER),
            secret(NAMESPACE, "redis", password=redis_server.PASSWORD),
            *keys(NAMESPACE),
        )
        cluster.apply(known, made)
        there = Shop(cluster=cluster, namespace=NAMESPACE, name="grocery", seconds_to_ready=0)
        there.wait_until_ready(seconds=300)
        bento = f"s3://shop/{place}"
        found = Learning(
            shop=there, s3=s3, bento=bento, digest=package["digest"], version=serves, items=ITEMS, twin=twin
        )
        found.settled()
        yield found
        cluster.kubectl("delete", "recommenders", "--all", "-n", NAMESPACE, "--timeout=120s", timeout=130)


@pytest.fixture(scope="module")
def trained(learning: Learning) -> dict[str, float]:
    """Scores of the version as it was trained."""
    one, other = learning.ranked()
    assert (one["commit"], other["commit"]) == (0, 0) and one["scores"] == other["scores"]
    return dict(one["scores"])


def test_what_is_told_to_one_pod_is_learned_and_served_by_both(learning: Learning, trained, record_property):
    taken, pods = [], learning.pods
    assert len(pods) == 2
    for number, item in enumerate(learning.items[:3]):
        arguments = (SERVER_KEY, f"stranger-{number}", item, "C0119", ",".join(learning.items))
        found = learning.run(LEARNED, *arguments, *pods)
        assert found["told"]["accepted"] == 1
        before, after = found["before"][0], found["after"][0]
        assert after["scores"][item] > before["scores"][item], "what is bought is wanted more"
        assert after["scores"] == found["after"][1]["scores"]
        taken.append(max(found["seconds"]))
        pods.reverse()
    print(f"\nan event was learned and served by both pods after {', '.join(map(str, taken))} s")
    record_property("seconds_to_both", taken)
    assert min(taken) <= WITHIN_SECONDS
    assert learning.settled()["examples"] == 3


def test_kubectl_shows_the_lag_and_why_learning_is_as_it_is(learning: Learning):
    learning.shop.wait("the condition", lambda: learning.condition()["status"] == "True", seconds=60)
    assert learning.condition()["reason"] == "Learning"
    table = learning.shop.cluster.kubectl("get", "recommenders", "-n", NAMESPACE).splitlines()
    column = table[0].index("ONLINE LAG")
    assert table[1][column:].split()[0] == "0", table


def test_whoever_is_killed_amid_events_nothing_is_lost_and_nothing_counts_twice(learning: Learning, redis: Redis):
    shop, before = learning.shop, learning.settled()["settled"]
    shoppers = learning.begin(BUY, "killed", SERVER_KEY, 150, ",".join(learning.items), *learning.pods)
    time.sleep(4)
    gone = learning.learner()["metadata"]["name"]
    shop.cluster.kubectl("delete", "pod", gone, "-n", NAMESPACE, "--grace-period=0", "--force")
    kill_9(shop.pods()[0], "pod_updater")
    shop.wait("another learner", lambda: learning.state().get("settled") is not None, seconds=120)
    kill_9(learning.learner(), "learner_process")
    kill_9(shop.pods()[1], "pod_updater")
    told = ended(shoppers)
    assert told["accepted"] == 150
    state = learning.settled()
    assert state["settled"] - before >= 150
    held = learning.run(
        AS_ONE_THAT_WAS_NEVER_KILLED, STORE, learning.bento, learning.digest, learning.version, redis.url
    )
    print(
        f"\n{held['killed']['examples']} examples in {held['commits']} commits, {held['killed']['capped']} beyond a share"
    )
    assert held["killed"]["examples"] + held["killed"]["capped"] == 150 + 3
    assert held["killed"] == held["whole"] and held["same"]
    learning.all_serve(state["served"])


def test_pods_that_come_later_begin_with_what_was_learned(learning: Learning):
    shop, head = learning.shop, learning.settled()["served"]
    assert head > 0
    shop.patch(serving={"replicas": 3})
    known = learning.pods
    shop.wait("three pods", lambda: len(learning.pods) == 3, seconds=240)
    (new,) = (pod for pod in learning.pods if pod not in known)
    (first,) = learning.run(RANK, "C0119", ",".join(learning.items), new)
    assert first["commit"] >= head
    learning.all_serve(head)
    shop.patch(serving={"replicas": 2})
    shop.wait_until_ready()
    shop.wait("two pods", lambda: len(shop.pods(ending=True)) == 2, seconds=120)


def test_an_annotation_takes_all_pods_back(learning: Learning, trained):
    head = learning.settled()["commit"]
    learning.annotate("rollback 0 to see what was trained")
    answers = learning.all_serve(head + 1)
    assert answers[0]["scores"] == trained
    learning.shop.wait("it is told", lambda: "OnlineDecided" in learning.events(), seconds=60)
    assert learning.shop.recommender()["status"]["online"]["request"] == "rollback 0 to see what was trained"


def test_a_trip_is_told_and_an_annotation_lets_it_go_on(learning: Learning):
    learning.run(TRIP, STORE, learning.version)
    tripped = lambda: learning.condition()["reason"] == "GuardrailTripped"  # noqa: E731
    learning.shop.wait("the trip is told", tripped, seconds=60)
    assert "progressive_loss" in learning.condition()["message"]
    assert "GuardrailTripped" in learning.events()
    assert len(learning.shop.recommend("C0119", 3)["items"]) == 3
    learning.annotate("resume looked at it")
    learning.shop.wait("it goes on", lambda: learning.condition()["reason"] == "Learning", seconds=90)
    arguments = (SERVER_KEY, "after-it", learning.items[5], "C0119", ",".join(learning.items))
    assert None not in learning.run(LEARNED, *arguments, *learning.pods)["seconds"]


def test_a_promotion_in_the_middle_of_the_stream_takes_nothing_out_of_the_answers(learning: Learning, redis: Redis):
    """The same events are learned anew by a version that was promoted, and before it answers anybody."""
    shop, before = learning.shop, learning.settled()
    moved, told = {pod["metadata"]["uid"] for pod in shop.pods()}, []
    with load(shop, "load-promotion") as result:
        shoppers = learning.begin(BUY, "promoted", SERVER_KEY, 120, ",".join(learning.items), *learning.pods)
        time.sleep(3)
        where = (shop.name, "-n", shop.namespace)
        shop.cluster.kubectl(
            "annotate", "recommender", *where, f"shoploop.io/serve=promote {learning.twin} amid events"
        )

        def serves() -> bool:
            live = shop.recommender()
            told.append(condition(live, "Progressing")["reason"])
            return bool(live["status"]["version"] == learning.twin)

        shop.wait("the twin serves", serves, seconds=240)
        assert ended(shoppers)["accepted"] == 120
    assert result["failures"] == []
    assert "CatchingUp" in told
    assert {pod["metadata"]["uid"] for pod in shop.pods()} == moved
    state = shop.wait(
        "the twin's learner", lambda: (s := learning.settled())["version"] == learning.twin and s, seconds=120
    )
    assert state["settled"] - before["settled"] >= 120
    place = f"recommenders/grocery/versions/{learning.twin}/bento"
    report = learning.run(REPORT, STORE, f"{place}/bento.json")
    bento = f"{STORE}/{place}/{report['sha256'][:16]}.bento"
    held = learning.run(AS_ONE_THAT_WAS_NEVER_KILLED, STORE, bento, report["sha256"], learning.twin, redis.url)
    assert held["killed"] == held["whole"] and held["same"]
    learning.all_serve(state["served"])


@pytest.mark.cluster_full
def test_a_store_that_is_away_for_a_minute_costs_no_answer_and_no_event(learning: Learning):
    before = learning.settled()["settled"]
    with load(learning.shop, "load-no-store") as result, learning.s3.away():
        told = learning.run(BUY, "no-store", SERVER_KEY, 40, ",".join(learning.items), *learning.pods)
        time.sleep(60)
    assert told["accepted"] == 40 and told["refused"] == []
    assert result["failures"] == [] and result["refused"] == 0 and result["answered"] > 50
    state = learning.settled(seconds=300)
    assert state["settled"] - before >= 40
    learning.all_serve(state["served"], seconds=120)


@pytest.mark.cluster_full
def test_a_redis_that_is_killed_while_it_learns_loses_and_doubles_nothing(learning: Learning, redis: Redis):
    before = learning.settled()
    shoppers = learning.begin(BUY, "no-redis", SERVER_KEY, 100, ",".join(learning.items), *learning.pods)
    time.sleep(4)
    redis.kill()
    time.sleep(3)
    redis.start()
    assert ended(shoppers)["accepted"] == 100
    kept = [user for user in redis.items("grocery") if user is not None]
    assert len(kept) >= 100
    after = learning.settled()
    assert after["examples"] > before["examples"]
    learning.all_serve(after["served"])


@pytest.mark.cluster_full
def test_an_upgrade_and_a_rollback_while_it_learns_cost_no_answer_and_no_event(learning: Learning):
    shop, before = learning.shop, learning.settled()["settled"]
    with load(shop, "load-learning") as result:
        service = shop.cluster.get("service", "grocery-predictor", "-n", NAMESPACE)["spec"]["clusterIP"]
        shoppers = learning.begin(BUY, "upgraded", SERVER_KEY, 800, ",".join(learning.items), f"{service}:80")
        shop.patch(serving={"deadlineMilliseconds": 1900})
        shop.wait_until_ready(seconds=300)
        history = json.loads(shop.cluster.helm("history", "grocery", "-n", NAMESPACE, "-o", "json"))
        shop.cluster.helm("rollback", "grocery", history[-2]["revision"], "-n", NAMESPACE)
        shop.rolled_out()
        revision = json.loads(shop.cluster.helm("history", "grocery", "-n", NAMESPACE, "-o", "json"))[-1]["revision"]
        where = ("grocery", "-n", NAMESPACE)
        shop.cluster.kubectl("annotate", "recommender", *where, f"shoploop.io/resume={revision}", "--overwrite")
        shop.wait_until_ready(seconds=300)
        assert ended(shoppers, seconds=300)["accepted"] == 800
    assert result["failures"] == []
    state = learning.settled()
    assert state["settled"] - before >= 800
    learning.all_serve(state["served"])


@pytest.fixture
def alone(shop: Shop, s3: s3_server.S3) -> Iterator[Learning]:
    """The shop itself, whose store lies on a claim, with one pod that learns from a file; afterwards as it was."""
    shop.cluster.apply(*keys(shop.namespace))
    online = {"enabled": True, "log": {"type": "Sqlite"}, "keys": KEYS}
    shop.patch(online=online, serving={"replicas": 1, "deadlineMilliseconds": 2000})
    shop.wait_until_ready(seconds=300)
    shop.wait("one pod and no more", lambda: len(shop.pods(ending=True)) == 1)
    found = Learning(shop=shop, s3=s3, items=ITEMS)
    found.settled()
    yield found
    # one after the other: two pods that learn and a new one beside those of the other shop are more than the node has
    shop.patch(online={"enabled": False, "log": None, "keys": None}, serving={"deadlineMilliseconds": 1000})
    shop.wait_until_ready(seconds=300)
    shop.patch(serving={"replicas": 2})
    shop.wait_until_ready(seconds=300)


@pytest.mark.cluster_full
def test_one_pod_learns_from_a_log_in_a_file_and_says_so_where_another_log_takes_its_place(alone: Learning):
    shop, before = alone.shop, alone.state()["examples"]
    arguments = (SERVER_KEY, f"stranger-{time.time_ns()}", alone.items[0], "C0119", ",".join(alone.items))
    assert None not in alone.run(LEARNED, *arguments, *alone.pods)["seconds"]
    assert alone.settled()["examples"] == before + 1
    shop.wait("the condition", lambda: alone.condition()["reason"] == "Learning", seconds=60)
    shop.cluster.apply(claim(shop.namespace, "another"))
    shop.patch(online={"log": {"claim": "another"}})
    shop.wait_until_ready(seconds=300)
    halted = lambda: alone.condition()["reason"] == "LearnerHalted"  # noqa: E731
    shop.wait("the gap is told", halted, seconds=120)
    assert "LogGap" in alone.condition()["message"]
    assert len(shop.recommend("C0119", 3)["items"]) == 3
