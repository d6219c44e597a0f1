"""Clients that ask a service in a thread of their own while a block lasts; whoever measures says what they ask."""

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Self

BACK_SECONDS = 0.05
"""Until a client that was turned away asks again."""


class Clients(ABC):
    """Ask until they are told to end."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask()), name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @abstractmethod
    async def _ask(self) -> None:
        """Asks again and again, until ``_stop`` is set."""
