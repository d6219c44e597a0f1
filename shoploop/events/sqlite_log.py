"""An event log in a SQLite file, for predictors of one machine or pod.

In WAL mode readers and the writer do not wait for each other. With synchronous=FULL a commit is on the disk before
:meth:`SqliteLog.append` returns, so neither kill -9 nor a power cut loses an accepted entry, where the disk keeps what it
acknowledged. One transaction holds a whole append.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from shoploop.events.log import BEGINNING, Entry, EventLog, LogFull, LogUnavailable, Record, check

BUSY_SECONDS = 5.0
"""How long a writer waits for another process's."""

POLL_SECONDS = 0.02
SQLITE_IOERR_SHMSIZE = sqlite3.SQLITE_IOERR | 19 << 8
"""The index of the journal cannot grow: what a disk with a little room left says. Python 3.11 has no name for it."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS log (offset INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL)
"""
FULL = (sqlite3.SQLITE_FULL, SQLITE_IOERR_SHMSIZE)
PLACE = "It needs a folder that this process may write: on a cluster a claim (spec.online.log.claim)."
ADVICE = {
    sqlite3.SQLITE_READONLY: f"Nothing was written. {PLACE}",
    sqlite3.SQLITE_CANTOPEN: PLACE,
    sqlite3.SQLITE_IOERR: "Nothing was written, as far as is known. See what the system says of this disk.",
}
"""What to do, by the kind of error."""

ERASED = "CAST('erased:' || offset AS BLOB)"
"""Id of a row whose entry was erased: so offsets before it do not look as if they had been trimmed. Of bytes, where each
entry's is a text, so that no entry can have it."""
LIVE = "typeof(id) = 'text' AND NOT (body = x'00' AND id = 'erased:' || offset)"
"""What is no row of an erased entry. Files of earlier versions mark one by a text and a body of one NUL byte."""


