"""The page at ``/``: what a predictor answers and how to ask it, without a byte from anywhere else."""

from collections.abc import Callable, Mapping
from html import escape

from shoploop.predictor.http import App, Message, Receive, Send

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "pre{overflow:auto;padding:.7rem;background:#f3f3f3}"
)
POLICY = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class Home:
    """ASGI middleware that answers ``GET /``; everything else goes on."""

    def __init__(
        self, app: App, *, examples: Mapping[str, tuple[str, str]], private: Callable[[str], bool] = lambda path: False
    ):
        """
        Args:
            app: What answers everything else.
            examples: By path, what it does and the JSON of an example.
            private: Whether a path is answered at another port alone, so that the page must not name it.
        """
        self.app = app
        self.body = _page(examples, private).encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", str(len(self.body)).encode()),
            (b"content-security-policy", POLICY),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else self.body})


def _page(examples: Mapping[str, tuple[str, str]], private: Callable[[str], bool]) -> str:
    parts = [
        f"<h2>POST {escape(path)}</h2><p>{escape(what)}</p>"
        f"<pre>curl -s localhost:3000{escape(path)} -H 'content-type: application/json' -d '{escape(body)}'</pre>"
        for path, (what, body) in examples.items()
    ]
    links = (("/docs.json", "the OpenAPI description"), ("/readyz", "is it ready"), ("/metrics", "metrics"))
    rows = "".join(f'<li><a href="{path}">{path}</a> {what}</li>' for path, what in links if not private(path))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>shoploop</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>shoploop</h1><p>A shop's recommender.</p>{''.join(parts)}<ul>{rows}</ul></body></html>"
    )
