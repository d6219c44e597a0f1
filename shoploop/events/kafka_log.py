"""An event log in one partition of a Kafka topic, for many predictors.

The producer is idempotent and waits for all in-sync replicas (acks=all), so its own retries double nothing and what was
acknowledged outlives the death of a broker as far as the topic is replicated. An entry that a *client* retries may reach
the topic twice; readers drop the second, by an index of the ids that the topic holds. The index is read from the topic, once
from its beginning and from then on as it grows, and takes 24 bytes an entry, up to MOST_IDS: trim the log.

An append that fails may have written some of its entries: appended again, they are known. What somebody else writes into the
topic, without an id, is passed over.

A topic that somebody else made is looked at when it is opened: one that forgets sooner than an impression expires, or keeps
the last message of a key alone, is refused, as it would lose what it accepted.

One partition, since the order of events is part of what they say; a shop of thousands of events a second fits into one.
A topic gives up no single entry. One that is to be erased is named by a message of ours, which each reader finds before it
reads anything else: nobody is told of it any more, and the broker holds it until it is trimmed. Nor is anybody told of what
tells of it once more, whichever of the two messages came first.

Offsets are Kafka's plus one. Nothing is ever committed to Kafka: who reads keeps the offset with what it made of the entries.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from shoploop.errors import NotFound, first_line
from shoploop.events.first_offsets import FirstOffsets
from shoploop.events.impressions import VALID_SECONDS
from shoploop.events.log import BEGINNING, Entry, EventLog, LogFull, LogNotDurable, LogUnavailable, Record, check

TIMEOUT_SECONDS = 10.0
POLL_SECONDS = 0.1
INDEXED_AT_ONCE = 10_000
MOST_IDS = 30_000_000
"""That the index holds: 720 MB, and a third more for a moment now and then. Two weeks of 24 entries a second; beyond, nothing
is read or written until the log is trimmed, instead of a process that dies of it without a word."""

ERASED = "erased:"
"""Begins the key of a message that names offsets of entries which nobody is told of."""

ERASED_AT_ONCE = 10_000
OF = "shoploop.of"
"""Header that holds the offset of the entry which a message tells of once more."""

BROKERS_OWN = -1
"""Kafka's word for its own default."""


