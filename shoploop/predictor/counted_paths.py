"""By which name a path is counted: by its own where there is such a path, else by one for all of them. A count for each that
somebody makes up would stay in memory, and in what Prometheus reads, until the process ends.
"""

from collections.abc import Collection

from shoploop.predictor.http import App, Message, Receive, Send

OTHER = "other"
"""What is counted of a path that nothing answers."""

_ASKED = "shoploop.path"
"""In a scope: the path that was asked for."""


class CountedPaths:
    """Of one service."""

    def __init__(self, paths: Collection[str], *, below: Collection[str] = ()):
        """
        Args:
            paths: That something answers.
            below: Paths by which whatever lies below them is counted.
        """
        self._paths = frozenset(paths)
        self._below = tuple(below)

    def as_counted(self, scope: Message) -> Message:
        """For who counts by ``scope["path"]``: what was asked for is not lost."""
        path = scope.get("path")
        if path is None or path in self._paths:
            return scope
        name = next((below for below in self._below if path == below or path.startswith(f"{below}/")), OTHER)
        return {**scope, "path": name, _ASKED: path}

    def as_asked(self, app: App) -> App:
        """For who is asked behind the one who counts: the path is what was asked for again."""

        async def asked(scope: Message, receive: Receive, send: Send) -> None:
            if _ASKED in scope:
                scope = {name: value for name, value in scope.items() if name != _ASKED} | {"path": scope[_ASKED]}
            await app(scope, receive, send)

        return asked
