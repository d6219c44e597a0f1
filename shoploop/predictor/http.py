"""What every HTTP request meets before the service: only valid JSON of a sensible size gets in.

BentoML itself also takes forms, and downloads files that they name; a shop's predictor has no use for either. And it
logs a traceback for every request that it cannot read.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ValidationError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 256 * 1024
"""500 ids of 200 characters fit twice."""


class CheckedJson:
    """ASGI middleware: 415 for a body that is not JSON, 413 for one that is too large, 400 for one that is invalid."""

    def __init__(
        self, app: App, *, requests: Mapping[str, type[BaseModel]], larger_bytes: Mapping[str, int] | None = None
    ):
        """Guards ``app``.

        Args:
            app: What answers.
            requests: By path, what a body must be.
            larger_bytes: By path, how large a body may be where it may be larger than others.
        """
        self.app = app
        self.larger_bytes = larger_bytes or {}
        self.requests = requests

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        kind = headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower()
        if kind != b"application/json":
            await refuse(send, 415, "Send JSON, with the header content-type: application/json.")
            return
        most = self.larger_bytes.get(scope["path"], MAX_BODY_BYTES)
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client has gone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > most:
                await refuse(send, 413, f"A request may have {most} bytes.")
                return

        if model := self.requests.get(scope["path"]):
            try:
                model.model_validate_json(body or b"{}")
            except ValidationError as error:
                await refuse(send, 400, "; ".join(_problems(error)))
                return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)


def _problems(error: ValidationError) -> list[str]:
    """One line a problem, beginning with the field, e.g. ``k: Input should be less than or equal to 500``."""
    problems = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        where = ".".join(str(part) for part in problem["loc"])
        problems.append(f"{where}: {problem['msg']}" if where else problem["msg"])
    return problems


CODES = {
    400: "request_invalid",
    401: "key_unknown",
    403: "not_allowed",
    404: "not_found",
    413: "body_too_large",
    415: "not_json",
    429: "rate_limited",
    503: "overloaded",
}


async def refuse(
    send: Send, status: int, detail: str, *, code: str | None = None, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answers with problem details (RFC 9457) that a person can read, and a ``code`` that a program can."""
    body = json.dumps(problem(status, detail, code=code)).encode()
    own = [(b"content-type", PROBLEM), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})


PROBLEM = b"application/problem+json"


def problem(status: int, detail: str, *, code: str | None = None) -> dict[str, Any]:
    """Members of an RFC 9457 object; ``code`` stays the same when the words change."""
    return {"title": HTTPStatus(status).phrase, "status": status, "code": code or CODES[status], "detail": detail}
