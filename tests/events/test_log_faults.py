"""Logs whose disk, server or writer fails: an accepted entry is there once, a refused one is named, nothing is invented."""

import re
import shutil
import subprocess
import sys
import time
import traceback
from concurrent.futures import Future

import pytest
from event_logs import KafkaBroker, redis_server
from mounts import fill, may_be_written, may_hold, seen_from, small_disk

from shoploop.api.online import EventLogSpec
from shoploop.errors import SpecInvalid
from shoploop.events.kafka_log import KafkaLog
from shoploop.events.log import BEGINNING, Entry, LogFull, LogNotDurable, LogUnavailable
from shoploop.events.numbered import all_ids
from shoploop.events.opening import open_log
from shoploop.events.redis_log import RedisLog
from shoploop.events.sqlite_log import SqliteLog

ONE = [Entry("one", b"1")]
TWO = [Entry("two", b"2")]


@pytest.mark.parametrize("kind", ["Sqlite", "Redis"])
def test_a_writer_that_is_killed_amid_appends_loses_and_doubles_nothing(kind, tmp_path, request):
    url = request.getfixturevalue("redis_place").url if kind == "Redis" else None
    spec = EventLogSpec(type=kind, connection=url)
    name = tmp_path.name
    command = [sys.executable, "-m", "shoploop.events.numbered", spec.model_dump_json(), name, str(tmp_path), "w"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        for _ in range(30):
            accepted = int(writer.stdout.readline())
        writer.kill()
    with open_log(spec, name=name, folder=tmp_path) as log:
        ids = all_ids(log)
    # what was accepted comes first; of what was on its way a whole batch or nothing
    assert ids[: accepted + 1] == [f"w-{n}" for n in range(accepted + 1)]
    assert ids == [f"w-{n}" for n in range(len(ids))]
    assert len(ids) % 100 == 0


def test_a_full_disk_is_named_and_what_was_there_stays(tmp_path):
    with SqliteLog(tmp_path / "events.sqlite") as log:
        log.append(ONE)
        (pages,) = log._writer.execute("PRAGMA page_count").fetchone()
        log._writer.execute(f"PRAGMA max_page_count = {pages + 1}")  # SQLite's own word for a disk of that size
        with pytest.raises(LogFull, match="disk is full"):
            log.append([Entry(f"large-{n}", b"x" * 4000) for n in range(10)])
        assert all_ids(log) == ["one"]
        log._writer.execute("PRAGMA max_page_count = 100000")
        log.append(TWO)
        assert all_ids(log) == ["one", "two"]


@pytest.mark.parametrize("left", [0, 12_288])
def test_a_disk_that_has_no_room_for_a_new_log_is_full_and_the_log_is_begun_when_there_is_room(tmp_path, left):
    """There is room for nothing, or for the file and not for the index of its journal."""
    with small_disk(tmp_path / "small", "256k") as folder:
        others = fill(folder, left=left)
        with pytest.raises(LogFull, match="Free some room"):
            SqliteLog(folder / "events.sqlite")
        others.unlink()
        with SqliteLog(folder / "events.sqlite") as log:
            log.append(ONE)
            assert all_ids(log) == ["one"]


def test_a_log_that_may_only_be_read_is_read_and_it_is_written_as_soon_as_it_may_be(tmp_path):
    with SqliteLog(tmp_path / "first" / "events.sqlite") as log:
        log.append(ONE)
        shutil.copytree(tmp_path / "first", tmp_path / "there")  # as who is killed leaves it
    with seen_from(tmp_path / "there", tmp_path / "here") as here, SqliteLog(here / "events.sqlite") as log:
        for _ in range(2):
            with pytest.raises(LogUnavailable, match=r"readonly.*Nothing was written.*spec\.online\.log\.claim"):
                log.append(TWO)
        assert all_ids(log) == ["one"]
        may_be_written(here, True)
        log.append(TWO)
        assert all_ids(log) == ["one", "two"]


def test_a_folder_in_the_place_of_the_log_is_named(tmp_path):
    (tmp_path / "events.sqlite").mkdir()
    with pytest.raises(LogUnavailable, match=r"events\.sqlite.*a folder that this process may write"):
        SqliteLog(tmp_path / "events.sqlite")


def test_a_log_that_was_taken_away_takes_nothing_that_nobody_would_find_and_goes_on_when_it_is_back(tmp_path):
    path, elsewhere = tmp_path / "events.sqlite", tmp_path / "elsewhere.sqlite"
    with SqliteLog(path) as log:
        log.append(ONE)
        path.rename(elsewhere)
        for use in (lambda: log.append(TWO), lambda: log.read(BEGINNING)):
            with pytest.raises(LogUnavailable, match="taken away"):
                use()
        elsewhere.rename(path)
        log.append(TWO)
        assert all_ids(log) == ["one", "two"]
        for each in tmp_path.glob("events.sqlite*"):
            each.unlink()
        with SqliteLog(path) as other:
            for use in (lambda: log.append(TWO), log.end):  # told once to who writes, and once to who reads
                with pytest.raises(LogUnavailable, match="another file"):
                    use()
            log.append(TWO)
            assert all_ids(log) == all_ids(other) == ["two"]


def test_a_file_that_is_no_log_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "events.sqlite"
    path.write_bytes(b"not a database, but a file of somebody's" * 100)
    before = path.read_bytes()
    with pytest.raises(LogUnavailable, match=r"events\.sqlite"):
        SqliteLog(path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LogUnavailable, match="cannot be opened"):
        SqliteLog(tmp_path / "file" / "events.sqlite")


def test_another_process_that_writes_for_long_is_waited_for_and_then_named(tmp_path, monkeypatch):
    monkeypatch.setattr("shoploop.events.sqlite_log.BUSY_SECONDS", 0.1)
    with SqliteLog(tmp_path / "events.sqlite") as log, SqliteLog(tmp_path / "events.sqlite") as other:
        other._writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailable, match="locked"):
            log.append(ONE)
        other._writer.execute("ROLLBACK")
        log.append(ONE)
        assert all_ids(other) == ["one"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("appendfsync", "everysec"), ("no-appendfsync-on-rewrite", "yes"), ("appendonly", "no")],
)
def test_a_redis_that_does_not_write_before_it_answers_is_no_log(tmp_path, setting, value):
    with redis_server(tmp_path / "redis", f"--{setting}", value) as server:
        with pytest.raises(LogNotDurable, match=setting):
            RedisLog(server.url, name="shop")


