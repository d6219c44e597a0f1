"""Whether two Recommenders mean one place in a store: a wrong yes refuses one, a wrong no mixes their versions."""

import pytest

from shoploop.controller.cache import Cache
from shoploop.controller.decide.kinds import RECOMMENDER
from shoploop.controller.decide.store_place import named, place
from shoploop.controller.worker import Worker

BUCKET = {"uri": "s3://shoploop"}


@pytest.fixture
def at(make_recommender):
    """Recommender grocery of a namespace with this store."""

    def make(store, *, namespace="shop", **meta):
        return make_recommender(store=store, meta={"namespace": namespace, **meta})

    return make


def test_one_path_of_two_servers_is_two_places(at):
    north, south = (at(BUCKET | {"endpoint": f"http://minio.team-{team}:9000"}) for team in "ab")
    assert place(north) != place(south)
    assert place(north) != place(at(BUCKET))
    assert named(north) == "s3://shoploop/recommenders/grocery of http://minio.team-a:9000"


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://minio.shop:9000",
        "http://minio.shop.svc:9000",
        "http://minio.shop.svc.cluster.local:9000/",
        "http://MinIO.shop:9000",
        "https://minio.shop:9000",
    ],
)
def test_one_server_is_known_by_all_its_names(at, endpoint):
    short = at(BUCKET | {"endpoint": "http://minio:9000"}, namespace="shop")
    assert place(at(BUCKET | {"endpoint": endpoint}, namespace="other")) == place(short)


def test_a_short_name_is_another_server_in_another_namespace(at):
    store = BUCKET | {"endpoint": "http://minio:9000"}
    assert place(at(store, namespace="north")) != place(at(store, namespace="south"))


def test_amazon_is_one_server_whatever_its_address(at):
    assert place(at(BUCKET | {"endpoint": "https://s3.eu-central-1.amazonaws.com"})) == place(at(BUCKET))


def test_an_endpoint_means_nothing_to_a_bucket_of_google(at):
    google = {"uri": "gs://shoploop"}
    assert place(at(google | {"endpoint": "http://minio:9000"})) == place(at(google))


def test_a_folder_belongs_to_one_namespace(at):
    assert place(at({"uri": ".shoploop"})) is None
    assert place(at({"uri": "file:///store", "claim": "files"})) is None


@pytest.fixture
def rival(settings):
    """What the operator finds to be the rival of the last of these Recommenders."""

    def find(*recommenders):
        cache = Cache()
        for each in recommenders:
            cache.put(RECOMMENDER, each)
        return Worker(settings, None, None, cache)._rival(recommenders[-1])

    return find


def test_the_older_of_two_at_one_place_keeps_it(at, rival):
    old = at(BUCKET, namespace="prod", uid="1", creationTimestamp="2026-01-01T00:00:00Z")
    assert rival(old, at(BUCKET)) == "prod/grocery"
    assert rival(at(BUCKET), old) is None
    assert rival(old, at(BUCKET | {"endpoint": "http://minio:9000"})) is None


def test_an_older_one_keeps_its_place_though_its_spec_breaks_a_rule(at, rival):
    old = at(BUCKET, namespace="prod", uid="1", creationTimestamp="2026-01-01T00:00:00Z")
    broken = old | {"spec": old["spec"] | {"data": {"no": "such field"}}}
    assert rival(broken, at(BUCKET)) == "prod/grocery"
