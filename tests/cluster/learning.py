"""A Recommender that learns online, and what is run within the cluster's network to ask its pods."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import s3 as s3_server
from conftest import ROOT, Object, Shop, condition

HTTP = """
import json, sys, time, urllib.error, urllib.request

def ask(url, body=None, timeout=20, **headers):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"} | headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout) as answer:
        return json.loads(answer.read())

def rank(pod, user, items):
    answer = ask(f"http://{pod}/rank", {"user": user, "items": items})
    assert answer["method"] == "fused", answer["method"]
    scores = {each["item"]: round(each["score"], 6) for each in answer["items"]}
    return {"commit": answer["commit"] or 0, "scores": scores}
"""

RANK = (
    HTTP
    + """
user, items, *pods = sys.argv[1:]
print(json.dumps([rank(pod, user, items.split(",")) for pod in pods]))
"""
)

STATUS = HTTP + "print(json.dumps(ask(sys.argv[1])))"

LEARNED = (
    HTTP
    + """
key, buyer, item, user, items, *pods = sys.argv[1:]
before = [rank(pod, user, items.split(",")) for pod in pods]
event = {"id": buyer, "kind": "purchase", "user": buyer, "item": item}
told = ask(f"http://{pods[0]}/events", {"events": [event]}, authorization=f"Bearer {key}")
accepted, seconds, after = time.monotonic(), [None] * len(pods), list(before)
while None in seconds and time.monotonic() < accepted + 60:
    for number, pod in enumerate(pods):
        if seconds[number] is None:
            after[number] = rank(pod, user, items.split(","))
            if after[number]["commit"] > before[number]["commit"]:
                seconds[number] = round(time.monotonic() - accepted, 2)
    time.sleep(0.02)
print(json.dumps({"told": told, "before": before, "after": after, "seconds": seconds}))
"""
)

BUY = (
    HTTP
    + """
label, key, count, items, *pods = sys.argv[1:]
items, refused = items.split(","), []
for number in range(int(count)):
    event = {"id": f"{label}-{number}", "kind": "purchase", "user": f"{label}-{number}", "item": items[number % len(items)]}
    attempt = 0
    while True:  # as a shop's backend does: the same event again, at the next pod, until somebody has taken it
        try:
            pod = pods[(number + attempt) % len(pods)]
            told = ask(f"http://{pod}/events", {"events": [event]}, timeout=5, authorization=f"Bearer {key}")
            assert told["accepted"] == 1, told
            break
        except (OSError, urllib.error.URLError) as error:
            refused.append(str(error))
            attempt += 1
            time.sleep(0.1)
    time.sleep(0.1)
print(json.dumps({"accepted": int(count), "refused": refused}))
"""
)

AS_ONE_THAT_WAS_NEVER_KILLED = """
import json, sys, tempfile
from pathlib import Path

import numpy as np

from shoploop.compute.cores import use_one_thread
from shoploop.events.redis_log import RedisLog
from shoploop.online.chain import Chain
from shoploop.online.loop import OnlineLoop
from shoploop.packaging.fetch import fetch, ranker_folder
from shoploop.ranking.ranker import Ranker
from shoploop.store import Store

store, bento, digest, version, url = sys.argv[1:]
use_one_thread()
with tempfile.TemporaryDirectory() as folder, RedisLog(url, name="grocery") as log:
    fetch(bento, digest, Path(folder) / "bento", recommender="grocery", version=version)
    ranker = Ranker.load(ranker_folder(Path(folder) / "bento"))
    about = {"width": ranker.items()[0].shape[1], "start": ranker.settings.events_offset}
    chain, other = (Chain(Store(uri), "grocery", version, **about) for uri in (store, f"file://{folder}/store"))
    loop = OnlineLoop(ranker=ranker, log=log, chain=other, start=about["start"])
    loop.catch_up()
    while loop.step():
        pass
    loop.publish()
    chain.refresh()
    one, two = chain.state(), other.state()
    names = ("codes_N", "vectors_ND", "bias_N", "slots_NE")
    same = all(np.array_equal(getattr(one.rows, name), getattr(two.rows, name)) for name in names)
    print(json.dumps({"same": same, "killed": vars(one.totals), "whole": vars(two.totals), "commits": chain.head}))
