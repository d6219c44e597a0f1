"""Which event log a command opens: the one that the recommender writes, as the last run's spec names it."""

import json

import pytest
from typer.testing import CliRunner

from shoploop.api.online import EventLogSpec
from shoploop.cli.events import compact_events, delete_user
from shoploop.cli.logs import asked_log, log_of, opened_log
from shoploop.cli.main import app
from shoploop.errors import NotFound, SpecInvalid
from shoploop.events.cuts import LogReplaced
from shoploop.events.log import BEGINNING, Entry
from shoploop.events.messages import Forgotten, from_json
from shoploop.events.opening import open_log
from shoploop.events.redis_log import RedisLog
from shoploop.events.sqlite_log import SqliteLog
from shoploop.online.chain import Chain, Totals
from shoploop.packaging.learning import address_of
from shoploop.store import Store, layout

NAME = "grocery"
ANN = (
    b'{"type":"event","source":"organic","kind":"view","user":"ann","item":"tea","time":"2026-01-05T12:00:00Z",'
    b'"received":"2026-01-05T12:00:00Z"}'
)
TEAM = {"type": "Redis", "connection": "redis:6379", "prefix": "team-a"}
PROVED = TEAM | {"secretRef": {"name": "redis"}, "tls": {"caRef": {"name": "redis-ca"}}}


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def ran(store, **log):
    """The last run was given a spec with this log."""
    spec = {"data": {"dataset": "completejourney"}, "online": {"log": log, "keys": {"impressions": {"name": "i"}}}}
    plan = {"recommender": {"metadata": {"name": NAME}, "spec": spec}}
    store.put(layout.run_plan(layout.run(NAME, "20260101-000000-aaaa")), json.dumps(plan).encode())


def serve_has_collected(store):
    path = store.folder / layout.events(NAME) / "events.sqlite"
    with SqliteLog(path) as log:
        log.append([Entry("a", ANN)])


@pytest.fixture
def access(tmp_path):
    folder = tmp_path / "access"
    folder.mkdir()
    (folder / "password").write_text("secret")
    (folder / "ca.crt").write_text("certificates")
    return folder


def test_without_a_log_in_the_spec_it_is_the_file_of_this_machine(store):
    assert asked_log(store, NAME, None, None) == EventLogSpec()
    ran(store, type="Sqlite")
    assert asked_log(store, NAME, None, None) == asked_log(store, NAME, "sqlite", None) == EventLogSpec()


def test_it_is_the_log_of_the_spec_with_all_that_this_says_of_it(store, access):
    ran(store, **PROVED)
    assert asked_log(store, NAME, None, access) == EventLogSpec.model_validate(PROVED)


def test_an_address_takes_the_place_of_the_address_alone(store, access):
    ran(store, **PROVED)
    named = asked_log(store, NAME, "rediss://127.0.0.1:6380/0", access)
    assert named == EventLogSpec.model_validate(PROVED | {"connection": "rediss://127.0.0.1:6380/0"})
    bare = asked_log(store, NAME, "redis://127.0.0.1:6379/0", None)
    assert (bare.prefix, bare.secret_ref, bare.tls) == ("team-a", None, None)
    own_password = asked_log(store, NAME, "rediss://:secret@127.0.0.1:6379/0", access)
    assert (own_password.prefix, own_password.secret_ref) == ("team-a", None)
    with pytest.raises(SpecInvalid, match="rediss://"):
        asked_log(store, NAME, "redis://127.0.0.1:6379/0", access)


def test_kafka_is_proved_as_the_spec_says(store, access):
    kafka = {
        "type": "Kafka",
        "connection": "kafka:9093",
        "secretRef": {"name": "k"},
        "tls": {},
        "saslMechanism": "Plain",
    }
    ran(store, **kafka)
    named = asked_log(store, NAME, "kafka://127.0.0.1:9093", access)
    assert named == EventLogSpec.model_validate(kafka | {"connection": "127.0.0.1:9093"})


def test_a_folder_tells_how_a_log_is_reached_that_no_spec_names(store, access):
    named = asked_log(store, NAME, "kafka://127.0.0.1:9093", access)
    assert named.secret_ref and named.tls and named.tls.ca_ref


def test_what_the_server_asks_for_is_asked_for_by_name(store):
    ran(store, **PROVED)
    with pytest.raises(SpecInvalid, match=r"Secret redis\b.*--log-access"):
        asked_log(store, NAME, None, None)


