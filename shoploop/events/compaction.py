"""Collected events become interactions: dated Parquet partitions in the store, each event in one of them, once.

A compaction reads the log from the last cut to its end, writes a file a day, and then appends the cut to a log in the store
(put-if-absent): files that no cut names do not count, so a compaction that is killed leaves garbage and never half an event,
and of two that run at once one wins. What is too much for the memory at once becomes several cuts, one after another. A run
reads what the cuts name when it is planned; its record tells the offset.

An erasure writes the files that hold something of the user anew, without it, and appends a cut that collects nothing and says
which files lie elsewhere now, once the records are out of the log: a compaction that had read them before loses by that, and
reads the log again; so does another erasure, and reads the files again. One that is killed may leave files that no cut names:
the next compaction or erasure removes them.

What a version was trained on is not asked of the log again, so it may be forgotten there after a while (:func:`trim`).
"""

import io
import secrets
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shoploop.data.collected import CUT_FILE, CollectedThrough
from shoploop.errors import AlreadyExists, ArtifactForeign, NotFound, StoreUnavailable, UserError
from shoploop.events.intake import PAST
from shoploop.events.log import BEGINNING, EventLog
from shoploop.events.messages import Kept, Message, Shown, from_json
from shoploop.store import Log, Store, disk, layout

FORMAT = 1
"""Of a cut's entry; one without a number is of the first."""

READ_AT_ONCE = 10_000
ROWS_AT_ONCE = 500_000
"""Of a cut: some hundreds of megabytes while it is written. What the log holds beyond them is the next cut's."""

NAMES_OF_A_ROW = 8
"""So many names in lists take the memory of a row."""

ATTEMPTS = 20
"""How often a compaction reads the log again because of erasures, and these begin again because of compactions."""

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


class LogReplaced(UserError):
    """The log is not the one that was compacted before."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One compaction."""

    number: int
    after: int
    """Offset of the last record that an earlier cut holds."""

    through: int
    """Offset of the last record that this one has seen."""

    events: int
    """Interactions in its files. Answers and searches are none."""

    unread: int
    """Records that were passed over because they could not be read; they stay in the log."""

    missed: int
    """Records beyond the last cut that the log had forgotten before they were compacted."""

    last_id: str
    """Id of the record at ``through``, by which the log is known again."""

    files: tuple[str, ...]
    """Keys, below the recommender's collected interactions."""

    time: str
    """UTC, ISO 8601."""

    rewritten: dict[str, str] = field(default_factory=dict)
    """Where files of earlier cuts lie from now on, by what these cuts call them: without who was erased."""

    @property
    def erases(self) -> bool:
        """An erasure's: it has seen no record."""
        return self.through == self.after


def cuts(store: Store, name: str) -> list[Cut]:
    """All cuts of a recommender, oldest first.

    Raises:
        ArtifactForeign: another shoploop wrote one that this one cannot read.
        StoreUnavailable: one is damaged, or the store did not answer.
    """
    return [_cut(store, name, entry) for entry in _log(store, name).entries()]


def _cut(store: Store, name: str, entry: dict[str, Any]) -> Cut:
    where = f"Cut {entry['number']} of {store.url(layout.collected_cuts(name))}"
    format = entry.pop("format", 1)
    if format != FORMAT:
        raise ArtifactForeign(
            f"{where} is of format {format!r}; this shoploop reads format {FORMAT}. Use the shoploop that wrote it, or a "
            "newer one; nothing was changed."
        )
    try:
        return Cut(**entry | {"files": tuple(entry["files"])})
    except (KeyError, TypeError) as error:
        raise StoreUnavailable(f"{where} is damaged: {error}. Bring it back.") from error


