"""Whether a process gets on, as far as it can tell itself: what a probe of liveness is answered."""

import time
from collections.abc import Callable

from shoploop.compute.answering import Reply

SILENT_SECONDS = 600
"""Without a sign of getting on for so long, it hangs; a store that is away is waited for in shorter turns."""


class Pulse:
    """Whether a process gets on, as far as it can tell itself."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._beat = clock()

    def beat(self) -> None:
        self._beat = self._clock()

    @property
    def alive(self) -> bool:
        return self._clock() - self._beat < SILENT_SECONDS

    def reply(self) -> Reply:
        """To a probe of liveness."""
        if self.alive:
            return 200, "text/plain", b"ok\n"
        return 503, "text/plain", f"nothing has moved for {SILENT_SECONDS} s\n".encode()
