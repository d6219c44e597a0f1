"""The example shop at ``/storefront/``: static files of a folder, and what the page must know of this predictor.

Only ``shoploop serve`` names such a folder, on one's own machine; in a pod there is none, and nothing answers there.
"""

import os

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from shoploop.api.loading import problems_of
from shoploop.errors import SpecInvalid
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
        """
        Args:
            app: What answers everything else.

        Raises:
            SpecInvalid: the environment does not say what it has to, or its folder is not there.
        """
        self.app = app
        text = os.environ.get(ENVIRONMENT)
        self._settings = _settings(text) if text else None
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
                if error.status_code == 405:
                    allow = [(b"allow", b"GET, HEAD")]
                    await refuse(guarded, 405, "The storefront can be read, and nothing else.", headers=allow)
                else:  # also of a file that this process may not read
                    await refuse(guarded, 404, f"The storefront has no {inside}.")


def _settings(text: str) -> StorefrontSettings:
    try:
        settings = StorefrontSettings.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(problems_of(error, StorefrontSettings))
        raise SpecInvalid(f"{ENVIRONMENT} cannot be read: {problems}.") from None
    if not settings.folder.is_dir():
        raise SpecInvalid(f"{ENVIRONMENT} names the folder {settings.folder}, which is not there.")
    return settings
