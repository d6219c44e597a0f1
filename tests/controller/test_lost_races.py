"""Who writes over what somebody else has changed meanwhile is told so, reads again and decides again."""

import json
from types import SimpleNamespace

import kubernetes.client
import pytest
from small_cluster import NAMESPACE, Clock, SmallCluster, SmallHelm
from worlds import said

from shoploop.controller import worker as worker_module
from shoploop.controller.cache import Cache
from shoploop.controller.cluster import Cluster, ClusterError, Stale
from shoploop.controller.decide.settings import Settings
from shoploop.controller.worker import Worker

KEY = (NAMESPACE, "grocery")


@pytest.fixture
def cluster():
    made = SmallCluster(Cache(), Clock())
    made.create("grocery")
    return made


@pytest.fixture
def operator(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(worker_module, "datetime", SimpleNamespace(now=cluster.clock.now))
    settings = Settings(chart=tmp_path, pipeline_image="p:1", serving_image="s:1")
    return Worker(settings, cluster, SmallHelm(cluster), cluster.cache)


def raced(cluster, kind):
    """An object as it was read, before somebody else changed it."""
    live = next(live for (known, _), live in cluster.objects.items() if known == kind)
    cluster.set_status(live, {"by": "somebody else"})
    return live


def test_a_status_of_an_object_that_was_changed_is_stale(cluster):
    live = raced(cluster, "Recommender")
    with pytest.raises(Stale):
        cluster.set_status(live, {"phase": "x"})
    with pytest.raises(Stale):
        cluster.set_finalizer(live, True)
    assert cluster.objects["Recommender", "grocery"]["status"] == {"by": "somebody else"}


def test_an_object_that_is_gone_is_stale(cluster):
    live = cluster.objects.pop(("Recommender", "grocery"))
    with pytest.raises(Stale):
        cluster.set_status(live, {"phase": "x"})


def test_a_record_that_was_changed_is_no_failure_of_the_operator(operator, cluster):
    """It would be told as Degraded, and tried again only minutes later."""
    for _ in range(4):
        operator.look(KEY)
    cluster.end_run(said())
    put, seen = cluster.cache.put, []

    def late(kind, live):
        """The watch is late with a record: what the operator knows of it is what it wrote itself."""
        if kind.kind == "ModelVersion" and seen:
            return KEY
        seen.extend([live] * (kind.kind == "ModelVersion"))
        return put(kind, live)

    cluster.cache.put = late
    with pytest.raises(Stale):
        for _ in range(6):
            operator.look(KEY)
            if seen:
                raced(cluster, "ModelVersion")
    assert not operator._failures.get(KEY)
    cluster.cache.put = put


@pytest.mark.parametrize(
    ("message", "details"),
    [
        ('Recommender.shoploop.io "grocery" is invalid: status: Invalid value', {"causes": [{"field": "status"}]}),
        ('admission webhook "latest.example.com" denied the request: the test of a policy', {}),
    ],
    ids=["schema", "webhook"],
)
def test_what_is_refused_for_what_it_says_is_not_stale(cluster, message, details):
    """It would be asked for again five times a second, for ever."""
    error = kubernetes.client.ApiException(status=422, reason="Unprocessable Entity")
    error.body = json.dumps({"kind": "Status", "message": message, "details": details, "code": 422})

    def refuse(*_, **__):
        raise error

    real = Cluster.__new__(Cluster)
    real._api = SimpleNamespace(call_api=refuse)
    with pytest.raises(ClusterError) as caught:
        real.set_status(cluster.objects["Recommender", "grocery"], {"phase": "x"})
    assert not isinstance(caught.value, Stale)
