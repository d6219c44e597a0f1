"""Collected events become interactions: dated Parquet partitions in the store, each event in one of them, once.

A compaction reads the log from the last cut to its end, writes a file a day, and then appends the cut: one that is killed
leaves garbage and never half an event, and of two that run at once one wins. What is too much for the memory at once becomes
several cuts, one after another.

What a version was trained on is not asked of the log again, so it may be forgotten there after a while (:func:`trim`).
"""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from shoploop.errors import AlreadyExists
from shoploop.events.cuts import (
    ATTEMPTS,
    Cut,
    check_same,
    cuts,
    delete_files,
    holds_last,
    name_cut,
    remove_unnamed,
    to_parquet,
)
from shoploop.events.intake import PAST
from shoploop.events.log import BEGINNING, EventLog
from shoploop.events.messages import Kept, Message, Shown, from_json
from shoploop.store import Store, layout

READ_AT_ONCE = 10_000
ROWS_AT_ONCE = 500_000
"""Of a cut: some hundreds of megabytes while it is written. What the log holds beyond them is the next cut's."""

NAMES_OF_A_ROW = 8
"""So many names in lists take the memory of a row."""

COLUMNS = pa.schema(
    [
        ("user", pa.string()),
        ("item", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("kind", pa.string()),
        ("shop", pa.string()),
        ("quantity", pa.float64()),
        ("price", pa.float64()),
        ("request_id", pa.string()),
    ]
)
"""``price`` is that of one piece; ``request_id`` names the answer that showed the item, where it came of one."""

SHOWN_COLUMNS = pa.schema(
    [
        ("request_id", pa.string()),
        ("user", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("version", pa.string()),
        ("surface", pa.string()),
        ("items", pa.list_(pa.string())),
        ("ranking", pa.list_(pa.string())),
        ("share", pa.float64()),
        ("keep", pa.int64()),
    ]
)
"""Of answers that chance had a part in; others say nothing of what another version would have done."""

SHOWN = "shown"
"""Folder of the answers' files, beside those of interactions."""

SEARCHED_COLUMNS = pa.schema(
    [
        ("request_id", pa.string()),
        ("user", pa.string()),
        ("query", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
    ]
)
"""Of answers to queries: with what was taken of them they are the next version's searches."""

SEARCHED = "searched"
"""Folder of the queries' files."""

LEAST_DAYS = PAST.days + 1
"""Kept whatever is asked for: while an event may still be sent, the log must know whether it has come already."""


def compact(log: EventLog, store: Store, name: str, *, anew: bool = False) -> Cut | None:
    """Writes what the log holds beyond the last cut, at least up to where it ends now; None where that is nothing.

    Args:
        log: Where the events lie.
        store: Where they go.
        name: Of the recommender.
        anew: The log took the place of the one that was compacted before: all that it holds is new. One that was killed amid
            that goes on all the same: a log that holds the last record that was compacted is no new one.

    Returns:
        The cut; where it took several, what they come to together, under the number of the last one.

    Raises:
        AlreadyExists: another compaction was faster; what it wrote counts.
        LogReplaced: the log is not the one that was compacted before.
        LogUnavailable: the log cannot be read; of what was written only whole cuts count.
    """
    remove_unnamed(store, name)
    end = log.end()
    total = cut = _compacted(log, store, name, anew=anew)
    while total is not None and cut is not None and cut.through < end:
        if cut := _compacted(log, store, name, anew=False):
            total = replace(
                cut, after=total.after, events=total.events + cut.events, unread=total.unread + cut.unread,
                missed=total.missed + cut.missed, files=total.files + cut.files,
            )  # fmt: skip
    return total


def _compacted(log: EventLog, store: Store, name: str, *, anew: bool) -> Cut | None:
    """One cut behind the last one; None where the log holds nothing there."""
    for _ in range(ATTEMPTS):
        known = cuts(store, name)
        if known and not anew:
            check_same(log, store, name, known[-1])
        number = known[-1].number if known else 0
        begins = not known or (anew and not holds_last(log, known[-1]))
        cut = _written_cut(log, store, name, number, after=BEGINNING if begins else known[-1].through)
        if cut is None:
            return None
        others = name_cut(store, name, cut)
        if others is None:
            return cut
        delete_files(store, name, cut.files)  # no cut can name them any more, and they may hold what was erased since
        if not all(other.erases for other in others):
            raise AlreadyExists(f"Another compaction of {name} was faster; what it wrote counts.")
    raise AlreadyExists(f"Users' events of {name} are erased at the same time, again and again. Do it again.")


def _written_cut(log: EventLog, store: Store, name: str, number: int, *, after: int) -> Cut | None:
    """What the log holds behind ``after``, up to ROWS_AT_ONCE, in files that do not count yet; None where that is nothing."""
    missed = max(log.begin() - after, 0)
    days: dict[str, list[dict[str, Any]]] = {}
    shown: dict[str, list[dict[str, Any]]] = {}
    searched: dict[str, list[dict[str, Any]]] = {}
    through, unread, last_id, size = after, 0, "", 0
    for offset, last_id, event in _events(log, after):  # noqa: B007
        through = offset
        unread += event is None
        if isinstance(event, Kept) and event.item is not None:
            of, row = days, event.model_dump(include=set(COLUMNS.names))
        elif isinstance(event, Shown) and event.query is not None:
            of, row = searched, event.model_dump(include=set(SEARCHED_COLUMNS.names))
        elif isinstance(event, Shown) and event.exploration is not None:
            of, row = shown, event.model_dump(include=set(SHOWN_COLUMNS.names)) | event.exploration.model_dump()
        else:
            continue
        of.setdefault(f"{event.time:%Y-%m-%d}", []).append(row)
        size += 1 + sum(len(value) for value in row.values() if isinstance(value, list)) // NAMES_OF_A_ROW
        if size >= ROWS_AT_ONCE:
            break
    if through == after:
        return None
    files = []
    # of each try its own: what one that lost still writes must not take the place of what counts
    name_of_file = f"{number + 1:06}-{after + 1:012}-{through:012}-{secrets.token_hex(4)}.parquet"
    for folder, schema, by_day in (
        ("", COLUMNS, days),
        (f"{SHOWN}/", SHOWN_COLUMNS, shown),
        (f"{SEARCHED}/", SEARCHED_COLUMNS, searched),
    ):
        for day, rows in sorted(by_day.items()):
            file = f"{folder}date={day}/{name_of_file}"
            store.put(f"{layout.collected(name)}/{file}", _parquet(rows, schema))
            files.append(file)
    return Cut(
        number=number + 1,
        after=after,
        through=through,
        events=sum(map(len, days.values())),
        files=tuple(files),
        unread=unread,
        missed=missed,
        last_id=last_id,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _events(log: EventLog, after: int) -> Iterator[tuple[int, str, Message | None]]:
    """Offset, id and message of every record; None where it cannot be read."""
    while records := log.read(after, limit=READ_AT_ONCE):
        for record in records:
            try:
                message = from_json(record.body)
            except ValueError:
                message = None
            yield record.offset, record.id, message
        after = records[-1].offset


def _parquet(rows: list[dict[str, Any]], schema: pa.Schema) -> bytes:
    return to_parquet(pa.Table.from_pylist(rows, schema=schema))


def trim(
    log: EventLog, store: Store, name: str, *, built_on: int, days: int, now: datetime | None = None
) -> int | None:
    """Forgets what a version was trained on, once it is old enough; never what no cut holds.

    Args:
        log: Where the events lie.
        store: Where the cuts lie.
        name: Of the recommender.
        built_on: Number of the last cut that the version was trained on which serves; 0 for none.
        days: How long a record is kept at least; :data:`LEAST_DAYS` where that is longer.
        now: UTC.

    Returns:
        The offset up to which the log was trimmed; None where there was nothing to forget.

    Raises:
        LogReplaced: the log is not the one that was compacted.
        LogUnavailable: the log does not answer.
    """
    known = cuts(store, name)
    if not known:
        return None
    check_same(log, store, name, known[-1])
    # offsets of the log before the one there is now mean nothing in this one
    begun = max(cut.number for cut in known if cut.after == BEGINNING)
    old = (now or datetime.now(UTC)) - timedelta(days=max(days, LEAST_DAYS))
    found = [cut for cut in known if begun <= cut.number <= built_on and datetime.fromisoformat(cut.time) <= old]
    if not found or log.begin() >= found[-1].through:
        return None
    log.trim(found[-1].through + 1)
    return found[-1].through
