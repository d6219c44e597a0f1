"""Opens the log that a spec names."""

from pathlib import Path

from shoploop.api.v1alpha1 import EventLogSpec
from shoploop.errors import SpecInvalid
from shoploop.events.kafka_log import KafkaLog
from shoploop.events.log import EventLog
from shoploop.events.redis_log import RedisLog
from shoploop.events.sqlite_log import SqliteLog

FILE = "events.sqlite"


def open_log(spec: EventLogSpec, *, name: str, folder: Path) -> EventLog:
    """The event log of the recommender ``name``.

    Args:
        spec: ``spec.online.log``.
        name: The recommender's.
        folder: Of this machine, where a SQLite file lies.

    Raises:
        SpecInvalid: no address of a server.
        LogUnavailable: it cannot be reached.
        LogNotDurable: it would lose what it accepted.
    """
    if spec.type == "Sqlite":
        return SqliteLog(folder / FILE)
    if spec.connection is None:
        raise SpecInvalid(f"spec.online.log.connection: a log of type {spec.type} needs the address of its server.")
    if spec.type == "Kafka":
        return KafkaLog(spec.connection, name=name)
    url = spec.connection if "://" in spec.connection else f"redis://{spec.connection}/0"
    return RedisLog(url, name=name)


def place_of(spec: EventLogSpec, *, folder: Path) -> str:
    """Where the log lies, for people: without the password that its address may hold."""
    if spec.type == "Sqlite":
        return str(folder / FILE)
    return f"{spec.type} at {(spec.connection or '').rpartition('@')[2]}"
