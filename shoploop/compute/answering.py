"""A few answers to ``GET``, on threads of their own, so that a process that is busy is still heard of: probes, metrics."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

Reply = tuple[int, str, bytes]
"""HTTP status, content type and body."""


def serve(port: int, answer: Callable[[str], Reply | None], *, host: str = "") -> ThreadingHTTPServer:
    """Serves ``answer(path)`` until the process ends; where that is None there is nothing of the kind.

    Args:
        port: To listen on; 0 takes a free one.
        answer: Called on the thread of the request.
        host: Address to listen on; empty is every one.
    """

    class Handler(BaseHTTPRequestHandler):
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

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, name=f"http-{server.server_port}", daemon=True).start()
    return server
