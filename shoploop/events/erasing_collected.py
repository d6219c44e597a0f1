"""A user's rows leave the collected files.

An erasure writes the files that hold something of the user anew, without it, and appends a cut that collects nothing and says
which files lie elsewhere now, once the records are out of the log: a compaction that had read them before loses by that, and
reads the log again; so does another erasure, and reads the files again. One that is killed may leave files that no cut names:
the next compaction or erasure removes them.
"""

import io
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shoploop.errors import AlreadyExists, NotFound
from shoploop.events.cuts import ATTEMPTS, Cut, cuts, delete_files, name_cut, places_of, remove_unnamed, to_parquet
from shoploop.events.log import BEGINNING
from shoploop.store import Store, layout


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
        number, places, rows, rewritten = (last.number if last else 0) + 1, places_of(known), dict[str, int](), {}
        try:
            for file, place in places.items():  # one file in memory at a time: somebody may have come for years
                kept, rows[file] = _without(store, f"{layout.collected(name)}/{place}", user)
                if rows[file]:
                    rewritten[file] = f"{file.rpartition('/')[0]}/{number:06}-{secrets.token_hex(8)}.parquet"
                    store.put(f"{layout.collected(name)}/{rewritten[file]}", to_parquet(kept))
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
            counts = name_cut(store, name, cut) is None
        if not counts:  # what they wrote may hold the user, and what was written here whom they have erased
            delete_files(store, name, rewritten.values())
            continue
        remove_unnamed(store, name)
        having = [cut.number for cut in known if any(rows[file] for file in cut.files)]
        return ErasedRows(rows=sum(rows.values()), first_cut=min(having, default=None))
    raise AlreadyExists(f"The events of {name} are compacted or erased by others, again and again. Do it again.")


def _without(store: Store, key: str, user: str) -> tuple[pa.Table, int]:
    """A collected file without the rows of a user, and how many these are."""
    table = pq.read_table(io.BytesIO(store.get(key)))
    kept = table.filter(pc.not_equal(table["user"], user))
    return kept, len(table) - len(kept)
