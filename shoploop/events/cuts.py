"""Cuts: which files hold what was collected of an event log, and up to where in it.

They are entries of a log in the store (put-if-absent): files that no cut names do not count, and of two that would be the
next cut one wins. A cut of an erasure collects nothing, and says which files of earlier cuts lie elsewhere now.

A run reads what the cuts name when it is planned; its record tells the offset. By the last record that was compacted the
event log is known again.
"""

import io
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shoploop.data.collected import CUT_FILE, CollectedThrough
from shoploop.errors import AlreadyExists, ArtifactForeign, NotFound, StoreUnavailable, UserError
from shoploop.events.log import BEGINNING, EventLog
from shoploop.store import Log, Store, disk, layout

FORMAT = 1
"""Of a cut's entry; one without a number is of the first."""

ATTEMPTS = 20
"""How often a compaction reads the log again because of erasures, and these begin again because of compactions."""


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


def last_cut(store: Store, name: str) -> int:
    """Number of the last cut by which the files say something else than before; 0 where there is none."""
    return max((cut.number for cut in cuts(store, name) if cut.files or cut.rewritten), default=0)


def places_of(known: list[Cut]) -> dict[str, str]:
    """Where the files of cuts lie, by what these call them."""
    found = dict[str, str]()
    for cut in known:
        found |= {file: file for file in cut.files} | cut.rewritten
    return found


def name_cut(store: Store, name: str, cut: Cut) -> list[Cut] | None:
    """Names a cut, and returns None as it counts; where others were faster, these."""
    entry = {key: value for key, value in asdict(cut).items() if key != "number" and (value or key != "rewritten")}
    entry["format"] = FORMAT
    try:
        _log(store, name).append(entry, after=cut.number - 1)
        return None
    except AlreadyExists:
        return [other for other in cuts(store, name) if other.number >= cut.number]


def delete_files(store: Store, name: str, files: Iterable[str]) -> None:
    """Deletes files that no cut names, by where they lie."""
    for file in files:
        store.delete(f"{layout.collected(name)}/{file}")


def remove_unnamed(store: Store, name: str) -> None:
    """Removes the files up to the last cut's number that no cut names, or that lie elsewhere now: nobody can name them any
    more. A compaction leaves such that was killed, and an erasure the former files, where it was killed behind its cut."""
    known = cuts(store, name)
    named, through = set(places_of(known).values()), known[-1].number if known else 0
    folder = f"{layout.collected(name)}/"
    for key in list(store.list(folder)):
        file = key.removeprefix(folder)
        number = file.rpartition("/")[2].partition("-")[0]
        if file.endswith(".parquet") and file not in named and number.isdecimal() and int(number) <= through:
            store.delete(key)


def to_parquet(table: pa.Table) -> bytes:
    """A table as a collected file."""
    stream = io.BytesIO()
    pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()


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
            _fetch(store, name, {file for cut in counting for file in cut.files}, places_of(known), folder)
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


def check_same(log: EventLog, store: Store, name: str, last: Cut) -> None:
    """Makes sure that the log still holds the last record that was compacted, or was trimmed beyond it, or gave it up.

    Raises:
        LogReplaced: it does not.
    """
    for _ in range(2):  # it may be erased after one has looked whether it was
        if log.begin() >= last.through or last.through in erased(store, name):
            if log.end() >= last.through:
                return
        elif holds_last(log, last):
            return
    raise LogReplaced(
        f"This event log is not the one that was compacted before: that had a record {last.through:,}, which is not here. "
        "Name the right one with --log; or, where the former is gone for good, compact this one from its beginning: --anew."
    )


def holds_last(log: EventLog, last: Cut) -> bool:
    """Whether the log has the very record that was compacted last."""
    found = log.read(last.through - 1, limit=1) if last.through > BEGINNING else []
    return bool(found) and (found[0].offset, found[0].id) == (last.through, last.last_id)


def erased(store: Store, name: str) -> set[int]:
    """Offsets of records that were taken out of the log."""
    return {offset for entry in Log(store, layout.erased(name)).entries() for offset in entry["offsets"]}


def _log(store: Store, name: str) -> Log:
    return Log(store, layout.collected_cuts(name))
