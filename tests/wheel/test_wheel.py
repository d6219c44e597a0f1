"""The wheel alone, in an empty environment and an empty folder: what a user without the repository gets."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1500)]

REPOSITORY = Path(__file__).parents[2]


def call(*command, cwd, **options):
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, check=True, text=True, env=clean_environment(), **options
    )


def clean_environment():
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The command ``shoploop`` of an environment that holds the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, REPOSITORY, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    call(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    pip = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "-c", REPOSITORY / "constraints.txt"]
    call(*pip, f"{wheel}[pipeline,serving]", cwd=folder)
    yield folder / "venv/bin/shoploop"
    shutil.rmtree(folder / "venv")


@pytest.fixture(scope="module")
def trained(installed, tmp_path_factory):
    """An empty folder in which the example of one's own data was run."""
    folder = tmp_path_factory.mktemp("empty")
    for file in (REPOSITORY / "examples/own-data").iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    call(installed, "run", "-f", "recommender.yaml", cwd=folder, timeout=900)
    return folder


def test_the_wheel_runs_the_whole_loop_on_ones_own_data(installed, trained):
    listed = call(installed, "versions", "own-data", cwd=trained, capture_output=True).stdout
    assert "passed" in listed
    assert "yes" in listed


def test_the_wheel_serves_what_it_trained(installed, trained):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [str(installed), "serve", "own-data", "--port", str(port)], cwd=trained, env=clean_environment()
    )
    try:
        answer = ask(f"http://127.0.0.1:{port}/recommend", {"user": "nobody we know", "k": 5})
        assert len(answer["items"]) == 5
    finally:
        server.terminate()
        server.wait(30)


def ask(url, body, patience_seconds=120):
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            response = httpx.post(url, json=body, timeout=10)
            if response.status_code == 200:
                return response.json()
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "the service did not answer"
        time.sleep(0.5)
