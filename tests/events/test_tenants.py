"""Tenants that share a server: one neither reads nor writes what is another's, though their recommenders are called alike."""

from contextlib import closing

import pytest
from object_stores import TENANTS
from signed_things import make_key, no_keys, publish, require

from shoploop.api.online import EventLogSpec
from shoploop.errors import KeyUntrusted, NotFound, StoreUnavailable
from shoploop.events.log import BEGINNING, Entry, LogUnavailable
from shoploop.events.opening import name_of, open_log
from shoploop.store import Store
from shoploop.versions.stored import check_version, fetch_version

__all__ = ["make_key", "no_keys"]

NAME = "corner"


@pytest.fixture(scope="module")
def logs(redis_place, tmp_path_factory):
    """Opens the log of ``prefix`` as a tenant, whose user may reach no keys but those of their own prefix."""
    import redis

    with closing(redis.Redis.from_url(redis_place.url)) as client:
        for tenant in TENANTS:
            client.acl_setuser(
                tenant, enabled=True, passwords=[f"+{tenant}-secret"], keys=[f"shoploop:{{{tenant}.*"],
                categories=["+@all", "-@dangerous"], commands=["+info", "+config|get"],
            )  # fmt: skip
    folder = tmp_path_factory.mktemp("tenants")
    for tenant in TENANTS:
        (folder / tenant).mkdir()
        (folder / tenant / "username").write_text(tenant)
        (folder / tenant / "password").write_text(f"{tenant}-secret")

    def open_one(tenant, prefix):
        spec = EventLogSpec(
            type="Redis", connection=f"127.0.0.1:{redis_place.port}", prefix=prefix, secret_ref={"name": "redis"}
        )
        return open_log(spec, name=NAME, folder=folder, access=folder / tenant)

    return open_one


def test_two_tenants_logs_of_the_same_name_are_two_logs(logs):
    for tenant in TENANTS:
        with logs(tenant, tenant) as log:
            log.append([Entry(f"of {tenant}", b"1")])
            assert [record.id for record in log.read(BEGINNING)] == [f"of {tenant}"]


@pytest.mark.parametrize("prefix", ["south", None])
def test_a_tenants_user_can_neither_read_nor_write_another_log(logs, prefix):
    with logs("north", prefix) as log:
        with pytest.raises(LogUnavailable, match=r"(?i)permission"):
            list(log.read(BEGINNING))
        with pytest.raises(LogUnavailable, match=r"(?i)permission"):
            log.append([Entry("mine", b"1")])


def test_no_two_tenants_logs_are_called_alike():
    spec = EventLogSpec(type="Kafka", connection="kafka:9092", prefix="a")
    assert name_of(spec, "b-c") == "a.b-c" != name_of(spec.model_copy(update={"prefix": "a-b"}), "c")
    assert name_of(spec.model_copy(update={"prefix": None}), "b") == "b"
    with pytest.raises(ValueError, match="prefix"):
        EventLogSpec(prefix="a")


def test_a_tenants_keys_to_the_store_reach_their_own_prefix_alone(s3_options):
    stores = {
        tenant: Store(
            f"s3://shop/{tenant}", options=s3_options | {"access_key_id": tenant, "secret_access_key": tenant}
        )
        for tenant in TENANTS
    }
    for tenant, store in stores.items():
        store.put(f"recommenders/{NAME}/version", tenant.encode())
        assert store.get(f"recommenders/{NAME}/version") == tenant.encode()
    own = {"access_key_id": "north", "secret_access_key": "north"}
    trespassing = Store("s3://shop/south", options=s3_options | own)
    with pytest.raises(StoreUnavailable):
        trespassing.get(f"recommenders/{NAME}/version")
    with pytest.raises(StoreUnavailable):
        trespassing.put(f"recommenders/{NAME}/version", b"north")
    with pytest.raises(StoreUnavailable):
        list(trespassing.list(f"recommenders/{NAME}"))
    assert stores["south"].get(f"recommenders/{NAME}/version") == b"south"
    with pytest.raises(NotFound):
        stores["north"].get("recommenders/other")


def test_a_version_that_one_tenants_key_signed_is_refused_by_the_other(make_key, tmp_path):
    """Also where it lies in the other's own folder, under the name of the other's own recommender."""
    keys = {tenant: make_key(tenant) for tenant in TENANTS}
    stores = {tenant: Store(str(tmp_path / "store" / tenant)) for tenant in TENANTS}
    for tenant, other in (TENANTS, TENANTS[::-1]):
        version, _ = publish(stores[tenant], tmp_path / f"of {other}", signer=keys[other])
        with pytest.raises(KeyUntrusted, match=keys[tenant].id):
            fetch_version(stores[tenant], "grocery", version, tmp_path / "copies" / tenant, require(keys[tenant]))
        check_version(stores[tenant], "grocery", version, require(keys[other]))  # nothing else is amiss about it
