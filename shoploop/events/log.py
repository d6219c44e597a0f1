"""The event log: what comes in is written durably, in one order, once.

Three kinds of log keep the same laws: a SQLite file for one machine, Redis Streams and Kafka for many predictors. An entry
has an id that its writer chose; a retried append of the same id changes nothing, for as long as the log keeps the first.
Offsets are whole numbers that only grow, from 1; some may be missing. It must not know what an entry means.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from shoploop.errors import ShoploopError, UserError

BEGINNING = 0
"""The offset before the first entry."""

MAX_ID_CHARACTERS = 200
MAX_ENTRY_BYTES = 256 * 1024


class LogUnavailable(ShoploopError):
    """The log cannot be read or written just now; nothing of what was given is certain to be in it: append it again."""


class LogFull(LogUnavailable):
    """There is no room left for an entry; nothing was written."""


class LogNotDurable(UserError):
    """The log's server would lose entries that it has accepted."""


@dataclass(frozen=True)
class Entry:
    """What is appended."""

    id: str
    """Names it for ever: what is retried has the same id."""

    body: bytes

    of: int | None = None
    """Offset of the entry that it tells of once more: where the log does not hold that any more, it is not written."""


class Record(NamedTuple):
    """What is read."""

    offset: int
    id: str
    body: bytes


class EventLog(ABC):
    """One log of one recommender; may be used by several threads at once, and by several processes."""

    @abstractmethod
    def append(self, entries: Sequence[Entry]) -> list[int]:
        """Writes the entries in their order; on return they outlive kill -9 and, but for what the log's own documentation
        excludes, a power cut. SQLite and Redis write all or none of them, also where they fail.

        Args:
            entries: What to write. One whose id is in the log already is not written again.

        Returns:
            Offset of each entry; of one that was there, where it was; :data:`BEGINNING` of one that was not written, since
            what it tells of is gone. No erasure comes between the look at that and the writing.

        Raises:
            LogFull: there is no room.
            LogUnavailable: it is not known whether they were written; to append them again is safe.
        """

    @abstractmethod
    def read(self, after: int, *, limit: int = 1000, wait_seconds: float = 0.0) -> list[Record]:
        """The next entries in the order of their offsets, each id once.

        Args:
            after: The offset of the last entry that is known; :data:`BEGINNING` for none.
            limit: No more than so many.
            wait_seconds: How long to wait for the first, where there is none yet.

        Raises:
            LogUnavailable: the log does not answer.
        """

    @abstractmethod
    def begin(self) -> int:
        """The offset before the first entry that is kept: what came up to it was trimmed. :data:`BEGINNING` where nothing
        was; :meth:`end` where everything was."""

    @abstractmethod
    def end(self) -> int:
        """The offset of the last entry; :data:`BEGINNING` where there was never one."""

    @abstractmethod
    def trim(self, before: int) -> None:
        """Forgets the entries whose offset is below ``before``, with their ids. What is learned from may go."""

    @abstractmethod
    def erase(self, offsets: Sequence[int]) -> None:
        """Takes these entries away for good, with their ids: no read tells of them any more, in no process. :meth:`begin`,
        and all other entries stay as they are; to do it again changes nothing. :attr:`leftovers` says what the log's server
        keeps nevertheless.

        Raises:
            LogUnavailable: it is not known whether they are gone; to erase them again is safe.
        """

    @property
    @abstractmethod
    def leftovers(self) -> str | None:
        """Where the bytes of erased entries stay, and until when, for people; None where they stay nowhere."""

    @abstractmethod
    def close(self) -> None:
        """Frees what the log holds on this machine; a log that is closed raises LogUnavailable."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check(entries: Sequence[Entry]) -> None:
    """What no log takes.

    Raises:
        ValueError: an id is empty or too long, or a body too large.
    """
    for entry in entries:
        if not 0 < len(entry.id) <= MAX_ID_CHARACTERS:
            raise ValueError(f"an entry's id has 1 to {MAX_ID_CHARACTERS} characters, not {len(entry.id)}")
        if len(entry.body) > MAX_ENTRY_BYTES:
            raise ValueError(f"entry {entry.id} has {len(entry.body)} bytes, and {MAX_ENTRY_BYTES} are allowed")
