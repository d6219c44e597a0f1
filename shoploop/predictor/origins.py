"""Pages of which other origins may ask the predictor from a browser, as ``spec.serving.allowedOrigins`` says (CORS).

Nobody is kept out by it but pages in other people's browsers: keys and limits are for the rest.
"""

from collections.abc import Collection

from starlette.middleware.cors import CORSMiddleware

from shoploop.predictor.http import App, Message, Receive, Send

ASKED_WITH = ("authorization", "content-type")
READ_BY_PAGES = ("retry-after",)
PREFLIGHT_SECONDS = 600


class Origins:
    """Known once the ranker is loaded, which is after the server's middleware is made."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] = ()

    def allow(self, origins: Collection[str]) -> None:
        """Replaces those that are allowed.

        Args:
            origins: As browsers name them, e.g. ``https://shop.example``; ``*`` is every one.
        """
        self.allowed = tuple(origins)


class CrossOrigin:
    """ASGI middleware: Starlette's CORS around some routes, where any origin is allowed at all."""

    def __init__(self, app: App, *, routes: Collection[str], origins: Origins):
        """
        Args:
            app: What answers.
            routes: That pages may ask; what is for operators, such as ``/metrics``, is not among them.
            origins: Which pages.
        """
        self.app = app
        self.routes = frozenset(routes)
        self.origins = origins

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in self.routes or not self.origins.allowed:
            await self.app(scope, receive, send)
            return
        around = CORSMiddleware(
            self.app,
            allow_origins=self.origins.allowed,
            allow_methods=("POST",),
            allow_headers=ASKED_WITH,
            expose_headers=READ_BY_PAGES,
            max_age=PREFLIGHT_SECONDS,
        )
        await around(scope, receive, send)
