"""Opens the log that a spec names."""

from pathlib import Path

from shoploop.api.online import EventLogSpec
from shoploop.errors import SpecInvalid
from shoploop.events.access import Access
from shoploop.events.kafka_log import KafkaLog
from shoploop.events.log import EventLog
from shoploop.events.redis_log import RedisLog
from shoploop.events.sqlite_log import SqliteLog

FILE = "events.sqlite"


SASL = {"Plain": "PLAIN", "ScramSha256": "SCRAM-SHA-256", "ScramSha512": "SCRAM-SHA-512"}


def open_log(spec: EventLogSpec, *, name: str, folder: Path, access: Path | None = None, make: bool = True) -> EventLog:
    """The event log of the recommender ``name``.

    Args:
        spec: ``spec.online.log``.
        name: The recommender's.
        folder: Of this machine, where a SQLite file lies.
        access: Of this machine, where passwords and certificates lie that the spec names; see :mod:`shoploop.events.access`.
        make: A topic that is not there.

    Raises:
        NotFound: there is no such topic, and none is to be made.
        SpecInvalid: no address of a server.
        LogUnavailable: it cannot be reached.
        LogNotDurable: it would lose what it accepted.
    """
    if spec.type == "Sqlite":
        return SqliteLog(folder / FILE)
    if spec.connection is None:
        raise SpecInvalid(f"spec.online.log.connection: a log of type {spec.type} needs the address of its server.")
    proofs = Access(spec, access)
    name = name_of(spec, name)
    if spec.type == "Kafka":
        return KafkaLog(spec.connection, name=name, settings=kafka_settings(proofs), make=make)
    scheme = "redis" if spec.tls is None else "rediss"
    url = spec.connection if "://" in spec.connection else f"{scheme}://{spec.connection}/0"
    return RedisLog(url, name=name, access=proofs)


def name_of(spec: EventLogSpec, name: str) -> str:
    """What the log of the recommender ``name`` is called on its server: no two tenants' are called alike, since a name has no
    dot."""
    return f"{spec.prefix}.{name}" if spec.prefix else name


def kafka_settings(access: Access) -> dict[str, str]:
    """Settings of librdkafka by which a broker is proved to us, and we to it."""
    credentials, tls = access.credentials(), access.spec.tls is not None
    settings: dict[str, str] = {}
    if credentials is not None:
        username, password = credentials
        settings = {
            "sasl.mechanism": SASL[access.spec.sasl_mechanism],
            "sasl.username": username or "",
            "sasl.password": password,
        }
    if tls or credentials:
        settings["security.protocol"] = ("SASL_" if credentials else "") + ("SSL" if tls else "PLAINTEXT")
    if access.authority is not None:
        settings["ssl.ca.location"] = str(access.authority)
    return settings


def place_of(spec: EventLogSpec, *, name: str, folder: Path) -> str:
    """Where the log lies, for people: without the password that its address may hold."""
    if spec.type == "Sqlite":
        return str(folder / FILE)
    where = (spec.connection or "").rpartition("@")[2]
    return f"{spec.type} at {where}" + (f" as {name_of(spec, name)}" if spec.prefix else "")
