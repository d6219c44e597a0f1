"""What the operator answers to ``GET /healthz`` and ``GET /metrics``."""

import time
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shoploop.compute.answering import Reply

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


def health_answer(pulse: Pulse) -> Callable[[str], Reply | None]:
    def answer(path: str) -> Reply | None:
        if path.partition("?")[0] != "/healthz":
            return None
        trouble = pulse.trouble()
        return (503, "text/plain", f"{trouble}\n".encode()) if trouble else (200, "text/plain", b"ok\n")

    return answer


def metrics_answer(path: str) -> Reply | None:
    return (200, CONTENT_TYPE_LATEST, generate_latest()) if path.partition("?")[0] == "/metrics" else None
