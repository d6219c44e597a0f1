"""A line of JSON for each request: when, what, how it ended, how long it took, and the answer's own id, version and method.

It names nobody: who asked stands in the event log alone, under a pseudonym.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from shoploop.predictor.http import App, Message, Receive, Send

ENVIRONMENT = "SHOPLOOP_ACCESS_LOG"
"""Environment variable: ``off`` writes none of these lines; metrics count all the same."""

ANSWERED = "shoploop.answered"
"""In the request's scope: a dictionary into which who answers writes what tells the answer from others."""


def lines() -> Callable[[str], None] | None:
    """Writes a line to standard output; None where the environment wants none."""
    if os.environ.get(ENVIRONMENT, "").strip().lower() == "off":
        return None
    log = logging.getLogger("shoploop.access")
    if not log.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    return log.info


GIVEN_UP = 504


class AccessLog:
    """ASGI middleware: tells what became of each request to some paths; ``status`` is null where who asked has gone."""

    def __init__(self, app: App, *, routes: Collection[str], write: Callable[[str], None] | None):
        self.app = app
        self.routes = frozenset(routes)
        self.write = write

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if self.write is None or scope["type"] != "http" or scope["path"] not in self.routes:
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status: int | None = None
        answered: dict[str, str] = {}

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app({**scope, ANSWERED: answered}, receive, seen)
        except asyncio.CancelledError:  # BentoML's time limit, which stands outside and says so to who asked
            status = status or GIVEN_UP
            raise
        finally:
            told = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "route": scope["path"],
                "status": status,
                "milliseconds": round((time.perf_counter() - began) * 1000, 3),
            }
            self.write(json.dumps(told | answered))
