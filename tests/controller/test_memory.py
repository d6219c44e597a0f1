"""A day of Recommenders that come and go leaves the operator holding what it held before."""

from types import SimpleNamespace

import pytest
from small_cluster import NAMESPACE, Clock, SmallCluster, SmallHelm
from worlds import said

from shoploop.controller import worker as worker_module
from shoploop.controller.cache import Cache
from shoploop.controller.decide.kinds import RECOMMENDER
from shoploop.controller.decide.settings import Settings
from shoploop.controller.worker import Worker


def held(thing, seen=None):
    """How many entries all containers reachable from an object hold."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, dict):
        return len(thing) + sum(held(value, seen) for value in thing.values())
    if isinstance(thing, list | tuple | set | frozenset):
        return len(thing) + sum(held(value, seen) for value in thing)
    if type(thing).__module__.startswith("shoploop.") and hasattr(thing, "__dict__"):
        return sum(held(value, seen) for value in vars(thing).values())
    return 0


@pytest.fixture
def operator(tmp_path, monkeypatch):
    clock, cache = Clock(), Cache()
    cluster = SmallCluster(cache, clock)
    settings = Settings(chart=tmp_path, pipeline_image="p:1", serving_image="s:1")
    monkeypatch.setattr(worker_module, "datetime", SimpleNamespace(now=clock.now))
    return Worker(settings, cluster, SmallHelm(cluster), cache)


def a_life(operator, name):
    """A Recommender is made, trained, served, changed and deleted; its watch tells each."""
    cluster, key = operator.cluster, (NAMESPACE, name)

    def looks(times):
        for _ in range(times):
            cluster.clock.pass_by(40)
            operator.look(key)
            cluster.roll_out()

    cluster.create(name)
    looks(3)
    cluster.end_run(said())
    looks(3)
    assert cluster.objects["Recommender", name]["status"]["version"] == "v00000000000a"
    cluster.change(name, lambda spec: spec["serving"].update(replicas=3))
    looks(2)
    cluster.delete(RECOMMENDER, NAMESPACE, name)
    looks(4)
    assert not [known for _, known in cluster.objects if name in known], "it is gone with all that was its own"
    cluster.pods_of_runs.clear()


def test_recommenders_that_came_and_went_are_held_no_more(operator):
    operator.cluster.create("stays")
    operator.look((NAMESPACE, "stays"))
    a_life(operator, "first")
    holders = [operator._failures, operator._places, operator.pending, operator.cache]
    before = held(holders)
    for number in range(60):
        a_life(operator, f"shop-{number}")
    assert held(holders) == before
    assert set(operator._places) == {(NAMESPACE, "stays")}


def test_a_recommender_that_changes_often_is_held_once(operator):
    for number in range(50):
        operator.cluster.create("grocery", serving={"replicas": number % 3 + 1})
        operator.look((NAMESPACE, "grocery"))
    assert len(operator._places) == 1