class KafkaLog(EventLog):
    """See :class:`shoploop.events.log.EventLog`."""

    def __init__(
        self,
        servers: str,
        *,
        name: str,
        replicas: int = BROKERS_OWN,
        settings: dict[str, Any] | None = None,
        make: bool = True,
    ):
        """Connects, and makes the topic where it is not there.

        Args:
            servers: Bootstrap servers, ``host:port,...``.
            name: The recommender's; its topic is ``shoploop.<name>.events``.
            replicas: Of a topic that is made; the brokers' own default.replication.factor where it is not given.
            settings: Further settings of librdkafka, such as ``security.protocol`` and ``ssl.ca.location``.
            make: A topic that is not there. One that is there takes no right to make topics.

        Raises:
            LogNotDurable: the topic would lose what it accepted.
            NotFound: there is no such topic, and none is to be made.
            LogUnavailable: nobody answers.
        """
        from confluent_kafka import KafkaError, KafkaException, Producer
        from confluent_kafka.admin import AdminClient

        self.where = servers
        self.topic = f"shoploop.{name}.events"
        self._kafka_error: Any = KafkaError
        self._exception: Any = KafkaException
        # librdkafka logs each failed try to reach a broker; whoever asks gets LogUnavailable instead
        self._settings: dict[str, Any] = {"bootstrap.servers": servers, "log_level": 2}
        self._settings["error_cb"] = lambda error: None
        self._settings |= settings or {}
        self._lock = threading.Lock()
        self._first = FirstOffsets()
        self._erased: set[int] = set()
        self._indexed = BEGINNING
        self._closed = False
        with self._named_errors():
            self._admin: Any = AdminClient(self._settings)
            if self.topic in self._admin.list_topics(timeout=TIMEOUT_SECONDS).topics:
                self._check_durable()
            elif make:
                self._make_topic(replicas)
            else:
                raise NotFound(f"Kafka {servers} has no topic {self.topic}: no event was ever collected there.")
            self._producer: Any = Producer(
                self._settings
                | {
                    "enable.idempotence": True,
                    "acks": "all",
                    "linger.ms": 2,
                    "delivery.timeout.ms": int(TIMEOUT_SECONDS * 1000),
                }
            )
            self._indexer = _Cursor(self._settings, self.topic)
            self._reader = _Cursor(self._settings, self.topic)

    def append(self, entries: Sequence[Entry]) -> list[int]:
        check(entries)
        with self._lock, self._named_errors():
            low, _ = self._index_to_end()
            ids = [each.id for each in entries]
            missing = {
                each.id: each
                for each, first in zip(entries, self._first.of(ids), strict=True)
                if first == BEGINNING and (each.of is None or (each.of > low and each.of not in self._erased))
            }
            written: dict[str, int] = {}
            failed: list[Any] = []

            def of(id: str) -> Callable[[Any, Any], None]:
                def delivered(error: Any, message: Any) -> None:
                    if error is None:
                        written[id] = message.offset() + 1
                    else:
                        failed.append(error)

                return delivered

            for each in missing.values():
                self._produce(each, of(each.id))
            left = self._producer.flush(TIMEOUT_SECONDS)
            if left or failed:
                self._producer.purge()
                self._producer.flush(0)
                reason = failed[0].str() if failed else "no answer"
                raise LogUnavailable(f"Kafka {self.where}: {reason}. It is not known what of the events was written.")
            if any(each.of is not None for each in missing.values()):
                self._index_to_end()  # it may have been erased since
            return [
                BEGINNING if each.of in self._erased else first or written.get(each.id, BEGINNING)
                for each, first in zip(entries, self._first.of(ids), strict=True)
            ]

    def read(self, after: int, *, limit: int = 1000, wait_seconds: float = 0.0) -> list[Record]:
        until, at = time.monotonic() + wait_seconds, after
        while True:
            with self._lock, self._named_errors():
                found, at = self._read(at, limit)
            left = until - time.monotonic()
            if found or left <= 0:
                return found
            time.sleep(min(POLL_SECONDS, left))  # without the lock: who appends must not wait for who waits

    def begin(self) -> int:
        with self._lock, self._named_errors():
            return self._watermarks()[0]

    def end(self) -> int:
        with self._lock, self._named_errors():
            return self._watermarks()[1]

    def trim(self, before: int) -> None:
        from confluent_kafka import TopicPartition

        with self._lock, self._named_errors():
            low, high = self._watermarks()
            cut = min(max(before - 1, 0), high)
            if cut <= low:
                return
            with suppress(LogFull):  # that is why it is trimmed
                self._index_to_end()
            for future in self._admin.delete_records([TopicPartition(self.topic, 0, cut)]).values():
                future.result(TIMEOUT_SECONDS)
            self._first.forget(before)

    def erase(self, offsets: Sequence[int]) -> None:
        named = [
            Entry(f"{ERASED}{uuid.uuid4().hex}", json.dumps(list(offsets[first : first + ERASED_AT_ONCE])).encode())
            for first in range(0, len(offsets), ERASED_AT_ONCE)
        ]
        self.append(named)

    @property
    def leftovers(self) -> str | None:
        return (
            f"Kafka {self.where} gives up no single entry: shoploop tells nobody of them any more, and topic {self.topic} "
            "holds their bytes, for whoever may read it, until `shoploop events trim` has gone beyond them."
        )

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._producer.flush(0)
            self._indexer.close()
            self._reader.close()

    def _make_topic(self, replicas: int) -> None:
        from confluent_kafka.cimpl import NewTopic

        forever = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
        topic = NewTopic(self.topic, num_partitions=1, replication_factor=replicas, config=forever)
        for future in self._admin.create_topics([topic], request_timeout=TIMEOUT_SECONDS).values():
            try:
                future.result(TIMEOUT_SECONDS)
            except self._exception as error:
                if error.args[0].code() != self._kafka_error.TOPIC_ALREADY_EXISTS:
                    raise
                self._check_durable()  # the broker that was asked had not heard of it

    def _check_durable(self) -> None:
        """Of a topic that may be somebody else's making."""
        from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]

        asked = self._admin.describe_configs(
            [ConfigResource(ResourceType.TOPIC, self.topic)], request_timeout=TIMEOUT_SECONDS
        )
        warning = logging.getLogger(__name__).warning
        try:
            (found,) = (future.result(TIMEOUT_SECONDS) for future in asked.values())
        except self._exception as error:
            code = error.args[0].code()
            if code == self._kafka_error.UNKNOWN_TOPIC_OR_PART:
                return  # another predictor is making it just now
            if code not in (
                self._kafka_error.TOPIC_AUTHORIZATION_FAILED,
                self._kafka_error.CLUSTER_AUTHORIZATION_FAILED,
            ):
                raise
            warning(
                "Kafka %s does not tell how long it keeps topic %s (%s). See to it that it does not forget by itself "
                "(retention.ms -1, retention.bytes -1, cleanup.policy delete), or allow DescribeConfigs: else accepted "
                "events may be lost.",
                self.where,
                self.topic,
                first_line(error),
            )
            return
        said = {name: entry.value for name, entry in found.items()}
        if "compact" in said.get("cleanup.policy", ""):
            raise LogNotDurable(
                f"Kafka {self.where} keeps the last message of each key of topic {self.topic} alone, by cleanup.policy "
                f"{said['cleanup.policy']}: accepted events would be lost. Set it to delete."
            )
        kept_ms = int(said.get("retention.ms", -1))
        if 0 <= kept_ms < VALID_SECONDS * 1000:
            raise LogNotDurable(
                f"Kafka {self.where} forgets what is in topic {self.topic} after {kept_ms / 3_600_000:g} hours, by its "
                f"retention.ms. Feedback may come for {VALID_SECONDS // 86_400} days, and would count twice. Set it to -1: "
                "`shoploop events trim` forgets what a version was built on."
            )
        if kept_ms >= 0 or int(said.get("retention.bytes", -1)) >= 0:
            warning(
                "Kafka %s forgets what is in topic %s by itself (retention.ms %s, retention.bytes %s), also what was not "
                "compacted by then. Set both to -1: `shoploop events trim` forgets what a version was built on.",
                self.where,
                self.topic,
                said.get("retention.ms"),
                said.get("retention.bytes"),
            )

    def _produce(self, entry: Entry, delivered: Callable[[Any, Any], None]) -> None:
        try:
            headers = [] if entry.of is None else [(OF, str(entry.of).encode())]
            self._producer.produce(
                self.topic, key=entry.id, value=entry.body, partition=0, headers=headers, on_delivery=delivered
            )
        except BufferError as error:
            raise LogUnavailable(f"Kafka {self.where} does not keep up: too many events wait for it.") from error
        self._producer.poll(0)

    def _watermarks(self) -> tuple[int, int]:
        """The offset before the first entry that is kept, and that of the last."""
        if self._closed:
            raise LogUnavailable("This event log was closed.")
        return self._indexer.watermarks()

    def _read(self, at: int, limit: int) -> tuple[list[Record], int]:
        """The entries behind Kafka's offset ``at`` that are there now, and up to where they were looked for."""
        found: list[Record] = []
        low, high = self._index_to_end()  # what is to be erased is named behind it
        at = max(at, low)
        while len(found) < limit and at < high:
            messages = self._reader.next(at, min(limit - len(found), high - at))
            at = messages[-1].offset() + 1
            named = [(id, each) for each in messages if (id := _id(each)) is not None and not id.startswith(ERASED)]
            for (id, message), first in zip(named, self._first.of([id for id, _ in named]), strict=True):
                offset = message.offset() + 1
                is_first = (first or self._first_of(id, offset)) == offset
                if is_first and self._erased.isdisjoint((offset, _of(message))):
                    found.append(Record(offset, id, message.value()))
        return found, at

    def _index_to_end(self) -> tuple[int, int]:
        """Knows the ids and what is erased up to the end; returns the watermarks that it was read by."""
        low, high = self._watermarks()
        at = max(self._indexed, low)
        while at < high:
            if len(self._first) > MOST_IDS:
                # not before: of an entry that is there twice the first may have been trimmed
                self._first.forget(low + 1)
            if len(self._first) > MOST_IDS:
                raise LogFull(
                    f"Kafka {self.where}: topic {self.topic} holds more than {MOST_IDS:,} entries, whose ids have to be "
                    "known. Trim it: `shoploop events trim`."
                )
            for message in self._indexer.next(at, min(INDEXED_AT_ONCE, high - at)):
                at = message.offset() + 1
                if (id := _id(message)) is not None:
                    self._first.add(id, at)
                    if id.startswith(ERASED):
                        self._erased.update(json.loads(message.value()))
            self._indexed = at
        return low, high

    def _first_of(self, id: str, offset: int) -> int:
        """The first offset of an id that was forgotten with an entry which was trimmed, and lies at ``offset`` once more."""
        [first] = self._first.of([id])
        if first == BEGINNING:
            self._first.add(id, offset)
        return first or offset

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except self._exception as error:
            raise LogUnavailable(f"Kafka {self.where}: {first_line(error)}.") from error
        except TimeoutError as error:
            raise LogUnavailable(f"Kafka {self.where} does not answer within {TIMEOUT_SECONDS:g} seconds.") from error


