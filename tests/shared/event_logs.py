"""Real logs: a SQLite file, a Redis server and a Kafka broker; every law of an event log is checked over each."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from object_stores import free_ports

from shoploop.events.kafka_log import KafkaLog
from shoploop.events.log import EventLog
from shoploop.events.redis_log import RedisLog
from shoploop.events.sqlite_log import SqliteLog

KINDS = ("sqlite", "redis", "kafka")


class RedisServer:
    """A Redis of its own on a free port, which can be killed and started again on the same data."""

    def __init__(self, folder: Path, *settings: str):
        self.folder = folder
        (self.port,) = free_ports(1)
        self.settings = settings
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        import redis

        folder = ["--dir", str(self.folder), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        durable = ["--appendonly", "yes", "--appendfsync", "always"]
        with (self.folder / "log").open("ab") as log:
            command = ["redis-server", *folder, *durable, *self.settings]
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        with closing(redis.Redis.from_url(self.url)) as client:
            for _ in range(200):
                try:
                    client.ping()
                    return
                except redis.exceptions.RedisError:
                    assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
                    time.sleep(0.05)
        raise AssertionError("Redis does not answer")

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)


@contextmanager
def redis_server(folder: Path, *settings: str) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        pytest.skip("no Redis to test against: apt-get install redis-server")
    folder.mkdir(parents=True, exist_ok=True)
    server = RedisServer(folder, *settings)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class KafkaBroker:
    """A Kafka by the script that SHOPLOOP_KAFKA names."""

    def __init__(self, folder: Path):
        ports = free_ports(2)
        self.servers = ""
        self._env = os.environ | {"KAFKA_TEST_HOME": str(folder), "KAFKA_TEST_PORT": str(_with_free_next(ports))}

    def start(self) -> None:
        told = self._call("up")
        self.servers = told.stdout.split()[-1]

    def kill(self) -> None:
        """kill -9."""
        self._call("kill")

    def end(self) -> None:
        self._call("down")

    def _call(self, what: str) -> subprocess.CompletedProcess[str]:
        script = os.environ["SHOPLOOP_KAFKA"]
        return subprocess.run([script, what], env=self._env, check=True, capture_output=True, text=True, timeout=120)


def _with_free_next(ports: list[int]) -> int:
    """A port whose follower is free too: the broker's controller takes that."""
    import socket

    for port in [*ports, *free_ports(20)]:
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no two free ports beside each other")


@pytest.fixture(scope="session")
def redis_place(tmp_path_factory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def kafka_place(tmp_path_factory) -> Iterator[KafkaBroker]:
    if "SHOPLOOP_KAFKA" not in os.environ:
        pytest.skip("no Kafka to test against: SHOPLOOP_KAFKA names no script that starts one")
    broker = KafkaBroker(tmp_path_factory.mktemp("kafka"))
    broker.start()
    try:
        yield broker
    finally:
        broker.end()


@pytest.fixture(params=KINDS)
def open_one(request, tmp_path) -> Iterator[Callable[[], EventLog]]:
    """Opens the same log again and again; each is closed at the end."""
    name = f"{request.node.name.partition('[')[0][-60:]}-{time.time_ns()}"
    if request.param == "sqlite":
        make: Callable[[], EventLog] = lambda: SqliteLog(tmp_path / "events.sqlite")  # noqa: E731
    elif request.param == "redis":
        url = request.getfixturevalue("redis_place").url
        make = lambda: RedisLog(url, name=name)  # noqa: E731
    else:
        servers = request.getfixturevalue("kafka_place").servers
        make = lambda: KafkaLog(servers, name=name)  # noqa: E731
    opened: list[EventLog] = []

    def open_it() -> EventLog:
        opened.append(make())
        return opened[-1]

    yield open_it
    for log in opened:
        log.close()