def made_topic(servers, name, **config):
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    topic = NewTopic(f"shoploop.{name}.events", num_partitions=1, replication_factor=1, config=config)
    admin = AdminClient({"bootstrap.servers": servers})
    for future in admin.create_topics([topic]).values():
        future.result(30)
    while topic.topic not in admin.list_topics(timeout=30).topics:
        time.sleep(0.05)


def test_a_topic_that_is_there_takes_no_right_to_make_topics(kafka_place, monkeypatch, caplog):
    """Kafka looks at the right before it looks whether the topic is there."""
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    def forbidden(*_, **__):
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    made_topic(kafka_place.servers, "platforms", **{"retention.ms": "-1"})
    monkeypatch.setattr(AdminClient, "create_topics", forbidden)
    with KafkaLog(kafka_place.servers, name="platforms") as log:
        log.append(ONE)
        assert all_ids(log) == ["one"]
    assert not caplog.text
    with pytest.raises(LogUnavailable, match="authorization"):
        KafkaLog(kafka_place.servers, name="missing")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("retention.ms", str(24 * 3_600_000)), ("cleanup.policy", "compact"), ("cleanup.policy", "compact,delete")],
)
def test_a_topic_that_forgets_what_it_accepted_is_no_log(kafka_place, setting, value):
    name = f"{setting}-{value.replace(',', '-')}"
    made_topic(kafka_place.servers, name, **{setting: value})
    with pytest.raises(LogNotDurable, match=setting):
        KafkaLog(kafka_place.servers, name=name)


