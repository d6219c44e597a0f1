"""What every answer says to browsers and caches: answers are about somebody, and are what their type says."""

from shoploop.predictor.http import App, Message, Receive, Send

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


class SafeHeaders:
    """ASGI middleware: adds them where an answer does not say otherwise itself."""

    def __init__(self, app: App):
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in HEADERS if each[0] not in said)]
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)
