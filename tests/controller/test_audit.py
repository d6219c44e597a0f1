"""What the watches did not tell is found by asking: deletions, changes, and kinds that came after the start."""

import pytest

from shoploop.controller.audit import Audit
from shoploop.controller.cache import Cache
from shoploop.controller.cluster import ClusterError
from shoploop.controller.decide.kinds import BY_NAME, DEPLOYMENT, RECOMMENDER
from shoploop.controller.decide.settings import Settings
from shoploop.controller.pending import Pending

SCALED = BY_NAME["keda.sh/v1alpha1", "ScaledObject"]
WHERE = ("shop", "grocery")


class Answers:
    """An API server that knows what a test tells it: a kind's objects, or that an optional kind does not exist."""

    def __init__(self):
        self.objects = {}

    def versions(self, kind, namespace, *, labels=""):
        if kind.optional and kind not in self.objects:
            raise ClusterError(kind.plural, 404, "not found")
        return dict(self.objects.get(kind, {}))


@pytest.fixture
def asked(tmp_path):
    """The audit, the API server that it asks, the cache that it compares with, and what it did."""
    server, cache, pending, ended = Answers(), Cache(), Pending(), []
    settings = Settings(chart=tmp_path, pipeline_image="p", serving_image="s")
    audit = Audit(settings, server, cache, pending, end=lambda: ended.append(True))
    audit.once()
    return audit, server, cache, pending, ended


def deployment(version):
    meta = {"namespace": "shop", "name": "d", "labels": {"shoploop.io/recommender": "grocery"}}
    return {"metadata": meta | {"resourceVersion": version}}


def test_what_the_watches_told_too_is_no_news(asked):
    audit, server, cache, pending, ended = asked
    cache.put(DEPLOYMENT, deployment("3"))
    server.objects[DEPLOYMENT] = {("shop", "d"): "3"}
    audit.once()
    audit.once()
    assert (audit.deaf, len(pending), ended) == (None, 0, [])


def test_a_deletion_that_no_watch_told_is_looked_into(asked):
    audit, _, cache, pending, _ = asked
    cache.put(DEPLOYMENT, deployment("3"))
    audit.once()
    assert len(pending) == 0, "the watch may be a little behind"
    audit.once()
    assert pending.take() == WHERE
    assert audit.deaf is None


def test_a_change_that_no_watch_told_makes_it_deaf(asked):
    audit, server, *_ = asked
    server.objects[RECOMMENDER] = {WHERE: "9"}
    audit.once()
    assert audit.deaf is None
    audit.once()
    assert audit.deaf == "recommenders"


def test_an_optional_kind_that_came_later_is_watched_after_a_new_start(asked):
    audit, server, _, _, ended = asked
    audit.once()
    assert ended == []
    server.objects[SCALED] = {}
    audit.once()
    assert ended == [True]
