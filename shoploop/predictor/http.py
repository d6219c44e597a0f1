"""What every HTTP request meets before the service: only valid JSON of a sensible size gets in, in a sensible time.

BentoML itself also takes forms, and downloads files that they name; a shop's predictor has no use for either. And it
logs a traceback for every request that it cannot read. Bodies come plain: nothing is unpacked here, so no small body can
become a large one.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse, Response

from shoploop.errors import ShoploopError

ASKED = "shoploop.asked"
"""In the scope of a request whose body was read: what it says, as pydantic has it."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 256 * 1024
"""500 ids of 200 characters fit twice."""

MOST_SIGNS = 20_000
"""Texts, commas and brackets of a body: 500 events that say all they can have 16,005. What a small body costs to read grows
with these, a hundredfold between the cheapest and the dearest, and who asks need not be known yet."""

MOST_DEEP = 100
"""Brackets within brackets, of a body that has too many signs; what is asked needs four."""

MOST_TOLD = 10
"""Problems of one request that are told; the others are counted."""

MOST_LETTERS = 300
"""Of one problem: it may name a field that whoever asks has made up."""

BODY_SECONDS = 10.0
"""For a body to arrive: who sends a byte now and then must not hold a place."""


class Refused(ShoploopError):
    """What is raised instead of an answer; ``status`` is HTTP's, ``code`` is for programs."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status = status
        self.code = code


class JsonRefused(ShoploopError):
    """A body that readers of JSON would disagree about, or none of them could read; ``code`` is for programs."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


def check_json(body: bytes) -> None:
    """Makes sure that everybody who reads ``body`` reads the same.

    Raises:
        JsonRefused: it is no JSON, is nested too deep, has far more in it than any request, names a key twice or holds a
            number that JSON does not have.
    """
    _check_size(body)
    try:
        json.loads(body.decode(), object_pairs_hook=_each_key_once, parse_constant=_no_constant)
    except RecursionError as error:
        raise JsonRefused("json_too_deep", "The JSON is nested too deep.") from error
    except ValueError as error:  # also of bytes that are no text
        raise JsonRefused("json_invalid", f"Invalid JSON: {error}.") from error


_SIGN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[,\[\]{}]', re.DOTALL)
"""A text, also one that nothing ends, or what stands between texts."""


def _check_size(body: bytes) -> None:
    """Before anything is made of it, since a million empty lists take seconds and hundreds of megabytes."""
    if sum(body.count(sign) for sign in (b",", b"[", b"{")) < MOST_SIGNS // 2:
        return  # as most are: no more than so many values, and so many names
    depth = 0
    for count, sign in enumerate(_SIGN.finditer(body), 1):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(sign[0], 0)
        if count > MOST_SIGNS and depth > MOST_DEEP:
            raise JsonRefused("json_too_deep", "The JSON is nested too deep.")
        if count > MOST_SIGNS:
            raise JsonRefused(
                "request_invalid", f"The JSON has more than {MOST_SIGNS} texts, commas and brackets. Send less at once."
            )


def _each_key_once(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise JsonRefused("json_key_twice", f"The JSON names {key[:100]!r} twice in one object.")
        seen.add(key)


def _no_constant(text: str) -> None:
    raise JsonRefused("json_not_finite", f"{text} is no number in JSON.")


class CheckedJson:
    """ASGI middleware: 404 for a POST to what is not asked so, 405 for what is no POST, 415 for a body that is not
    plain JSON, 413 for one that is too large, 408 for one that does not come, 400 for one that is invalid."""

    def __init__(
        self,
        app: App,
        *,
        requests: Mapping[str, type[BaseModel]],
        larger_bytes: Mapping[str, int] | None = None,
        read_only: str | None = None,
        body_seconds: float = BODY_SECONDS,
    ):
        """Guards ``app``.

        Args:
            app: What answers.
            requests: By path, what a body must be.
            larger_bytes: By path, how large a body may be where it may be larger than others.
            read_only: Where a path begins with this the app itself says what may be done, and reads no body.
            body_seconds: How long a body may take to arrive.
        """
        self.body_seconds = body_seconds
        self.app = app
        self.larger_bytes = larger_bytes or {}
        self.read_only = read_only
        self.requests = requests

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in self.requests and scope["method"] != "POST":
            await refuse(send, 405, f"{scope['path']} is asked with POST.", headers=[(b"allow", b"POST")])
            return
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        if not is_post or (self.read_only and scope["path"].startswith(self.read_only)):
            await self.app(scope, receive, send)
            return
        model = self.requests.get(scope["path"])
        if model is None:  # before a byte is read: nobody counts what is sent to where nothing is
            await refuse(send, 404, "There is nothing of this name to be asked with POST.", headers=CLOSE)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        kind = headers.get(b"content-type", b"application/json").split(b";")[0].strip().lower()
        if kind != b"application/json":
            await refuse(send, 415, "Send JSON, with the header content-type: application/json.")
            return
        if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            await refuse(send, 415, "Send the JSON plain, without a content-encoding.", code="body_encoded")
            return
        most = self.larger_bytes.get(scope["path"], MAX_BODY_BYTES)
        try:
            body = await asyncio.wait_for(_body(receive, most), self.body_seconds)
        except TimeoutError:
            await refuse(send, 408, f"The request did not come within {self.body_seconds:g} s.", headers=CLOSE)
            return
        if body is None:
            return  # the client has gone
        if len(body) > most:
            await refuse(send, 413, f"A request may have {most} bytes.")
            return

        try:
            check_json(body or b"{}")
            scope = {**scope, ASKED: model.model_validate_json(body or b"{}")}
        except JsonRefused as error:
            await refuse(send, 400, str(error), code=error.code)
            return
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


async def _body(receive: Receive, most: int) -> bytes | None:
    """The body, or so much of it that it is known to be more than ``most``; None where the client has gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False) or len(body) > most:
            return bytes(body)


def _problems(error: ValidationError) -> list[str]:
    """One line a problem, beginning with the field, e.g. ``k: Input should be less than or equal to 500``; of many the first,
    and how many there are."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = []
    for problem in found[:MOST_TOLD]:
        where = ".".join(str(part) for part in problem["loc"])
        text = f"{where}: {problem['msg']}" if where else problem["msg"]
        problems.append(text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}...")
    if len(found) > MOST_TOLD:
        problems.append(f"and {len(found) - MOST_TOLD} more, {len(found)} problems in all")
    return problems


CODES = {
    400: "request_invalid",
    401: "key_unknown",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    408: "body_too_slow",
    413: "body_too_large",
    415: "not_json",
    429: "rate_limited",
    500: "not_answered",
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
CLOSE = ((b"connection", b"close"),)


def problem(status: int, detail: str, *, code: str | None = None) -> dict[str, Any]:
    """Members of an RFC 9457 object; ``code`` stays the same when the words change."""
    return {"title": HTTPStatus(status).phrase, "status": status, "code": code or CODES[status], "detail": detail}


def problem_response(status: int, detail: str, *, code: str | None = None) -> Response:
    """Problem details as an endpoint answers them instead of what it is declared to."""
    return JSONResponse(problem(status, detail, code=code), status, media_type=PROBLEM.decode())
