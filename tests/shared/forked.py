"""Programs as processes that are forked off one which has imported what they need: that takes longer than all that they do.

Each is a process as if it had just been started: with arguments, an environment, streams, a folder and signals of its own.
What only a start from nothing shows, such as what a locale does to Python, needs a process that ``subprocess`` starts.
"""

import importlib
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
from types import ModuleType
from typing import IO, Any

LOOK_SECONDS = 0.01


class Forked:
    """A process, used as one of ``subprocess`` is."""

    def __init__(
        self, program: str, arguments: list[str], *, env: Mapping[str, str], cwd: Path, output: IO[bytes],
        errors: IO[bytes] | None = None,
    ):  # fmt: skip
        """
        Args:
            program: A module with ``main(arguments)``, which exits as a program does; one process imports it and calls its
                ``ready()``, if it has one, for all.
            output: Where both streams go, or the first, where there are ``errors`` for the second.
        """
        self._server = _server(program)
        asked = {"arguments": arguments, "env": dict(env), "cwd": str(cwd)}
        self.pid: int = self._server.ask(asked, output.fileno(), (errors or output).fileno())
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

    def __init__(self, program: str) -> None:
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            command = [sys.executable, __file__, str(its.fileno()), program]
            environment = os.environ | {"PYTHONWARNINGS": "ignore"}
            self._process = subprocess.Popen(command, pass_fds=[its.fileno()], env=environment)
        self._socket, self._turn = mine, threading.Lock()

    def ask(self, message: dict[str, Any], *files: int) -> Any:
        with self._turn:
            socket.send_fds(self._socket, [json.dumps(message).encode()], files)
            return json.loads(self._socket.recv(4096))


@cache
def _server(program: str) -> _Server:
    return _Server(program)


def _serve(asked: socket.socket, program: ModuleType) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's; it ends when nobody is left to ask
    while True:
        text, files, _, _ = socket.recv_fds(asked, 2**20, 2)
        if not text:
            return
        message = json.loads(text)
        if "wait" in message:
            pid, status = os.waitpid(message["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif (answer := os.fork()) == 0:
            asked.close()
            for stream, file in enumerate(files, start=1):
                os.dup2(file, stream)
            _close(files)
            _become(program, **message)
        else:
            _close(files)
        asked.send(json.dumps(answer).encode())


def _close(files: list[int]) -> None:
    for file in files:
        os.close(file)


def _become(program: ModuleType, arguments: list[str], env: dict[str, str], cwd: str) -> None:
    """Is the program from here on, to its end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    encoding = env.get("PYTHONIOENCODING", "utf-8")
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)
    sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", closefd=False)
    code: object = 1
    try:
        program.main(arguments)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as server_end:
        found = importlib.import_module(sys.argv[2])
        getattr(found, "ready", lambda: None)()
        _serve(server_end, found)
