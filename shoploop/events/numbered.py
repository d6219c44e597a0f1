"""A writer of numbered events that says which of them a log has accepted, for proofs that none is lost; run as a process.

``python -m shoploop.events.numbered SPEC NAME FOLDER WRITER`` appends batches until it is killed. A line on stdout, the
number of the last event of a batch, means that the batch was accepted.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from shoploop.api.online import EventLogSpec
from shoploop.events.log import BEGINNING, Entry, EventLog
from shoploop.events.opening import open_log

BATCH = 100
BODY = b'{"type":"event","source":"organic","kind":"view","user":"u%d","item":"i%d","time":"2026-01-01T00:00:00Z"}'


def batches(writer: str, *, begin: int = 0) -> Iterator[list[Entry]]:
    """Batches of events of about a real one's size, numbered on."""
    number = begin
    while True:
        yield [Entry(f"{writer}-{n}", BODY % (n % 1000, n % 5000)) for n in range(number, number + BATCH)]
        number += BATCH


def all_ids(log: EventLog) -> list[str]:
    """Of every record, in the log's order."""
    ids: list[str] = []
    after = BEGINNING
    while records := log.read(after, limit=10_000):
        ids += [record.id for record in records]
        after = records[-1].offset
    return ids


def main() -> None:
    spec, name, folder, writer = sys.argv[1:]
    with open_log(EventLogSpec.model_validate_json(spec), name=name, folder=Path(folder)) as log:
        last = -1
        for batch in batches(writer):
            log.append(batch)
            last += BATCH
            print(last, flush=True)


if __name__ == "__main__":
    main()