def test_a_redis_that_is_brought_has_an_address(store, access):
    ran(store, type="Redis", bring={}, secretRef={"name": "redis"})
    assert asked_log(store, NAME, None, access).connection == "grocery-redis:6379"


def test_of_two_logs_none_is_guessed(store):
    ran(store, **TEAM)
    serve_has_collected(store)
    with pytest.raises(SpecInvalid, match=r"two logs: Redis at redis:6379 as team-a\.grocery") as found:
        asked_log(store, NAME, None, None)
    assert "--log sqlite" in str(found.value)
    assert asked_log(store, NAME, "spec", None).prefix == "team-a"
    assert asked_log(store, NAME, "sqlite", None) == EventLogSpec()


def test_a_spec_that_names_no_log_is_told(store):
    with pytest.raises(SpecInvalid, match=r"no spec\.online\.log"):
        asked_log(store, NAME, "spec", None)


def test_a_learner_beside_a_service_is_told_all_of_its_log(store):
    ran(store, **TEAM)
    spec = EventLogSpec.model_validate(PROVED)
    assert asked_log(store, NAME, address_of(spec), None) == spec
    with pytest.raises(SpecInvalid, match="--log"):
        log_of('{"type": "Redis"}')


def delete(store, *more):
    command = ["events", "delete-user", NAME, "--user", "ann", "--store", str(store.folder), *more]
    return CliRunner().invoke(app, command)


def test_a_user_is_erased_from_the_log_of_the_prefix(store, redis_place):
    ran(store, **TEAM | {"connection": f"127.0.0.1:{redis_place.port}"})
    with open_log(asked_log(store, NAME, None, None), name=NAME, folder=store.folder) as log:
        log.append([Entry("a", ANN)])
        done = delete(store)
        assert done.output.startswith("1 records of user ann left"), done.output
        assert [type(from_json(record.body)) for record in log.read(BEGINNING)] == [Forgotten]
        log.append([Entry("b", ANN)])
        done = delete(store, "--log", redis_place.url)
        assert done.output.startswith("1 records of user ann left"), done.output


def test_a_log_that_nobody_ever_wrote_to_is_no_log_without_the_user(store, redis_place):
    done = delete(store, "--log", f"{redis_place.url[:-1]}7")
    assert isinstance(done.exception, NotFound) and done.exception.exit_code == 2
    assert "Name the right one with --log" in str(done.exception)


def test_a_topic_is_not_made_by_looking_for_a_user(store, kafka_place):
    from confluent_kafka.admin import AdminClient

    for _ in range(2):  # the first did not make it either
        done = delete(store, "--log", f"kafka://{kafka_place.servers}")
        assert isinstance(done.exception, NotFound)
    topics = AdminClient({"bootstrap.servers": kafka_place.servers}).list_topics(timeout=10).topics
    assert f"shoploop.{NAME}.events" not in topics


def test_a_log_that_is_another_than_the_one_that_was_compacted_is_no_log_without_the_user(store, redis_place):
    serve_has_collected(store)
    compact_events(store, NAME, "sqlite")
    with RedisLog(f"{redis_place.url[:-1]}8", name=NAME) as log:
        log.append([Entry("b", b"{}")])
    done = delete(store, "--log", f"{redis_place.url[:-1]}8")
    assert isinstance(done.exception, LogReplaced) and done.exception.exit_code == 2


def test_a_log_that_is_another_than_the_one_that_was_learned_from_is_no_log_without_the_user(store):
    serve_has_collected(store)
    store.put(f"{layout.version(NAME, 'v00000000000a')}/manifest.json", b"{}")
    chain = Chain(store, NAME, "v00000000000a")
    chain.append("learn", by="me", reason="", offset=5, totals=Totals())
    with pytest.raises(LogReplaced, match="what was learned reaches record 5"):
        delete_user(store, NAME, None, user="bob", by="me", json_=None)
    delete_user(store, NAME, None, user="ann", by="me", json_=None)


def test_what_is_shown_comes_from_the_log_of_the_prefix(store, redis_place):
    ran(store, **TEAM | {"connection": f"127.0.0.1:{redis_place.port}", "prefix": "team-b"})
    with open_log(asked_log(store, NAME, None, None), name=NAME, folder=store.folder) as log:
        log.append([Entry("a", b"[1]")])
    with opened_log(store, NAME, None, None) as log:
        assert [record.body for record in log.read(BEGINNING)] == [b"[1]"]
    done = CliRunner().invoke(app, ["events", "show", NAME, "--store", str(store.folder)])
    assert done.output == "[1]\n"
