"""Real logs: a SQLite file, a Redis server and a Kafka broker; every law of an event log is checked over each."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from ports import free_ports

from shoploop.events.kafka_log import KafkaLog
from shoploop.events.log import EventLog
from shoploop.events.redis_log import RedisLog
from shoploop.events.sqlite_log import SqliteLog

KINDS = ("sqlite", "redis", "kafka")
QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""A broker of tests is started rather than loaded: without Java's second compiler that takes 7 s of a processor, not 11."""


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
        self.folder = folder
        (port,) = free_ports(1, beside=1)  # the next one is the controller's
        self.servers = ""
        mine = {"KAFKA_TEST_HOME": str(folder), "KAFKA_TEST_PORT": str(port), "JAVA_TOOL_OPTIONS": QUICK_START}
        self._env = os.environ | mine

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
        done = subprocess.run([script, what], env=self._env, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            log = self.folder / "log"
            told = log.read_text(errors="replace")[-3000:] if log.exists() else "it wrote no log"
            raise AssertionError(f"Kafka's script ended {what!r} with {done.returncode}: {done.stderr[-1000:]}\n{told}")
        return done


def started_kafka(folder: Path) -> KafkaBroker:
    """A broker that runs; on other ports where somebody was quicker at taking these, or the machine too slow to start it."""
    last = 2
    for attempt in range(last):
        broker = KafkaBroker(folder / str(attempt))
        with suppress(AssertionError, subprocess.TimeoutExpired):
            broker.start()
            return broker
        with suppress(AssertionError, subprocess.TimeoutExpired):
            broker.end()
    broker = KafkaBroker(folder / str(last))
    broker.start()
    return broker


@pytest.fixture(scope="session")
def redis_place(tmp_path_factory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def kafka_place(tmp_path_factory) -> Iterator[KafkaBroker]:
    if "SHOPLOOP_KAFKA" not in os.environ:
        pytest.skip("no Kafka to test against: SHOPLOOP_KAFKA names no script that starts one")
    broker = started_kafka(tmp_path_factory.mktemp("kafka"))
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
