"""Answers on threads of their own: who says nothing holds no thread for long, and keeps nobody from being heard."""

import socket
import threading
import urllib.request
from contextlib import ExitStack

import pytest

from shoploop.compute import answering


@pytest.fixture
def port():
    server = answering.serve(0, lambda path: (200, "text/plain", b"well"), host="127.0.0.1")
    yield server.server_port
    server.shutdown()
    server.server_close()


def asks(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
        return answer.read()


def test_of_many_who_say_nothing_the_longest_are_let_go_and_who_asks_is_answered(port, monkeypatch):
    monkeypatch.setattr(answering, "MOST_CONNECTIONS", 5)
    before = threading.active_count()
    with ExitStack() as held:
        silent = [held.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(30)]
        assert asks(port) == b"well"
        for each in silent[:25]:
            each.settimeout(60)
            assert each.recv(1) == b"", "it was let go"
        assert threading.active_count() - before <= 6
    assert asks(port) == b"well"


def test_who_asks_nothing_is_let_go(monkeypatch):
    monkeypatch.setattr(answering, "SILENT_SECONDS", 0.05)
    server = answering.serve(0, lambda path: None, host="127.0.0.1")
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as silent:
        silent.sendall(b"GET /healthz HTT")
        assert silent.recv(1) == b""
    server.shutdown()
    server.server_close()