"""

REPORT = """
import json, sys
from shoploop.store import Store
print(json.dumps(json.loads(Store(sys.argv[1]).get(sys.argv[2]))))
"""

TRIP = """
import sys
from shoploop.online.chain import Chain
from shoploop.store import Store

chain = Chain(Store(sys.argv[1]), "grocery", sys.argv[2])
chain.decide("freeze", by="a test", reason="progressive_loss: what was learned is more surprised than what was trained.")
"""


@dataclass(frozen=True, kw_only=True)
class Learning:
    """A Recommender that learns online, and ways to ask its pods from within the cluster's network."""

    shop: Shop
    s3: s3_server.S3
    items: tuple[str, ...]
    bento: str = ""
    digest: str = ""
    version: str = ""
    twin: str = ""
    """Another version of the same weights and code, that nobody has served yet."""

    def begin(self, script: str, *arguments: object) -> "subprocess.Popen[str]":
        env = os.environ | self.s3.env | {"PYTHONPATH": str(ROOT)}
        command = [self.s3.kubebox, "exec", "--", sys.executable, "-c", script, *map(str, arguments)]
        return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, script: str, *arguments: object, seconds: float = 180) -> Any:
        """What a script prints, as JSON; None where it prints nothing."""
        return ended(self.begin(script, *arguments), seconds=seconds)

    @property
    def pods(self) -> list[str]:
        """Of those that are ready, where they answer."""
        return [f"{pod['status']['podIP']}:3000" for pod in self.shop.pods() if is_ready(pod)]

    def learner(self) -> Object:
        """Its pod; the predictor's where it has none of its own."""
        selector = f"app.kubernetes.io/component=learner,shoploop.io/recommender={self.shop.name}"
        found = self.shop.cluster.items("pods", "-n", self.shop.namespace, "-l", selector)
        alive = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return [*alive, *self.shop.pods(), {}][0]

    def state(self) -> Object:
        """What the learner says of itself; nothing while it does not answer."""
        address = self.learner().get("status", {}).get("podIP")
        try:
            return self.run(STATUS, f"http://{address}:9102/status") if address else {}
        except AssertionError:
            return {}

    def settled(self, *, seconds: float = 180) -> Object:
        """Where the learner is once every event's lesson is in the chain."""
        done = lambda: (state := self.state()).get("behind") == 0 and state  # noqa: E731
        return self.shop.wait("the learner has learned all there is", done, seconds=seconds)

    def ranked(self, user: str = "C0119") -> list[Object]:
        return list(self.run(RANK, user, ",".join(self.items), *self.pods))

    def all_serve(self, commit: int, *, seconds: float = 60) -> list[Object]:
        """Answers of all pods, once each is made with that commit, or a later one."""

        def found() -> list[Object] | None:
            answers = self.ranked()
            return answers if min(one["commit"] for one in answers) >= commit else None

        answers = list(self.shop.wait(f"all pods serve commit {commit}", found, seconds=seconds))
        assert all(one == answers[0] for one in answers)
        return answers

    def annotate(self, value: str) -> None:
        where = (self.shop.name, "-n", self.shop.namespace)
        self.shop.cluster.kubectl("annotate", "recommender", *where, f"shoploop.io/online={value}", "--overwrite")

    def condition(self) -> Object:
        return condition(self.shop.recommender(), "OnlineLearning")

    def events(self) -> set[str]:
        fields = "involvedObject.name=grocery,involvedObject.kind=Recommender"
        where = ("-n", self.shop.namespace)
        return {one["reason"] for one in self.shop.cluster.items("events", *where, "--field-selector", fields)}


def ended(process: "subprocess.Popen[str]", *, seconds: float = 180) -> Any:
    told, said = process.communicate(timeout=seconds)
    assert process.returncode == 0, said[-3000:]
    return json.loads(told.splitlines()[-1]) if told.strip() else None


def is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
