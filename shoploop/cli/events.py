"""The event log that a command names, and what lies in it."""

from shoploop.api.v1alpha1 import EventLogSpec
from shoploop.errors import SpecInvalid


def log_of(text: str) -> EventLogSpec:
    """``sqlite``, ``redis://host:port/0``, ``rediss://...`` or ``kafka://host:port``; the kind alone means this machine.

    Raises:
        SpecInvalid: it is none of them.
    """
    scheme, _, place = text.partition("://")
    if scheme == "sqlite" and not place:
        return EventLogSpec()
    if scheme in ("redis", "rediss"):
        return EventLogSpec(type="Redis", connection=text if place else "127.0.0.1:6379")
    if scheme == "kafka":
        return EventLogSpec(type="Kafka", connection=place or "127.0.0.1:9092")
    raise SpecInvalid(f"{text!r} is no event log. Name sqlite, redis://host:port/0 or kafka://host:port.")