def test_a_topic_that_forgets_some_day_is_told_of_and_so_is_one_that_does_not_say(kafka_place, monkeypatch, caplog):
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    made_topic(kafka_place.servers, "brokers-own")  # seven days
    with KafkaLog(kafka_place.servers, name="brokers-own") as log:
        log.append(ONE)
    assert "forgets what is in topic shoploop.brokers-own.events by itself (retention.ms 604800000" in caplog.text

    def forbidden(self, resources, **_):
        future = Future()
        future.set_exception(KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)))
        return dict.fromkeys(resources, future)

    monkeypatch.setattr(AdminClient, "describe_configs", forbidden)
    with KafkaLog(kafka_place.servers, name="brokers-own") as log:
        assert all_ids(log) == ["one"]
    assert "does not tell how long it keeps topic shoploop.brokers-own.events" in caplog.text


def test_a_redis_that_is_killed_and_started_again_has_what_it_accepted(tmp_path):
    with redis_server(tmp_path / "redis") as server, RedisLog(server.url, name="shop") as log:
        log.append(ONE)
        server.kill()
        with pytest.raises(LogUnavailable, match=r"Redis 127\.0\.0\.1"):
            log.append(TWO)
        server.start()
        assert log.append(ONE) == [1]  # it is known still
        log.append(TWO)
        assert all_ids(log) == ["one", "two"]


def test_a_redis_whose_disk_is_full_is_named_and_has_what_it_accepted_when_there_is_room(tmp_path):
    with small_disk(tmp_path / "small", "512k") as folder:
        with redis_server(folder / "redis") as server, RedisLog(server.url, name="shop") as log:
            accepted = []
            with pytest.raises(
                LogUnavailable, match=r"Redis 127\.0\.0\.1"
            ):  # it ends rather than lose what it said it has
                for number in range(1000):
                    log.append([Entry(f"large-{number}", b"x" * 5000)])
                    accepted.append(f"large-{number}")
            server.process.wait(30)
            may_hold(folder, "8m")
            server.start()
            assert accepted and all_ids(log) == accepted
            log.append(ONE)
            assert all_ids(log) == [*accepted, "one"]


@pytest.mark.parametrize(("hour", "said"), [(3600, "ahead of"), (-3600, "behind")])
def test_whoever_opens_a_redis_with_another_time_is_told_by_how_much_it_is_off(
    redis_place, monkeypatch, caplog, hour, said
):
    now = time.time
    monkeypatch.setattr("shoploop.events.redis_log.time.time", lambda: now() + hour)
    RedisLog(redis_place.url, name="clocks").close()
    assert re.search(rf"clock is 3(59\d|60\d) s {said} that of Redis 127\.0\.0\.1.*by NTP", caplog.text)


def test_a_redis_at_its_maxmemory_refuses_by_name_and_forgets_nothing(tmp_path):
    settings = ("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    with redis_server(tmp_path / "redis", *settings) as server, RedisLog(server.url, name="shop") as log:
        log.append(ONE)
        accepted = 1
        with pytest.raises(LogFull, match="maxmemory"):
            for n in range(100):
                log.append([Entry(f"large-{n}", b"x" * 100_000)])
                accepted += 1
        assert len(all_ids(log)) == accepted


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (("--appendonly", "no"), "keeps nothing on disk"),
        (("--appendfsync", "everysec"), "appendfsync everysec"),
        (("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"), "allkeys-lru"),
    ],
)
def test_a_redis_that_would_lose_events_is_refused(tmp_path, settings, why):
    with redis_server(tmp_path / "redis", *settings) as server, pytest.raises(LogNotDurable, match=why):
        RedisLog(server.url, name="shop")


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(LogUnavailable, match=r"Redis 127\.0\.0\.1:1"):
        RedisLog("redis://127.0.0.1:1/0", name="shop")
    with pytest.raises(SpecInvalid, match="needs the address"):
        open_log(EventLogSpec.model_construct(type="Redis", connection=None), name="shop", folder=None)


