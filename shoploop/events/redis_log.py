"""An event log in Redis Streams, for many predictors.

A script appends: it gives out the next offset, keeps the id and adds the entry, atomically, so two predictors that get the
same event at once write it once. Entries that were acknowledged outlive kill -9 and a power cut with ``appendfsync
always``; with ``everysec`` a crash of Redis costs up to a second of them, so that is refused, as is a Redis that evicts. A
managed one that does not tell is taken with a warning. The stream is trimmed by offset only (``MINID``), never by length,
which would destroy what nobody has read.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from shoploop.errors import SpecInvalid, first_line
from shoploop.events.access import Access
from shoploop.events.log import Entry, EventLog, LogFull, LogNotDurable, LogUnavailable, Record, check

TIMEOUT_SECONDS = 5.0
TRIMMED_AT_ONCE = 1000
ROOM = "Raise it, or have `shoploop events trim` forget what versions were trained on."
APART_SECONDS = 60.0
"""Between this machine's clock and the server's, from where on that is told."""

APPEND = """
local offsets = {}
for i = 1, #ARGV, 3 do
  local known, of = redis.call('HGET', KEYS[2], ARGV[i]), ARGV[i + 2]
  if known then
    offsets[#offsets + 1] = tonumber(known)
  elseif of ~= '' and #redis.call('XRANGE', KEYS[1], of .. '-0', of .. '-0') == 0 then
    offsets[#offsets + 1] = 0
  else
    local offset = redis.call('INCR', KEYS[3])
    redis.call('XADD', KEYS[1], string.format('%d-0', offset), 'id', ARGV[i], 'body', ARGV[i + 1])
    redis.call('HSET', KEYS[2], ARGV[i], offset)
    offsets[#offsets + 1] = offset
  end
end
return offsets
"""

TRIM = """
local begin = redis.call('GET', KEYS[3])
if begin and tonumber(begin) < tonumber(ARGV[1]) - 1 then redis.call('SET', KEYS[3], ARGV[1] - 1) end
local gone = redis.call('XRANGE', KEYS[1], '-', '(' .. ARGV[1] .. '-0', 'COUNT', ARGV[2])
for _, entry in ipairs(gone) do
  redis.call('HDEL', KEYS[2], entry[2][2])
  redis.call('XDEL', KEYS[1], entry[1])
end
return #gone
"""

ERASE = """
if redis.call('EXISTS', KEYS[3]) == 0 then
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  if first then redis.call('SET', KEYS[3], tonumber(string.match(first[1], '^%d+')) - 1) end
end
for i = 1, #ARGV do
  local found = redis.call('XRANGE', KEYS[1], ARGV[i] .. '-0', ARGV[i] .. '-0')[1]
  if found then
    redis.call('HDEL', KEYS[2], found[2][2])
    redis.call('XDEL', KEYS[1], found[1])
  end
end
"""
"""What was trimmed is kept as a number from then on: the first entry that is left may lie behind some that were erased."""


class RedisLog(EventLog):
    """See :class:`shoploop.events.log.EventLog`."""

    def __init__(self, url: str, *, name: str, access: Access | None = None):
        """Connects, and looks at how Redis keeps things.

        Args:
            url: ``redis://host:port/0``, or ``rediss://`` for TLS, whose query names further settings of redis-py, such as
                ``ssl_ca_certs``.
            name: The recommender's.
            access: Password and certificates, where the URL does not name them.

        Raises:
            SpecInvalid: the URL is none.
            LogUnavailable: nobody answers, or not to this password.
            LogNotDurable: it would lose what it accepted.
        """
        import redis

        self._closed = False
        self._errors: Any = redis.exceptions
        proofs: dict[str, Any] = {}
        if access and access.credentials():
            proofs["credential_provider"] = _Credentials(access)
        if access and access.authority:
            proofs["ssl_ca_certs"] = str(access.authority)
        try:
            self._client: Any = redis.Redis.from_url(
                url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, **proofs
            )
            pool = self._client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # connects to nothing; knows whether it could
        except (TypeError, ValueError, self._errors.DataError):  # the words of which may tell a password
            raise SpecInvalid("The address of the event log is no URL of a Redis: redis://host:port/0.") from None
        place = pool.connection_kwargs
        self.where = f"{place.get('host', place.get('path'))}:{place.get('port', '')}".rstrip(":")
        prefix = f"shoploop:{{{name}}}:events"  # the braces keep the three keys on one node of a Redis Cluster
        self._stream, self._ids, self._counter = prefix, f"{prefix}:ids", f"{prefix}:offset"
        self._begin = f"{prefix}:begin"
        self._append = self._client.register_script(APPEND)
        self._trim = self._client.register_script(TRIM)
        self._erase = self._client.register_script(ERASE)
        with self._named_errors():
            self._check_durable()
            self._compare_clocks()

    def append(self, entries: Sequence[Entry]) -> list[int]:
        check(entries)
        if not entries:
            return []
        arguments: list[str | bytes] = []
        for each in entries:
            arguments += [each.id, each.body, "" if each.of is None else str(each.of)]
        with self._named_errors():
            offsets = self._append(keys=[self._stream, self._ids, self._counter], args=arguments)
        return [int(offset) for offset in offsets]

    def read(self, after: int, *, limit: int = 1000, wait_seconds: float = 0.0) -> list[Record]:
        with self._named_errors():
            rows = self._client.xrange(self._stream, min=f"({after}-0", count=limit)
            if not rows and wait_seconds > 0:
                # shorter than the socket's timeout, which would end it
                wait = min(wait_seconds, TIMEOUT_SECONDS / 2)
                found = self._client.xread({self._stream: f"{after}-0"}, count=limit, block=max(int(wait * 1000), 1))
                rows = found[0][1] if found else []
        return [Record(int(key.partition(b"-")[0]), fields[b"id"].decode(), fields[b"body"]) for key, fields in rows]

    def begin(self) -> int:
        with self._named_errors():
            end = int(self._client.get(self._counter) or 0)  # first: what comes in between is not passed over
            known = self._client.get(self._begin)
            first = self._client.xrange(self._stream, count=1)
        if known is not None:
            return min(int(known), end)
        return int(first[0][0].partition(b"-")[0]) - 1 if first else end

    def end(self) -> int:
        with self._named_errors():
            return int(self._client.get(self._counter) or 0)

    def trim(self, before: int) -> None:
        before = min(before, self.end() + 1)  # what comes later is not trimmed, whatever was asked for
        with self._named_errors():
            while self._trim(keys=[self._stream, self._ids, self._begin], args=[before, TRIMMED_AT_ONCE]):
                pass

    def erase(self, offsets: Sequence[int]) -> None:
        with self._named_errors():
            for first in range(0, len(offsets), TRIMMED_AT_ONCE):
                part = [int(offset) for offset in offsets[first : first + TRIMMED_AT_ONCE]]
                self._erase(keys=[self._stream, self._ids, self._begin], args=part)
            with suppress(self._errors.ResponseError):  # it may be at it, or not let us: it does so by itself some day
                self._client.bgrewriteaof()

    @property
    def leftovers(self) -> str | None:
        return (
            f"Redis {self.where} answers nobody with them any more. Their bytes stay in a block of entries, in its memory "
            "and its file, until all of that block is gone (`shoploop events trim`), and in copies that were made of it."
        )

    def close(self) -> None:
        self._closed = True
        self._client.close()

    def _check_durable(self) -> None:
        try:
            found = {
                name: self._client.config_get(name).get(name)
                for name in (
                    "appendonly",
                    "appendfsync",
                    "no-appendfsync-on-rewrite",
                    "maxmemory",
                    "maxmemory-policy",
                )
            }
        except self._errors.ResponseError as error:
            logging.getLogger(__name__).warning(
                "Redis %s does not tell how it keeps data (%s). See to it that it writes before it answers (appendfsync "
                "always) and never evicts: else a crash costs accepted events.",
                self.where,
                first_line(error),
            )
            return
        if found["appendonly"] != "yes":
            raise LogNotDurable(f"Redis {self.where} keeps nothing on disk. Set appendonly yes, appendfsync always.")
        if found["appendfsync"] != "always":
            raise LogNotDurable(
                f"Redis {self.where} writes with appendfsync {found['appendfsync']}: a crash costs accepted events. Set "
                "appendfsync always."
            )
        if found["no-appendfsync-on-rewrite"] == "yes":
            raise LogNotDurable(
                f"Redis {self.where} does not write before it answers while it rewrites its file: a crash costs accepted "
                "events. Set no-appendfsync-on-rewrite no."
            )
        if found["maxmemory"] != "0" and found["maxmemory-policy"] != "noeviction":
            raise LogNotDurable(
                f"Redis {self.where} evicts with maxmemory-policy {found['maxmemory-policy']}. Set it to noeviction."
            )

    def _compare_clocks(self) -> None:
        """Tells whoever opens the log if their clock is not the server's: what all of them say shows which one is off."""
        with suppress(self._errors.ResponseError):  # it may not be asked
            seconds, microseconds = self._client.time()
            ahead = time.time() - (int(seconds) + int(microseconds) / 1e6)
            if abs(ahead) > APART_SECONDS:
                logging.getLogger(__name__).warning(
                    "This machine's clock is %.0f s %s that of Redis %s. Set the one that is off, by NTP: where it is this "
                    "one, events are refused as too early or come too late to be learned from.",
                    abs(ahead),
                    "ahead of" if ahead > 0 else "behind",
                    self.where,
                )

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        if self._closed:
            raise LogUnavailable("This event log was closed.")
        try:
            yield
        except self._errors.OutOfMemoryError as error:
            raise LogFull(f"Redis {self.where} is at its maxmemory; nothing was written. {ROOM}") from error
        except self._errors.RedisError as error:
            if "OOM" in str(error):
                raise LogFull(f"Redis {self.where} is at its maxmemory; nothing was written. {ROOM}") from error
            raise LogUnavailable(f"Redis {self.where}: {first_line(error)}.") from error


class _Credentials:
    """Read anew at each connection."""

    def __init__(self, access: Access):
        self._access = access

    def get_credentials(self) -> tuple[str, ...]:
        username, password = self._access.credentials() or (None, "")
        return (password,) if username is None else (username, password)
