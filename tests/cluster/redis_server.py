"""A real, durable Redis that pods can reach, and ways to kill it and what else a test kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT, Cluster, Object

PORT = 6390
PASSWORD = "of-the-cluster-tests"

READ = """
import json, sys
from shoploop.events.log import BEGINNING
from shoploop.events.redis_log import RedisLog

items, after = [], BEGINNING
with RedisLog(sys.argv[1], name=sys.argv[2]) as log:
    while records := log.read(after, limit=10_000):
        items += [json.loads(record.body).get("item") for record in records]
        after = records[-1].offset
print(json.dumps(items))
"""


@dataclass
class Redis:
    """A durable Redis within the cluster's network, which can be killed and started again on the same data."""

    kubebox: str
    node: str
    folder: Path

    def start(self) -> None:
        kept = ["--dir", self.folder, "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
        reached = ["--bind", self.node, "--port", PORT, "--requirepass", PASSWORD]
        settings = ["--daemonize", "yes", "--pidfile", self.folder / "pid", "--logfile", self.folder / "log"]
        subprocess.run([self.kubebox, "exec", "--", "redis-server", *map(str, kept + reached + settings)], check=True)
        for _ in range(100):
            asked = ["redis-cli", "-h", self.node, "-p", str(PORT), "ping"]
            env = os.environ | {"REDISCLI_AUTH": PASSWORD}
            done = subprocess.run([self.kubebox, "exec", "--", *asked], env=env, capture_output=True, text=True)
            if done.stdout.strip() == "PONG":
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def kill(self) -> None:
        """kill -9."""
        with suppress(FileNotFoundError, ProcessLookupError):
            os.kill(int((self.folder / "pid").read_text()), signal.SIGKILL)
        (self.folder / "pid").unlink(missing_ok=True)

    @property
    def address(self) -> str:
        """As pods reach it."""
        return f"{self.node}:{PORT}"

    @property
    def url(self) -> str:
        """With its password."""
        return f"redis://:{PASSWORD}@{self.address}/0"

    def items(self, name: str) -> list[str]:
        """Of every record of a recommender's log, in its order."""
        command = [self.kubebox, "exec", "--", sys.executable, "-c", READ, self.url, name]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        return list(json.loads(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout))


@contextmanager
def serving(cluster: Cluster, folder: Path) -> Iterator[Redis]:
    """A Redis while the block lasts, on data in ``folder``."""
    if "KUBEBOX" not in cluster.env or shutil.which("redis-server") is None:
        pytest.skip("no Redis within the cluster: needs kubebox, and redis-server on this machine")
    path = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}"
    made = Redis(kubebox=cluster.env["KUBEBOX"], node=cluster.kubectl("get", "nodes", "-o", path), folder=folder)
    made.start()
    try:
        yield made
    finally:
        made.kill()


def secret(namespace: str, name: str, **content: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {key.replace("__", "."): value for key, value in content.items()},
    }


def kill_9(pod: Object, program: str) -> None:
    """Kills every process of a pod whose command names ``program``, from the node: a pod's first process is deaf to a kill
    from within."""
    uid = pod["metadata"]["uid"]
    marks = (uid, uid.replace("-", "_"))
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            mine = any(mark in (process / "cgroup").read_text() for mark in marks)
            if mine and program.encode() in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)
                killed += 1
    assert killed, "no process of the pod was found on this machine"