def _places(known: list[Cut]) -> dict[str, str]:
    """Where the files of cuts lie, by what these call them."""
    found = dict[str, str]()
    for cut in known:
        found |= {file: file for file in cut.files} | cut.rewritten
    return found


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
    _remove_unnamed(store, name)
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
        begins = not known or (anew and not _holds_last(log, known[-1]))
        cut = _written_cut(log, store, name, number, after=BEGINNING if begins else known[-1].through)
        if cut is None:
            return None
        others = _named(store, name, cut)
        if others is None:
            return cut
        _delete(store, name, cut.files)  # no cut can name them any more, and they may hold what was erased since
        if not all(other.erases for other in others):
            raise AlreadyExists(f"Another compaction of {name} was faster; what it wrote counts.")
    raise AlreadyExists(f"Users' events of {name} are erased at the same time, again and again. Do it again.")


def _named(store: Store, name: str, cut: Cut) -> list[Cut] | None:
    """Names a cut, and returns None as it counts; where others were faster, these."""
    entry = {key: value for key, value in asdict(cut).items() if key != "number" and (value or key != "rewritten")}
    entry["format"] = FORMAT
    try:
        _log(store, name).append(entry, after=cut.number - 1)
        return None
    except AlreadyExists:
        return [other for other in cuts(store, name) if other.number >= cut.number]


def _delete(store: Store, name: str, files: Iterable[str]) -> None:
    for file in files:
        store.delete(f"{layout.collected(name)}/{file}")


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


@dataclass(frozen=True, kw_only=True)
class ErasedRows:
    """What was taken out of collected files."""

    rows: int = 0
    first_cut: int | None = None
    """Number of the first cut that held some; None where none did."""


def erase_collected(store: Store, name: str, user: str) -> ErasedRows:
    """Takes what a user did, was shown and searched for out of the files of all cuts, once the log does not hold it any more.

    A cut comes, whatever is found: by it a compaction loses that has read the log before, and an erasure that has read the
    files before; and where something was found, no run takes up what steps have made of the files as they were. These go
    then, and files that no cut names, such as a compaction leaves that was killed.

    Args:
        store: Where the files lie.
        name: Of the recommender.
        user: Who; an id as it lies in the log.

    Raises:
        AlreadyExists: others compact or erase at the same time, again and again; do it again.
    """
    for _ in range(ATTEMPTS):
        known = cuts(store, name)
        last = known[-1] if known else None
        number, places, rows, rewritten = (last.number if last else 0) + 1, _places(known), dict[str, int](), {}
        try:
            for file, place in places.items():  # one file in memory at a time: somebody may have come for years
                kept, rows[file] = _without(store, f"{layout.collected(name)}/{place}", user)
                if rows[file]:
                    rewritten[file] = f"{file.rpartition('/')[0]}/{number:06}-{secrets.token_hex(8)}.parquet"
                    store.put(f"{layout.collected(name)}/{rewritten[file]}", _written(kept))
        except NotFound:
            if cuts(store, name) == known:
                raise
            counts = False  # who erases somebody else has written it anew
        else:
            cut = Cut(
                number=number, after=last.through if last else BEGINNING, through=last.through if last else BEGINNING,
                events=0, unread=0, missed=0, last_id=last.last_id if last else "", files=(), rewritten=rewritten,
                time=datetime.now(UTC).isoformat(timespec="seconds"),
            )  # fmt: skip
            counts = _named(store, name, cut) is None
        if not counts:  # what they wrote may hold the user, and what was written here whom they have erased
            _delete(store, name, rewritten.values())
            continue
        _remove_unnamed(store, name)
        having = [cut.number for cut in known if any(rows[file] for file in cut.files)]
        return ErasedRows(rows=sum(rows.values()), first_cut=min(having, default=None))
    raise AlreadyExists(f"The events of {name} are compacted or erased by others, again and again. Do it again.")


def _remove_unnamed(store: Store, name: str) -> None:
    """Removes the files up to the last cut's number that no cut names, or that lie elsewhere now: nobody can name them any
    more. A compaction leaves such that was killed, and an erasure the former files, where it was killed behind its cut."""
    known = cuts(store, name)
    named, through = set(_places(known).values()), known[-1].number if known else 0
    folder = f"{layout.collected(name)}/"
    for key in list(store.list(folder)):
        file = key.removeprefix(folder)
        number = file.rpartition("/")[2].partition("-")[0]
        if file.endswith(".parquet") and file not in named and number.isdecimal() and int(number) <= through:
            store.delete(key)


