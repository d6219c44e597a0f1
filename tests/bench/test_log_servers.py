"""What a benchmark of event logs asks, where it is told no more than their kind."""

import os
import shutil
import socket

import pytest

from shoploop.api.online import EventLogSpec
from shoploop.bench import events
from shoploop.bench.log_servers import KAFKA, own_server
from shoploop.cli.logs import log_of, names_place
from shoploop.errors import NotFound

HERE = {
    "redis": pytest.param("redis", marks=pytest.mark.skipif(shutil.which("redis-server") is None, reason="no Redis")),
    "kafka": pytest.param("kafka", marks=pytest.mark.skipif(KAFKA not in os.environ, reason=f"{KAFKA} is not set")),
}


@pytest.mark.parametrize("kind", ["sqlite", *HERE.values()])
def test_a_log_of_which_only_the_kind_is_told_has_a_server_of_its_own_and_it_ends_with_the_benchmark(kind):
    with own_server(log_of(kind)) as log:
        found = events.run(log=log, events=200)
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert found["events"] > 600
    if kind != "sqlite":
        host, _, port = (log.connection or "").rpartition(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=5).close()


@pytest.mark.parametrize("kind", ["Redis", "Kafka"])
def test_a_machine_without_such_a_server_is_told_what_to_install_or_to_name(kind, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv(KAFKA, raising=False)
    address = f"--log {kind.lower()}://HOST:PORT"
    with pytest.raises(NotFound, match=address), own_server(EventLogSpec(type=kind, connection="127.0.0.1:1")):
        pass


@pytest.mark.parametrize("log", ["redis://127.0.0.1:6379/0", "kafka://here:9092", '{"type": "Sqlite"}'])
def test_a_log_that_is_named_whole_is_asked_itself(log):
    assert names_place(log)
    assert not names_place(log.partition(":")[0]) or log.startswith("{")
