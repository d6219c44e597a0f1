"""A bare BentoML service that answers every request with the same bytes: what serving costs before there is a model."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from shoploop.packaging.local_service import free_port, service_process

SERVICE = """
import json
from pathlib import Path

import bentoml

ANSWER = json.loads(Path(__file__).with_name("answer.json").read_text())


@bentoml.service(name="hello", workers=1, threads=2, traffic={"timeout": 10})
class Hello:
    @bentoml.api
    def recommend(self, user: str, k: int = 10) -> dict:
        return ANSWER
"""
"""With the settings of the recommender's own service."""


@contextmanager
def hello(folder: Path, answer: bytes, log: IO[bytes]) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Serves ``answer`` at ``/recommend``; yields the URL and the process.

    Args:
        folder: Empty; for the service's files.
        answer: JSON.
        log: Where its output goes.

    Raises:
        ServiceFailed: it ended, or never became ready.
    """
    (folder / "hello.py").write_text(SERVICE)
    (folder / "answer.json").write_bytes(answer)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "bentoml", "serve", "hello:Hello", "--port", str(port), "--host", "127.0.0.1"]
    with service_process(command, folder=folder, url=url, what="bare BentoML", own={}, log=log) as process:
        yield url, process