def _without(store: Store, key: str, user: str) -> tuple[pa.Table, int]:
    """A collected file without the rows of a user, and how many these are."""
    table = pq.read_table(io.BytesIO(store.get(key)))
    kept = table.filter(pc.not_equal(table["user"], user))
    return kept, len(table) - len(kept)


def fetch_collected(store: Store, name: str, through: int, target: Path) -> Path:
    """Brings the files of all cuts up to the number ``through`` to this machine; returns the folder.

    Files that are there stay, but for those that were written anew since without who was erased. The folder has no files but
    these, by what their cuts call them; those of other cuts go.

    Raises:
        StoreUnavailable: a cut names a file outside of the folder, or the store did not answer.
    """
    folder = target / f"{through:012}"
    for other in target.glob("[0-9]*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    for _ in range(ATTEMPTS):
        known = cuts(store, name)
        counting = [cut for cut in known if cut.number <= through]
        try:
            _fetch(store, name, {file for cut in counting for file in cut.files}, _places(known), folder)
            break
        except NotFound:
            if cuts(store, name) == known:
                raise
    folder.mkdir(parents=True, exist_ok=True)
    if counting:
        told = CollectedThrough(cut=counting[-1].number, offset=counting[-1].through, log=_log_of(counting))
        disk.write_json(folder / CUT_FILE, told.to_json())
    return folder


def _log_of(known: list[Cut]) -> int:
    """Number of the cut with which the log begins that the last of these is of; 0 where none was there before."""
    begun, seen = 0, BEGINNING
    for cut in known:
        if cut.after == BEGINNING < seen:
            begun = cut.number
        seen = cut.through
    return begun


def _fetch(store: Store, name: str, wanted: set[str], places: dict[str, str], folder: Path) -> None:
    """Files of cuts, from where they lie.

    Raises:
        NotFound: one was written anew just now.
    """
    if foreign := [each for file in sorted(wanted) for each in (file, places[file]) if not disk.is_inner(each)]:
        raise StoreUnavailable(
            f"{store.url(layout.collected_cuts(name))} names {foreign[0]!r}, which is no collected file. Bring the log back."
        )
    for file in sorted(wanted):
        if places[file] != file or not (folder / file).exists():
            store.get_file(f"{layout.collected(name)}/{places[file]}", folder / file)


def last_cut(store: Store, name: str) -> int:
    """Number of the last cut by which the files say something else than before; 0 where there is none."""
    return max((cut.number for cut in cuts(store, name) if cut.files or cut.rewritten), default=0)


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


def erased(store: Store, name: str) -> set[int]:
    """Offsets of records that were taken out of the log."""
    return {offset for entry in Log(store, layout.erased(name)).entries() for offset in entry["offsets"]}


def check_same(log: EventLog, store: Store, name: str, last: Cut) -> None:
    """Makes sure that the log still holds the last record that was compacted, or was trimmed beyond it, or gave it up.

    Raises:
        LogReplaced: it does not.
    """
    for _ in range(2):  # it may be erased after one has looked whether it was
        if log.begin() >= last.through or last.through in erased(store, name):
            if log.end() >= last.through:
                return
        elif _holds_last(log, last):
            return
    raise LogReplaced(
        f"This event log is not the one that was compacted before: that had a record {last.through:,}, which is not here. "
        "Name the right one with --log; or, where the former is gone for good, compact this one from its beginning: --anew."
    )


def _holds_last(log: EventLog, last: Cut) -> bool:
    """Whether the log has the very record that was compacted last."""
    found = log.read(last.through - 1, limit=1) if last.through > BEGINNING else []
    return bool(found) and (found[0].offset, found[0].id) == (last.through, last.last_id)


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
    return _written(pa.Table.from_pylist(rows, schema=schema))


def _written(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def _log(store: Store, name: str) -> Log:
    return Log(store, layout.collected_cuts(name))