class _Cursor:
    """Reads the topic from a place that may be another each time."""

    def __init__(self, settings: dict[str, Any], topic: str):
        from confluent_kafka import Consumer

        self._consumer: Any = Consumer(
            settings
            | {
                "group.id": "shoploop",  # the client asks for one; nothing is ever committed
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 50,  # a request for what is not there yet must not hold up the next one
            }
        )
        self._topic = topic
        self._at: int | None = None

    def watermarks(self) -> tuple[int, int]:
        """Kafka's own: the first offset that is kept, and the one that comes next.

        A topic that was made a moment ago, or whose broker came back, has no leader yet that the client knows of.
        """
        from confluent_kafka import KafkaError, KafkaException

        until = time.monotonic() + TIMEOUT_SECONDS
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(self._partition(), timeout=TIMEOUT_SECONDS)
                return int(low), int(high)
            except KafkaException as error:
                for_a_moment = error.args[0].code() in (
                    KafkaError._UNKNOWN_PARTITION,
                    KafkaError.UNKNOWN_TOPIC_OR_PART,
                    KafkaError.LEADER_NOT_AVAILABLE,
                    KafkaError.NOT_LEADER_FOR_PARTITION,
                )
                if not for_a_moment or time.monotonic() > until:
                    raise
                time.sleep(POLL_SECONDS)

    def next(self, at: int, limit: int) -> list[Any]:
        """The messages from Kafka's offset ``at`` on, one at least: the caller knows that they are there."""
        if self._at != at:
            self._consumer.assign([self._partition(at)])
        self._at = None
        until = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < until:
            # an error here is a broker that is away for a moment: the next try tells whether it came back
            found = [each for each in self._consumer.consume(limit, POLL_SECONDS) if each.error() is None]
            if found:
                self._at = found[-1].offset() + 1
                return found
        raise LogUnavailable(f"Kafka does not hand out what is in {self._topic}.")

    def close(self) -> None:
        self._consumer.close()

    def _partition(self, offset: int = 0) -> Any:
        from confluent_kafka import TopicPartition

        return TopicPartition(self._topic, 0, offset)


def _id(message: Any) -> str | None:
    """None of a message that is none of ours."""
    try:
        id: str = message.key().decode()
    except (AttributeError, UnicodeDecodeError):
        return None
    return None if message.value() is None else id


def _of(message: Any) -> int | None:
    """Offset of the entry that it tells of once more."""
    of = dict(message.headers() or ()).get(OF)
    return int(of) if of else None
