"""What a learner remembers of the log's records, as bytes: who begins anew goes on from there, and reads those since alone.

It is what these records come to and nothing else, so nothing hangs on it: where it is gone, or of another making, they are
read again. It says who did what, so the store holds the last one alone, and none that an erasure may have to do with.

Legend of a table: its columns by name, one value for each row.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import compress
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

import polars as pl

from shoploop.errors import AlreadyExists, ArtifactCorrupt, ArtifactForeign
from shoploop.events.fresh import Table
from shoploop.store import Store, layout

EVERY = 10_000
"""Records, after which a learner writes down what it remembers: to read as many again takes a second or two."""

SHARE = 8
"""Nor before as many records as one in so many of what is remembered: to write that down takes time, too."""

FORMAT = 1
"""Another where what a learner remembers, or makes of a record, is another."""

ABOUT = "about.json"
_TEXT, _TIME = pl.String(), pl.Datetime("us", "UTC")
SCHEMAS: dict[str, dict[str, pl.DataType]] = {
    "answers": {"request": _TEXT, "time": _TIME, "items": _TEXT, "searched": pl.Boolean()},
    "orphans": {"request": _TEXT, "time": _TEXT, "offset": pl.Int64(), "event": _TEXT},
    "times": {"time": _TEXT},
    "watermark": {"time": _TEXT},
    "limits": {"span": pl.Int64(), "day": pl.Int64(), "learned": pl.Int64()},
    "users_in_span": {"user": _TEXT, "examples": pl.Int64()},
    "users_in_day": {"user": _TEXT, "examples": pl.Int64()},
    "items_in_day": {"code": pl.Int64(), "examples": pl.Int64()},
    "pairs_in_day": {"user": _TEXT, "code": pl.Int64(), "examples": pl.Int64()},
    "done": {
        "user": _TEXT, "item": _TEXT, "kind": _TEXT, "day": pl.Int64(), "quantity": pl.Float64(), "offset": pl.Int64(),
        "shop": _TEXT,
    },
    "credit": {"user": _TEXT, "choices": pl.Int64(), "total": pl.Float64(), "squares": pl.Float64()},
}  # fmt: skip
"""Of each table; times in text keep their zones, and items are a JSON list."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Where one lies, as an entry of a chain says."""

    offset: int
    """Of the last record that it knows: a batch begins behind it."""

    digest: str
    """sha256."""

    def to_json(self) -> dict[str, Any]:
        return vars(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Window":
        return cls(offset=int(data["offset"]), digest=str(data["digest"]))


def behind(trimmed: int, tables: Mapping[str, Table]) -> dict[str, Table]:
    """The same without records that the log no longer has, and without users of whom it has none: an erasure finds whose
    records to take away in the log, and nobody may be left here whom it cannot find.

    Args:
        trimmed: Offset of the last record that the log has forgotten.
        tables: One for each of :data:`SCHEMAS`.
    """
    left = dict(tables)
    for name in ("done", "orphans"):
        left[name] = _kept(tables[name], [offset > trimmed for offset in tables[name]["offset"]])
    users = {*left["done"]["user"]}
    for name in ("users_in_span", "users_in_day", "pairs_in_day", "credit"):
        left[name] = _kept(tables[name], [user in users for user in tables[name]["user"]])
    return left


def _kept(table: Table, rows: list[bool]) -> Table:
    return table if all(rows) else {name: list(compress(column, rows)) for name, column in table.items()}


def to_bytes(tables: Mapping[str, Table], *, made_by: Mapping[str, Any]) -> bytes:
    """Packs tables; the same ones give the same bytes.

    Args:
        tables: One for each of :data:`SCHEMAS`.
        made_by: What they depend on beside the records: who remembers by another rule cannot go on with them.
    """
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr(ZipInfo(ABOUT), json.dumps({"format": FORMAT, "made_by": dict(made_by)}))
        for name, schema in SCHEMAS.items():
            table = BytesIO()
            pl.DataFrame(tables[name], schema=schema).write_parquet(table, compression="zstd", compression_level=1)
            archive.writestr(ZipInfo(f"{name}.parquet"), table.getvalue())
    return packed.getvalue()


def from_bytes(body: bytes, *, made_by: Mapping[str, Any], what: str) -> dict[str, Table]:
    """Reads what :func:`to_bytes` wrote.

    Args:
        body: The bytes.
        made_by: As it was when they were written, or they are of no use.
        what: To call it in an error.

    Raises:
        ArtifactForeign: they are of another format, or were made by another rule.
        ArtifactCorrupt: they are none.
    """
    try:
        with ZipFile(BytesIO(body)) as archive:
            about = json.loads(archive.read(ABOUT))
            if about != {"format": FORMAT, "made_by": dict(made_by)}:
                raise ArtifactForeign(f"{what} was made by another rule.")
            frames = {name: pl.read_parquet(BytesIO(archive.read(f"{name}.parquet"))) for name in SCHEMAS}
    except (BadZipFile, KeyError, ValueError, pl.exceptions.PolarsError) as error:
        raise ArtifactCorrupt(f"{what} cannot be read: {error}.") from error
    for name, frame in frames.items():
        if dict(frame.schema) != SCHEMAS[name]:
            raise ArtifactCorrupt(f"{what} holds {name} of other columns.")
    return {name: frame.to_dict(as_series=False) for name, frame in frames.items()}


class Windows:
    """Those of one chain, in the store."""

    def __init__(self, store: Store, name: str, version: str):
        """
        Args:
            store: Where the chain lies.
            name: Of the recommender.
            version: Of the chain.
        """
        self._store = store
        self._name = name
        self._version = version

    def write(self, offset: int, body: bytes) -> Window:
        """Durable on return.

        Args:
            offset: Of the last record that it knows.
            body: As :func:`to_bytes` gives it.
        """
        window = Window(offset=offset, digest=hashlib.sha256(body).hexdigest())
        try:
            self._store.put_if_absent(self._key(window.digest), body)
        except AlreadyExists:  # the same bytes, unless the power went while they were written
            self._store.put(self._key(window.digest), body)
        return window

    def read(self, window: Window, *, made_by: Mapping[str, Any]) -> dict[str, Table]:
        """The tables of one.

        Raises:
            NotFound: it is gone.
            ArtifactForeign, ArtifactCorrupt: as :func:`from_bytes`, or it was altered.
            StoreUnavailable: the store does not answer.
        """
        key = self._key(window.digest)
        body, what = self._store.get(key), self._store.url(key)
        if hashlib.sha256(body).hexdigest() != window.digest:
            raise ArtifactCorrupt(f"{what} was altered.")
        return from_bytes(body, made_by=made_by, what=what)

    def keep_only(self, window: Window | None) -> None:
        """Removes all others."""
        kept = None if window is None else self._key(window.digest)
        for key in self._store.list(f"{layout.online_windows(self._name, self._version)}/"):
            if key != kept:
                self._store.delete(key)

    def _key(self, digest: str) -> str:
        return f"{layout.online_windows(self._name, self._version)}/{digest}"