@pytest.mark.parametrize("address", ["redis:port", "redis://:secret@redis:port/0", "redis://redis:6379/0?nonsense=1"])
def test_an_address_that_is_none_is_named_without_its_password(address):
    spec = EventLogSpec.model_construct(type="Redis", connection=address, tls=None, secret_ref=None)
    with pytest.raises(SpecInvalid, match="no URL of a Redis") as refused:
        open_log(spec, name="shop", folder=None)
    assert "secret" not in str(refused.value)


def test_what_somebody_else_writes_into_the_topic_is_passed_over(kafka_place: KafkaBroker):
    with KafkaLog(kafka_place.servers, name="shared") as log:
        log.append(ONE)
        for key in (None, b"\xff"):
            log._producer.produce(log.topic, key=key, value=b"of another program", partition=0)
        log._producer.flush(30)
        log.append(ONE + TWO)
        assert [record.id for record in log.read(BEGINNING)] == ["one", "two"]


def test_a_topic_with_more_ids_than_may_be_known_is_named_and_served_again_once_it_is_trimmed(
    kafka_place: KafkaBroker, monkeypatch
):
    monkeypatch.setattr("shoploop.events.kafka_log.MOST_IDS", 100)
    monkeypatch.setattr("shoploop.events.kafka_log.INDEXED_AT_ONCE", 50)
    many = [Entry(f"id {number}", b"body") for number in range(200)]
    with KafkaLog(kafka_place.servers, name="crowded") as log:
        log.append(many)
    with KafkaLog(kafka_place.servers, name="crowded") as log:
        for what in (lambda: log.read(BEGINNING), lambda: log.append(ONE), lambda: log.read(BEGINNING)):
            with pytest.raises(LogFull, match=r"more than 100 entries.*shoploop events trim"):
                what()
        log.trim(151)
        assert len(log._first) <= 100
        assert log.append([*ONE, *many[190:]])[1:] == list(range(191, 201))
        assert [record.id for record in log.read(BEGINNING)] == [each.id for each in [*many[150:], *ONE]]


def test_a_redis_that_does_not_tell_how_it_keeps_things_is_taken_with_a_warning(tmp_path, caplog):
    with redis_server(tmp_path / "redis", "--rename-command", "CONFIG", "") as server:
        with RedisLog(server.url, name="shop") as log:
            log.append(ONE)
        assert "does not tell how it keeps data" in caplog.text


def test_a_kafka_broker_that_is_killed_and_comes_back_has_what_it_accepted(kafka_place: KafkaBroker, monkeypatch):
    monkeypatch.setattr("shoploop.events.kafka_log.TIMEOUT_SECONDS", 3.0)
    with KafkaLog(kafka_place.servers, name="killed") as log:
        log.append(ONE)
        kafka_place.kill()
        try:
            with pytest.raises(LogUnavailable):
                log.append(TWO)
        finally:
            kafka_place.start()
        monkeypatch.setattr("shoploop.events.kafka_log.TIMEOUT_SECONDS", 60.0)
        log.append(ONE + TWO)
        assert [record.id for record in log.read(BEGINNING)] == ["one", "two"]


def test_a_kafka_that_is_nowhere_is_named(monkeypatch):
    monkeypatch.setattr("shoploop.events.kafka_log.TIMEOUT_SECONDS", 1.0)
    with pytest.raises(LogUnavailable, match=r"Kafka 127\.0\.0\.1:1\W.*\w{4}"):
        KafkaLog("127.0.0.1:1", name="grocery")


@pytest.mark.parametrize("url", ["redis://:hunter#2@localhost:6379", "redis://ann:hunter2@localhost:port"])
def test_a_password_in_an_address_is_told_to_nobody(url):
    with pytest.raises(SpecInvalid) as refused:
        RedisLog(url, name="grocery")
    assert "hunter" not in "".join(traceback.format_exception(refused.value))