class SqliteLog(EventLog):
    """See :class:`shoploop.events.log.EventLog`."""

    def __init__(self, path: Path):
        """Opens the file, or makes it.

        Raises:
            LogUnavailable: it cannot be written, or is no event log.
        """
        self.path = path
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        with self._named_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect_writer()
            try:
                self._reader = self._connect()
                self._written_file: tuple[int, int] | None = self._file()
                self._read_file: tuple[int, int] | None = self._written_file
                """None where it has to be opened anew."""
            except BaseException:
                self._writer.close()
                raise

    def append(self, entries: Sequence[Entry]) -> list[int]:
        check(entries)
        with self._writing, self._named_errors():
            self._hold_written()
            try:
                return self._appended(entries)
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_READONLY:
                    raise
            self._open_anew()  # by now it may be written
            return self._appended(entries)

    def read(self, after: int, *, limit: int = 1000, wait_seconds: float = 0.0) -> list[Record]:
        until = time.monotonic() + wait_seconds
        while True:
            with self._reading, self._named_errors():
                self._hold_read()
                rows = self._reader.execute(
                    f"SELECT offset, id, body FROM log WHERE offset > ? AND {LIVE} ORDER BY offset LIMIT ?",
                    (after, limit),
                ).fetchall()
            left = until - time.monotonic()
            if rows or left <= 0:
                return [Record(offset, id, bytes(body)) for offset, id, body in rows]
            time.sleep(min(POLL_SECONDS, left))

    def begin(self) -> int:
        with self._reading, self._named_errors():
            self._hold_read()
            first, last = self._reader.execute(
                "SELECT (SELECT min(offset) FROM log), (SELECT seq FROM sqlite_sequence WHERE name = 'log')"
            ).fetchone()
        return int(last or BEGINNING) if first is None else int(first) - 1

    def end(self) -> int:
        with self._reading, self._named_errors():
            self._hold_read()
            # the sequence knows it after everything was trimmed, too
            row = self._reader.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
        return int(row[0]) if row else 0

    def trim(self, before: int) -> None:
        with self._writing, self._named_errors():
            self._hold_written()
            self._writer.execute("DELETE FROM log WHERE offset < ?", (before,))

    def erase(self, offsets: Sequence[int]) -> None:
        with self._writing, self._named_errors():
            self._hold_written()
            self._writer.execute("PRAGMA secure_delete=ON")  # what is overwritten is not left in a free page
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                self._writer.executemany(
                    f"UPDATE log SET id = {ERASED}, body = x'' WHERE offset = ?",
                    [(offset,) for offset in offsets],
                )
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            self._empty_journal()

    @property
    def leftovers(self) -> str | None:
        return None

    def close(self) -> None:
        with self._writing, self._reading:
            self._writer.close()
            self._reader.close()

    def _appended(self, entries: Sequence[Entry]) -> list[int]:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            offsets = [self._written(each) for each in entries]
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        return offsets

    def _open_anew(self) -> None:
        """A file that could only be read when it was opened stays so for who has it open. The caller holds the lock of
        writing."""
        with self._reading:  # all of a process share what is open of a file
            self._writer.close()
            self._reader.close()
            self._written_file = self._read_file = None
        self._hold_written()

    def _hold_written(self) -> None:
        """Makes sure that what is written goes into the file that others read: one that was taken away would take entries for
        as long as it is open, and lose them all. The caller holds the lock of writing.

        Raises:
            LogUnavailable: it is not there; or another one is, which is opened.
        """
        found, before = self._file(), self._written_file
        if found != before:
            writer = self._connect_writer()
            self._writer.close()
            self._writer, self._written_file = writer, found
            if before is not None:
                raise self._another()

    def _hold_read(self) -> None:
        """The same of what is read: whoever reads has to look where another file begins. The caller holds the lock of
        reading."""
        found, before = self._file(), self._read_file
        if found != before:
            reader = self._connect()
            self._reader.close()
            self._reader, self._read_file = reader, found
            if before is not None:
                raise self._another()

    def _another(self) -> LogUnavailable:
        return LogUnavailable(f"Event log {self.path} is another file than before; it was opened anew.")

    def _file(self) -> tuple[int, int]:
        """Which file lies there."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise LogUnavailable(
                f"Event log {self.path} was taken away while it was in use; nothing is written. Put the file back; or start "
                "whoever uses it again, for a log that begins anew."
            ) from None
        return found.st_dev, found.st_ino

    def _connect_writer(self) -> sqlite3.Connection:
        connection = self._connect()
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> sqlite3.Connection:
        # the locks above let one thread at a time use a connection
        return sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)

    def _empty_journal(self) -> None:
        """The write-ahead log holds pages as they were before: it is written back and cut to nothing.

        Raises:
            LogUnavailable: somebody reads from it all the time.
        """
        until = time.monotonic() + BUSY_SECONDS
        while self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() > until:
                raise LogUnavailable(
                    f"Event log {self.path}: entries are erased, and the journal beside it, which still holds them, cannot "
                    "be emptied while others read. Do it again."
                )
            time.sleep(POLL_SECONDS)

    def _written(self, entry: Entry) -> int:
        """Offset of an entry, which is written where it was not there. It is looked for first: to have SQLite ignore what is
        there would use up an offset each time, and the log would seem to end behind its last entry."""
        found = self._writer.execute("SELECT offset FROM log WHERE id = ?", (entry.id,)).fetchone()
        if found is not None:
            return int(found[0])
        if (
            entry.of is not None
            and not self._writer.execute(f"SELECT 1 FROM log WHERE offset = ? AND {LIVE}", (entry.of,)).fetchone()
        ):
            return BEGINNING
        written = self._writer.execute("INSERT INTO log (id, body) VALUES (?, ?)", (entry.id, entry.body))
        assert written.lastrowid is not None
        return written.lastrowid

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LogUnavailable(f"Event log {self.path} cannot be opened: {error.strerror}. {PLACE}") from error
        except sqlite3.Error as error:
            if _code(error) in FULL or getattr(error, "sqlite_errorcode", None) in FULL:
                raise LogFull(
                    f"Event log {self.path}: the disk is full. Free some room; nothing was written."
                ) from error
            advice = ADVICE.get(_code(error), "")
            raise LogUnavailable(f"Event log {self.path}: {error}.{advice and ' '}{advice}") from error


def _code(error: sqlite3.Error) -> int:
    """The kind of an error, without what it says beside."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
