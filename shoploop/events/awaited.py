"""An event log that may be away when it is opened: a thread opens it as soon as it answers.

Whoever needs it before gets :class:`LogUnavailable`, as from a log that went away later, so there is one case to think of.
"""

import logging
import threading
from collections.abc import Callable, Sequence

from shoploop.errors import ShoploopError, first_line
from shoploop.events.log import Entry, EventLog, LogNotDurable, LogUnavailable, Record

RETRY_SECONDS = 1.0
FIRST_SECONDS = 3.0
"""How long a log that is there may take; one that is not there costs a start no more."""


class AwaitedLog(EventLog):
    """See :class:`shoploop.events.log.EventLog`."""

    def __init__(self, open_it: Callable[[], EventLog], *, first_seconds: float = FIRST_SECONDS):
        """Begins to open the log, and returns when it is there or has been waited for.

        Args:
            open_it: Opens the log, or raises LogUnavailable or LogNotDurable while it cannot be used.
            first_seconds: How long to wait for it.

        Raises:
            ShoploopError: it can never be opened, as the first try shows; such as a log without an address.
        """
        self._open = open_it
        self._log: EventLog | None = None
        self._trouble: ShoploopError = LogUnavailable("The event log has not answered yet.")
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._tried = threading.Event()
        self._told = ""
        self._thread = threading.Thread(target=self._open_it, name="event-log", daemon=True)
        self._thread.start()
        self._tried.wait(first_seconds)
        if self._log is None:
            trouble = self._trouble
            if not isinstance(trouble, LogUnavailable | LogNotDurable):
                raise trouble
            self._tell(trouble)

    def append(self, entries: Sequence[Entry]) -> list[int]:
        return self._opened().append(entries)

    def read(self, after: int, *, limit: int = 1000, wait_seconds: float = 0.0) -> list[Record]:
        return self._opened().read(after, limit=limit, wait_seconds=wait_seconds)

    def begin(self) -> int:
        return self._opened().begin()

    def end(self) -> int:
        return self._opened().end()

    def trim(self, before: int) -> None:
        self._opened().trim(before)

    def erase(self, offsets: Sequence[int]) -> None:
        self._opened().erase(offsets)

    @property
    def leftovers(self) -> str | None:
        return self._opened().leftovers

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            if self._log is not None:
                self._log.close()

    def _opened(self) -> EventLog:
        if self._closed.is_set():
            raise LogUnavailable("This event log was closed.")
        if self._log is None:
            raise LogUnavailable(str(self._trouble)) from self._trouble
        return self._log

    def _tell(self, trouble: ShoploopError) -> None:
        """Once of each trouble that comes after another."""
        if self._told != str(trouble):
            self._told = str(trouble)
            logging.getLogger(__name__).warning("%s No event is taken until it can be used.", trouble)

    def _open_it(self) -> None:
        while not self._closed.is_set():
            try:
                opened = self._open()
            except ShoploopError as error:
                self._trouble = error
                if self._tried.is_set():  # else whoever made this tells it, or raises it
                    self._tell(error)
                self._tried.set()
                if not isinstance(error, LogUnavailable | LogNotDurable):
                    return
                self._closed.wait(RETRY_SECONDS)
            except Exception as error:  # a defect, which must not end the thread unheard
                if not self._tried.is_set():
                    logging.getLogger(__name__).exception("The event log cannot be opened.")
                self._trouble = LogUnavailable(f"The event log cannot be opened: {first_line(error)}.")
                self._tried.set()
                self._closed.wait(RETRY_SECONDS)
            else:
                if self._told:
                    logging.getLogger(__name__).warning("The event log can be used now.")
                with self._lock:
                    if self._closed.is_set():
                        opened.close()
                    else:
                        self._log = opened
                self._tried.set()
                return
