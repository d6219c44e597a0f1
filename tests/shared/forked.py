"""Toys as processes that are forked off one which has imported what they need: that takes longer than all that they do.

Each is a process as if it had just been started: with arguments, an environment, streams, a folder and signals of its own. What
only a start from nothing shows, such as what a locale does to Python, needs a process that is started, by ``subprocess``.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any

LOOK_SECONDS = 0.01


class Forked:
    """A process, used as one of ``subprocess`` is."""

    def __init__(self, arguments: list[str], *, env: Mapping[str, str], cwd: Path, output: IO[bytes]):
        """``toy_steps`` with these arguments; both its streams go to ``output``."""
        self._server = _server()
        self.pid: int = self._server.ask({"arguments": arguments, "env": dict(env), "cwd": str(cwd)}, output.fileno())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended; as long as nobody asks, one that has ended stays as a zombie."""
        if self.returncode is None:
            self.returncode = self._server.ask({"wait": self.pid})
        return self.returncode

    def wait(self, seconds: float) -> int:
        until = time.monotonic() + seconds
        while (code := self.poll()) is None:
            assert time.monotonic() < until, f"process {self.pid} goes on"
            time.sleep(LOOK_SECONDS)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class _Server:
    """The process that others are forked off; it ends with this one."""

    def __init__(self) -> None:
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            command = [sys.executable, __file__, str(its.fileno())]
            self._process = subprocess.Popen(
                command, pass_fds=[its.fileno()], env=os.environ | {"PYTHONWARNINGS": "ignore"}
            )
        self._socket, self._turn = mine, threading.Lock()

    def ask(self, message: dict[str, Any], *files: int) -> Any:
        with self._turn:
            socket.send_fds(self._socket, [json.dumps(message).encode()], files)
            return json.loads(self._socket.recv(4096))


@cache
def _server() -> _Server:
    return _Server()


def _serve(asked: socket.socket) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's; it ends when nobody is left to ask
    while True:
        text, files, _, _ = socket.recv_fds(asked, 2**20, 1)
        if not text:
            return
        message = json.loads(text)
        if "wait" in message:
            pid, status = os.waitpid(message["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif (answer := os.fork()) == 0:
            asked.close()
            os.dup2(files[0], 1)
            os.dup2(files[0], 2)
            os.close(files[0])
            _become(**message)
        else:
            os.close(files[0])
        asked.send(json.dumps(answer).encode())


def _become(arguments: list[str], env: dict[str, str], cwd: str) -> None:
    """Is the program from here on, to its end."""
    import toy_steps

    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    encoding = env.get("PYTHONIOENCODING", "utf-8")
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)
    sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", closefd=False)
    code: object = 1
    try:
        toy_steps.program(arguments)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def _import_all() -> None:
    """What a run imports and finds out whatever it is a run of, so that those who are forked off have it."""
    import pyarrow.parquet
    import vl_convert  # noqa: F401

    import shoploop.cli.main
    import shoploop.cli.run
    import shoploop.data.canonical
    import shoploop.events.compaction
    import shoploop.packaging.bento
    import shoploop.report
    import shoploop.runs.pod
    import shoploop.runs.retention
    import shoploop.versions.promotions
    import toy_steps
    from shoploop.api.v1alpha1 import Recommender
    from shoploop.steps import step_keys

    assert toy_steps.VARIABLE
    spec = Recommender.model_validate({"spec": {"data": {"dataset": "completejourney"}}}).spec
    step_keys(spec, source="", incumbent=None)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as server_end:
        _import_all()
        _serve(server_end)
