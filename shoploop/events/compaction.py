"""Collected events become interactions: dated Parquet partitions in the store, each event in one of them, once.

A compaction reads the log from the last cut to its end, writes a file a day, and then appends the cut to a log in the store
(put-if-absent): files that no cut names do not count, so a compaction that is killed leaves garbage and never half an event,
and of two that run at once one wins. A run reads what the cuts name when it is planned; its record tells the offset.
"""

import io
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shoploop.errors import AlreadyExists
from shoploop.events.log import BEGINNING, EventLog
from shoploop.events.messages import Kept, Shown, from_json
from shoploop.store import Log, Store, layout

READ_AT_ONCE = 10_000
COLUMNS = pa.schema(
    [
        ("user", pa.string()),
        ("item", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("kind", pa.string()),
        ("shop", pa.string()),
        ("quantity", pa.float64()),
        ("price", pa.float64()),
    ]
)
"""``price`` is that of one piece."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One compaction."""

    number: int
    after: int
    """Offset of the last record that an earlier cut holds."""

    through: int
    """Offset of the last record that this one has seen."""

    events: int
    """Interactions in its files. Impressions and searches are none."""

    unread: int = 0
    """Records that were passed over because they could not be read; they stay in the log."""

    files: tuple[str, ...]
    """Keys, below the recommender's collected interactions."""

    time: str
    """UTC, ISO 8601."""


def cuts(store: Store, name: str) -> list[Cut]:
    """All cuts of a recommender, oldest first."""
    return [Cut(**entry | {"files": tuple(entry["files"])}) for entry in _log(store, name).entries()]


def compact(log: EventLog, store: Store, name: str) -> Cut | None:
    """Writes what the log holds beyond the last cut; None where that is nothing.

    Raises:
        AlreadyExists: another compaction was faster; what it wrote counts.
        LogUnavailable: the log cannot be read; nothing counts of what was written.
    """
    known = cuts(store, name)
    after = known[-1].through if known else BEGINNING
    days: dict[str, list[dict[str, Any]]] = {}
    through, unread = after, 0
    for offset, event in _events(log, after):
        through = offset
        unread += event is None
        if isinstance(event, Kept) and event.item is not None:
            days.setdefault(f"{event.time:%Y-%m-%d}", []).append(event.model_dump(include=set(COLUMNS.names)))
    if through == after:
        return None
    files = []
    for day, rows in sorted(days.items()):
        file = f"date={day}/{after + 1:012}-{through:012}.parquet"
        store.put(f"{layout.collected(name)}/{file}", _parquet(rows))
        files.append(file)
    number = known[-1].number if known else 0
    cut = Cut(
        number=number + 1,
        after=after,
        through=through,
        events=sum(map(len, days.values())),
        files=tuple(files),
        unread=unread,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    entry = {key: value for key, value in asdict(cut).items() if key != "number"}
    try:
        _log(store, name).append(entry, after=number)
    except AlreadyExists as error:
        raise AlreadyExists(f"Another compaction of {name} was faster; what it wrote counts.") from error
    return cut


def fetch_collected(store: Store, name: str, through: int, target: Path) -> Path:
    """Brings the files of all cuts up to the number ``through`` to this machine; returns the folder.

    Files never change, so those that are there stay. The folder has no files but these; those of other cuts go.
    """
    wanted = [file for cut in cuts(store, name) if cut.number <= through for file in cut.files]
    folder = target / f"{through:012}"
    for other in target.glob("[0-9]*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    for file in wanted:
        if not (folder / file).exists():
            store.get_file(f"{layout.collected(name)}/{file}", folder / file)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def last_cut(store: Store, name: str) -> int:
    """Number of the last cut that holds an interaction, which is what a run may learn from; 0 where there is none."""
    return max((cut.number for cut in cuts(store, name) if cut.events), default=0)


def _events(log: EventLog, after: int) -> Iterator[tuple[int, Kept | Shown | None]]:
    """Offset and message of every record; None where it cannot be read."""
    while records := log.read(after, limit=READ_AT_ONCE):
        for record in records:
            try:
                message = from_json(record.body)
            except ValueError:
                message = None
            yield record.offset, message
        after = records[-1].offset


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=COLUMNS), stream, compression="zstd")
    return stream.getvalue()


def _log(store: Store, name: str) -> Log:
    return Log(store, layout.collected_cuts(name))
