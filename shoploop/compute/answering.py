"""A few answers to ``GET``, on threads of their own, so that a process that is busy is still heard of: probes, metrics."""

import socket
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

Reply = tuple[int, str, bytes]
"""HTTP status, content type and body."""


MOST_CONNECTIONS = 64
"""At once; each has a thread. Who comes then takes the place of who has been there longest."""

SILENT_SECONDS = 10
"""After which who asks nothing, or does not read the answer, is let go."""


def serve(port: int, answer: Callable[[str], Reply | None], *, host: str = "") -> ThreadingHTTPServer:
    """Serves ``answer(path)`` until the process ends; where that is None there is nothing of the kind.

    Args:
        port: To listen on; 0 takes a free one.
        answer: Called on the thread of the request.
        host: Address to listen on; empty is every one.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = SILENT_SECONDS

        def do_GET(self) -> None:
            status, kind, body = answer(self.path) or (404, "text/plain", b"there is nothing of this name\n")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass  # a probe every few seconds is no news

    server = _Server((host, port), Handler)
    Thread(target=server.serve_forever, name=f"http-{server.server_port}", daemon=True).start()
    return server


class _Server(ThreadingHTTPServer):
    """With a bound on its threads that keeps no probe from being answered, however many others hold a connection."""

    daemon_threads = True

    def __init__(self, *arguments: Any):
        self._open: OrderedDict[socket.socket, None] = OrderedDict()
        self._lock = Lock()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = None
            oldest = next(iter(self._open)) if len(self._open) > MOST_CONNECTIONS else None
            if oldest is not None:
                del self._open[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)  # its thread reads the end, and ends
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who has gone amid an answer is no news."""
