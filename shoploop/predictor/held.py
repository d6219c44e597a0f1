"""How much of requests without an answer yet is in memory at once: beyond a number of bytes who sends more is told to wait.

Whoever sends events may send large bodies, many at once and slowly, and none of them waits for a place; without a bound a
predictor's memory would be theirs to fill. Each path has its own bound, so that what fills one keeps nobody from the others.
"""

import logging
import time
from collections import Counter
from collections.abc import Collection

from shoploop.predictor.http import App, Message, Receive, Send, refuse

MOST_BYTES = 64 * 2**20
"""Of one path: sixteen of the largest requests of events, thousands of others."""

TOLD_SECONDS = 60.0


class Held:
    """ASGI middleware: 503 with Retry-After for who sends more than there is room for."""

    def __init__(self, app: App, *, routes: Collection[str], most_bytes: int = MOST_BYTES):
        """
        Args:
            app: What answers.
            routes: Whose bodies are counted.
            most_bytes: Of each of them.
        """
        self.app = app
        self.routes = frozenset(routes)
        self.most_bytes = most_bytes
        self.held: Counter[str] = Counter()
        self._told = float("-inf")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else None
        if path not in self.routes:
            await self.app(scope, receive, send)
            return
        mine = 0

        async def received() -> Message:
            nonlocal mine
            message = await receive()
            size = len(message.get("body", b"")) if message["type"] == "http.request" else 0
            if size and self.held[path] + size > self.most_bytes:
                raise _TooMuch
            self.held[path] += size
            mine += size
            return message

        try:
            await self.app(scope, received, send)
        except _TooMuch:
            self._tell(path)
            detail = (
                f"More is being sent to {path} at once than there is room for. Send it again in 1 s, or less at a time."
            )
            await refuse(send, 503, detail, headers=[(b"retry-after", b"1"), (b"connection", b"close")])
        finally:
            self.held[path] -= mine

    def _tell(self, path: str) -> None:
        if time.monotonic() - self._told >= TOLD_SECONDS:
            self._told = time.monotonic()
            logging.getLogger(__name__).warning(
                "Requests to %s are refused: %d bytes of others are in memory, which is all there is room for. Where that is "
                "one client's, limit it before it gets here; where it is all of them, run more predictors.",
                path,
                self.held[path],
            )


class _TooMuch(Exception):
    """What was received does not fit beside what others have sent."""
