"""The event log that a command names, and what lies in it."""

from collections import deque
from pathlib import Path

from shoploop.api.v1alpha1 import EventLogSpec
from shoploop.errors import NotFound, SpecInvalid
from shoploop.store import Store


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
    raise SpecInvalid(
        f"--log {scheme}: no event log is called so. Name sqlite, redis://host:port/0 or kafka://host:port."
    )


def compact_events(store: Store, name: str, log: str) -> None:
    """Compacts, and says what became interactions.

    Raises:
        NotFound: no event was ever collected here.
        AlreadyExists: another compaction was faster.
    """
    from shoploop.events.compaction import compact
    from shoploop.events.opening import open_log

    spec = log_of(log)
    with open_log(spec, name=name, folder=_folder(store, name, spec)) as opened:
        cut = compact(opened, store, name)
    if cut is None:
        print(f"Nothing new: all events of {name} are interactions already.")
        return
    if cut.unread:
        print(
            f"{cut.unread:,} records could not be read and are left in the log; a newer shoploop may have written them."
        )
    print(
        f"{cut.events:,} events of {name} are interactions now, of {len(cut.files)} days (records {cut.after + 1:,} to "
        f"{cut.through:,}). The next run learns from them."
    )


def show_events(store: Store, name: str, log: str, *, last: int) -> None:
    """Prints the newest records.

    Raises:
        NotFound: no event was ever collected here.
    """
    from shoploop.events.log import BEGINNING
    from shoploop.events.opening import open_log

    spec = log_of(log)
    kept: deque[str] = deque(maxlen=last)
    with open_log(spec, name=name, folder=_folder(store, name, spec)) as opened:
        after = BEGINNING
        while records := opened.read(after, limit=10_000):
            kept.extend(record.body.decode(errors="replace") for record in records)
            after = records[-1].offset
    for line in kept:
        print(line)


def _folder(store: Store, name: str, spec: EventLogSpec) -> Path:
    from shoploop.events.opening import FILE
    from shoploop.packaging.local_service import home_of_events
    from shoploop.store import layout

    folder = home_of_events(store) / layout.events(name)
    if spec.type == "Sqlite" and not (folder / FILE).exists():
        raise NotFound(f"No event of {name!r} was collected on this machine: {folder / FILE} is not there.")
    return folder
