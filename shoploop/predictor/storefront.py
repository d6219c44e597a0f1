"""The example shop at ``/storefront/``: static files of a folder, and what the page must know of this predictor.

Only ``shoploop serve`` names such a folder, on one's own machine; in a pod there is none, and nothing answers there.
"""

import os

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from shoploop.predictor.http import App, Message, Receive, Send, refuse
from shoploop.predictor.storefront_settings import ENVIRONMENT, PATH, StorefrontSettings

HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data: https: http:; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cache-control", b"no-cache"),
)


class Storefront:
    """ASGI middleware that answers below ``/storefront``, where the environment names a folder; everything else goes on."""

    def __init__(self, app: App):
        self.app = app
        text = os.environ.get(ENVIRONMENT)
        self._settings = StorefrontSettings.model_validate_json(text) if text else None
        self._files = StaticFiles(directory=self._settings.folder, html=True) if self._settings else None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        mine = scope["type"] == "http" and (scope["path"] == PATH or scope["path"].startswith(f"{PATH}/"))
        if not mine or self._settings is None or self._files is None:
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        inside = scope["path"].removeprefix(PATH)
        if not inside:
            await RedirectResponse(f"{PATH.rpartition('/')[2]}/")(scope, receive, guarded)
        elif inside == "/config.json" and scope["method"] in ("GET", "HEAD"):
            told = {"name": self._settings.name, "key": self._settings.key}
            await JSONResponse(told)(scope, receive, guarded)
        else:
            try:
                await self._files(dict(scope) | {"path": inside, "root_path": ""}, receive, guarded)
            except HTTPException as error:
                detail = f"The storefront has no {inside}." if error.status_code == 404 else str(error.detail)
                await refuse(guarded, error.status_code, detail, code="not_found")
