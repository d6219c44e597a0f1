"""How busy a predictor is: ``GET /load`` answers with the shop's requests that are being answered just now.

An autoscaler asks it. It must not know what the requests mean, and a probe or a scrape is no load.
"""

import json
from collections.abc import Collection

from shoploop.predictor.http import App, Message, Receive, Send

PATH = "/load"


class Load:
    """ASGI middleware that counts the requests to some routes while they are being answered."""

    def __init__(self, app: App, *, routes: Collection[str]):
        self.app = app
        self.routes = frozenset(routes)
        self.in_flight = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            await self._tell(send)
            return
        if scope["type"] != "http" or scope["path"] not in self.routes:
            await self.app(scope, receive, send)
            return
        self.in_flight += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.in_flight -= 1

    async def _tell(self, send: Send) -> None:
        body = json.dumps({"inFlight": self.in_flight}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
