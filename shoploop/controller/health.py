"""``GET /healthz`` and ``GET /metrics``, on threads of their own, so that they answer when nothing else does."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

BEAT_SECONDS = 1
SILENT_SECONDS = 30
"""Without a heartbeat of the event loop for so long, it hangs."""

STUCK_SECONDS = 900
"""A look that takes longer hangs; helm itself is stopped well before."""


class Pulse:
    """Whether the operator is alive, as far as it can tell itself."""

    def __init__(self, *, busy: Callable[[], list[float]], deaf: Callable[[], str | None]):
        self._busy = busy
        self._deaf = deaf
        self._beat: float | None = None

    def beat(self) -> None:
        self._beat = time.monotonic()

    def trouble(self) -> str | None:
        """What is wrong; None while nothing is."""
        now = time.monotonic()
        if self._beat is None:
            return "it is starting"
        if now - self._beat > SILENT_SECONDS:
            return f"the event loop has been silent for {now - self._beat:.0f} s"
        if any(now - since > STUCK_SECONDS for since in self._busy()):
            return f"a worker has been stuck for more than {STUCK_SECONDS} s"
        deaf = self._deaf()
        return f"the watch of {deaf} is deaf" if deaf else None


def serve(port: int, answer: Callable[[str], tuple[int, str, bytes] | None]) -> ThreadingHTTPServer:
    """Serves ``answer(path) -> (status, content type, body)`` until the process ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = answer(self.path) or (404, "text/plain", b"try /healthz or /metrics\n")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass  # a probe every few seconds is no news

    server = ThreadingHTTPServer(("", port), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, name=f"http-{port}", daemon=True).start()
    return server


def health_answer(pulse: Pulse) -> Callable[[str], tuple[int, str, bytes] | None]:
    def answer(path: str) -> tuple[int, str, bytes] | None:
        if path.partition("?")[0] != "/healthz":
            return None
        trouble = pulse.trouble()
        return (503, "text/plain", f"{trouble}\n".encode()) if trouble else (200, "text/plain", b"ok\n")

    return answer


def metrics_answer(path: str) -> tuple[int, str, bytes] | None:
    return (200, CONTENT_TYPE_LATEST, generate_latest()) if path.partition("?")[0] == "/metrics" else None
