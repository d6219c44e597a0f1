"""What is for who administers a predictor: metrics, load, the description of its interface. At a port of its own where the
environment names one, and then nowhere else; without one it is answered where shoppers ask.

Probes are answered at both ports: whoever probes need not know which it is.
"""

import json
import logging
import os
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from shoploop.api.loading import problems_of
from shoploop.compute.answering import Reply, serve
from shoploop.errors import PortInUse, SpecInvalid
from shoploop.predictor.access_settings import ADMIN, AdminSettings
from shoploop.predictor.admission import PATH as LOAD
from shoploop.predictor.admission import Waiting
from shoploop.predictor.http import App, Message, Receive, Send, refuse

DOCS, METRICS = "/docs.json", "/metrics"
PRIVATE = frozenset({DOCS, METRICS, LOAD, "/schema.json"})
ANSWERED = (DOCS, METRICS, LOAD, "/schema.json", "/livez", "/readyz", "/healthz")
PRIVATE_BELOW = "/static_content/"
"""BentoML's own page of the description."""

SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, a key of the shop's own servers or, within its origins, of its pages; or a JSON Web "
        "Token of the issuer that the shop names.",
    }
}
PROBLEM = {
    "type": "object",
    "required": ["title", "status", "code", "detail"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stays the same when the words change."},
        "detail": {"type": "string"},
    },
}


class Admin:
    """Answers of one predictor's to who administers it."""

    def __init__(
        self,
        settings: AdminSettings | None,
        *,
        waiting: Waiting,
        described: Callable[[], dict[str, Any]] = lambda: {},
    ):
        """
        Args:
            settings: Where; None where shoppers ask, too.
            waiting: Requests that are being answered.
            described: The description of the interface, as OpenAPI.
        """
        self.settings = settings
        self._waiting = waiting
        self.described = described

    @classmethod
    def configured(cls, *, waiting: Waiting) -> "Admin":
        """As the environment says.

        Raises:
            SpecInvalid: that cannot be read.
        """
        text = os.environ.get(ADMIN)
        if not text:
            return cls(None, waiting=waiting)
        try:
            return cls(AdminSettings.model_validate_json(text), waiting=waiting)
        except ValidationError as error:
            problems = "; ".join(problems_of(error, AdminSettings))
            raise SpecInvalid(f"{ADMIN} cannot be read: {problems}.") from None

    def start(self) -> int | None:
        """Listens, if at a port of its own, until the process ends; returns that port.

        Raises:
            PortInUse: something else listens there.
        """
        if self.settings is None:
            return None
        try:
            server = serve(self.settings.port, self.answer, host=self.settings.host)
        except OSError as error:
            raise PortInUse(
                f"Port {self.settings.port} on {self.settings.host}, for metrics and the like, cannot be listened on: "
                f"{error.strerror}. End what uses it, or name another."
            ) from error
        logging.getLogger(__name__).info("Metrics are answered at port %d.", server.server_port)
        return int(server.server_port)

    def answer(self, path: str) -> Reply | None:
        """To ``GET``; None where there is nothing of this name."""
        match path.partition("?")[0]:
            case "/livez" | "/readyz" | "/healthz":
                return 200, "text/plain", b"\n"
            case "/load":
                return 200, "application/json", json.dumps({"inFlight": self._waiting.in_flight}).encode()
            case "/docs.json":
                return 200, "application/json", json.dumps(self.described()).encode()
            case "/metrics":
                return metrics_reply()
        return None

    def is_private(self, path: str) -> bool:
        """Whether shoppers' port has no answer to it."""
        return self.settings is not None and (path in PRIVATE or path.startswith(PRIVATE_BELOW))


def metrics_reply() -> Reply:
    """What this process and its like have counted."""
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, values
    from prometheus_client.multiprocess import MultiProcessCollector  # type: ignore[attr-defined, unused-ignore]

    registry = REGISTRY
    # not by the environment: Feast sets it when it is imported, which may be after counting began in this process alone
    if values.ValueClass._multiprocess:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call, unused-ignore]
    return 200, CONTENT_TYPE_LATEST, generate_latest(registry)


class Administered:
    """ASGI middleware: what is for who administers, where it is answered here at all; everything else goes on."""

    def __init__(self, app: App, *, admin: Admin):
        self.app = app
        self.admin = admin

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if self.admin.is_private(path):
            await refuse(send, 404, f"There is no {path} at this port: the predictor's admin port has it.")
        elif path in (DOCS, LOAD) and (reply := self.admin.answer(path)):
            status, kind, body = reply
            headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        else:
            await self.app(scope, receive, send)


def with_security(spec: dict[str, Any], *, routes: tuple[str, ...], asked: bool) -> dict[str, Any]:
    """An OpenAPI description that says who may ask.

    Args:
        spec: As BentoML describes the service.
        routes: That not everybody may ask.
        asked: Whether anybody has to say who they are; else they may.
    """
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    refusals = {
        "401": {"description": "Who asks is not known: key_missing, key_unknown, token_...", "content": content},
        "403": {"description": "A page's key, from where it may not be used: not_allowed", "content": content},
    }
    security: list[dict[str, list[str]]] = [{"bearer": []}] if asked else [{}, {"bearer": []}]
    components = dict(spec.get("components", {}))
    components["securitySchemes"] = SECURITY
    components["schemas"] = components.get("schemas", {}) | {"Problem": PROBLEM}
    paths = dict(spec.get("paths", {}))
    for route in routes:
        if post := paths.get(route, {}).get("post"):
            told = post | {"security": security, "responses": post.get("responses", {}) | refusals}
            paths[route] = paths[route] | {"post": told}
    return spec | {"components": components, "paths": paths}
