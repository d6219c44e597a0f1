"""Lets those in who may ask, before a byte of their request's body is read."""

from collections.abc import Collection

from shoploop.predictor.callers import Caller, Callers
from shoploop.predictor.http import App, Message, Receive, Send, refuse
from shoploop.predictor.shop_keys import Unauthorized

CALLER = "shoploop.caller"
"""In the request's scope: who asks, where anybody has to say so."""


class Access:
    """ASGI middleware: 401 and 403, as problem details, for who may not ask."""

    def __init__(self, app: App, *, routes: Collection[str], callers: Callers):
        """
        Args:
            app: What answers.
            routes: That not everybody may ask.
            callers: Who may.
        """
        self.app = app
        self.routes = frozenset(routes)
        self.callers = callers

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self.routes or not self.callers.are_asked:
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            caller = self.callers.check(headers)
        except Unauthorized as error:
            asks = [(b"www-authenticate", b"Bearer")] if error.status == 401 else []
            await refuse(send, error.status, str(error), code=error.code, headers=asks)
            return
        await self.app({**scope, CALLER: caller}, receive, send)


def caller_of(scope: Message) -> Caller | None:
    """Who asks; None where nobody has to say so."""
    found = scope.get(CALLER)
    return found if isinstance(found, Caller) else None
