"""Answers what is asked most, without BentoML's own way from a request to a method and back.

That way reads the body again, checks it again, looks for who can read and write it, and asks a thread by several others: half
of what HTTP costs a request, which has been read and checked by :class:`~shoploop.predictor.http.CheckedJson` before. The
method that BentoML knows by the same path says what it is in OpenAPI, and does the same.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from pydantic import BaseModel

from shoploop.predictor.access_log import ANSWERED
from shoploop.predictor.http import ASKED, App, Message, Receive, Refused, Send, refuse

Answering = Callable[[Any], Any]
"""Of a request as pydantic has read it, the answer as pydantic writes it: an answer of a ranker."""


MOST_HANGING = 64
"""Threads of requests that were given up and have not ended."""


class Answers:
    """What answers each path. Known once the service is there, which is after the server's middleware is made."""

    def __init__(self, *, threads: int):
        """
        Args:
            threads: Requests that are worked on at a time; others wait. One that is given up after its time no longer
                counts, though its thread may hang on.
        """
        self.by_path: Mapping[str, Answering] = {}
        self.turns = asyncio.Semaphore(threads)
        self.threads = ThreadPoolExecutor(threads + MOST_HANGING, thread_name_prefix="answers")

    def close(self) -> None:
        """Begins nothing more; what is being worked on goes on."""
        self.threads.shutdown(wait=False, cancel_futures=True)


class Direct:
    """ASGI middleware: answers the requests that were read to some paths; all else goes on."""

    def __init__(self, app: App, *, answers: Answers):
        self.app = app
        self.answers = answers

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        answering = self.answers.by_path.get(scope.get("path", ""))
        asked = scope.get(ASKED)
        if answering is None or asked is None:
            await self.app(scope, receive, send)
            return
        # when the request came is known by the context
        work = partial(contextvars.copy_context().run, _answered, answering, asked)
        try:
            async with self.answers.turns:
                answered, body = await asyncio.get_running_loop().run_in_executor(self.answers.threads, work)
        except Refused as error:
            await refuse(send, error.status, str(error), code=error.code)
            return
        except Exception:
            logging.getLogger(__name__).exception("%s could not be answered.", scope["path"])
            await refuse(send, 500, "The request could not be answered; the service's log says why.")
            return
        told = scope.get(ANSWERED)
        if told is not None:
            told.update(answered)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _answered(answering: Answering, asked: BaseModel) -> tuple[dict[str, str], bytes]:
    """What is told of the answer, and the answer as it is sent."""
    answer = answering(asked)
    told = {"request_id": answer.request_id, "version": answer.version, "method": answer.method}
    return told, answer.model_dump_json().encode()
