"""The server of an event log, for a benchmark that is told a kind of log and no place: one of its own that is as durable as
an accepted event has to be, where this machine can start one."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from shoploop.api.online import EventLogSpec
from shoploop.errors import NotFound, ShoploopError
from shoploop.packaging.local_service import free_port

KAFKA = "SHOPLOOP_KAFKA"
"""Names a script that starts a broker: ``up`` prints its address last, ``down`` ends it."""

NAME_ONE = "Mend that, or name a server that runs by --log."
PATIENCE_SECONDS = 60
ATTEMPTS = 3


@contextmanager
def own_server(log: EventLogSpec) -> Iterator[EventLogSpec]:
    """The same log in a server that is started for it, and ended afterwards.

    Args:
        log: Of which kind; a SQLite file has no server.

    Raises:
        NotFound: this machine has none to start.
        ShoploopError: it does not come up.
    """
    if log.type == "Sqlite":
        yield log
        return
    with tempfile.TemporaryDirectory(prefix="shoploop-bench-") as made:
        with _redis(Path(made)) if log.type == "Redis" else _kafka(Path(made)) as connection:
            yield log.model_copy(update={"connection": connection})


@contextmanager
def _redis(folder: Path) -> Iterator[str]:
    import redis

    program = shutil.which("redis-server")
    if program is None:
        raise NotFound(
            "There is no redis-server here to start. Install it (apt-get install redis-server), or name one that runs: "
            "--log redis://HOST:PORT/0"
        )
    port = free_port()
    settings = {
        "dir": folder, "port": port, "bind": "127.0.0.1", "save": "", "appendonly": "yes", "appendfsync": "always",
        "maxmemory-policy": "noeviction",
    }  # fmt: skip
    command = [program, *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]
    with (folder / "said").open("wb") as said:
        server = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
    try:
        with closing(redis.Redis(port=port)) as client:
            until = time.monotonic() + PATIENCE_SECONDS
            while True:
                with suppress(redis.exceptions.RedisError):
                    client.ping()
                    break
                if server.poll() is not None or time.monotonic() > until:
                    told = (folder / "said").read_text(errors="replace")[-1000:]
                    raise ShoploopError(f"The Redis that was started does not answer. {NAME_ONE} It says: {told}")
                time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@contextmanager
def _kafka(folder: Path) -> Iterator[str]:
    script = os.environ.get(KAFKA)
    if script is None:
        raise NotFound(
            f"There is no Kafka here to start. Name one that runs (--log kafka://HOST:PORT), or in {KAFKA} a script that "
            "starts one by `up` and ends it by `down`."
        )
    for attempt in range(ATTEMPTS):
        # the port beside is taken, too, and somebody may be quicker
        settings = {"KAFKA_TEST_HOME": str(folder / str(attempt)), "KAFKA_TEST_PORT": str(free_port())}
        try:
            told = _call(script, "up", settings)
            break
        except ShoploopError:
            with suppress(ShoploopError):  # where it failed late, something runs
                _call(script, "down", settings)
            if attempt == ATTEMPTS - 1:
                raise
    try:
        yield told.split()[-1]
    finally:
        _call(script, "down", settings)


def _call(script: str, what: str, settings: dict[str, str]) -> str:
    done = subprocess.run([script, what], env=os.environ | settings, capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise ShoploopError(f"{script} {what} ended with {done.returncode}. {NAME_ONE} It says: {said}")
    return done.stdout
