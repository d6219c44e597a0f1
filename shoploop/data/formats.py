"""One file as a table, whatever wrote it: the format is seen by the content, never by the ending.

It must not know where files come from, nor what columns mean.
"""

import bz2
import gzip
import io
import lzma
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from shoploop.data import csv_pieces
from shoploop.data.csv_text import Csv, read_csv
from shoploop.errors import DataUnreadable, TableEmpty, first_line

ZSTD = b"\x28\xb5\x2f\xfd"
REFUSED = {
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save it as CSV",
    b"ORC": "ORC: write it as Parquet",
    b"Obj\x01": "Avro: write it as Parquet",
    b"SQLite format 3\0": "an SQLite database: name it as sqlite:///file.db with a table or a query",
    b"%PDF": "a PDF",
    b"\x89HDF": "HDF5: write it as Parquet",
    b"\x80\x04\x95": "a pickle: write it as Parquet",
    b"\x80\x05\x95": "a pickle: write it as Parquet",
}
"""First bytes of what is no table that can be read, and what to do."""

DEEPEST = 50
"""Levels of JSON. No table has as many, and polars takes minutes over a few hundred."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = bytes(sign for sign in range(256) if sign not in b"{}[]")

_UNPACKING = (zlib.error, lzma.LZMAError, struct.error)
"""What libraries of compression raise that derives from nothing more general than Exception."""

_UNZIPPING = (zipfile.BadZipFile, RuntimeError, OSError, EOFError, ValueError, LookupError, *_UNPACKING)

_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What polars raises; its panics are no Exception."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a person said about files whose format does not say it."""

    separator: str | None = None
    header: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Remarks:
    """What had to be done to read some files; counts are lines."""

    recoded: int = 0
    mended: int = 0
    ragged: int = 0
    example: str = ""
    repeated: list[str] = field(default_factory=list)
    files_without: dict[str, int] = field(default_factory=dict)
    """Columns that some files lack, and the rows of these files."""


def read_file(path: Path, *, shown: str, layout: Layout, remarks: Remarks) -> pl.DataFrame:
    """The file's table.

    Raises:
        DataUnreadable: it is damaged, or of no known format.
        TableEmpty: it holds nothing at all.
    """
    try:
        with path.open("rb") as file:
            head = file.read(512)
        if head.startswith(b"PAR1"):
            return _parquet(path, shown)
        if path.stat().st_size > csv_pieces.PIECE_BYTES and _may_be_csv(head):
            found = csv_pieces.read_pieces(path, shown=shown, separator=layout.separator, header=list(layout.header))
            if found is not None:
                return _noted(found, remarks)
        return _of_bytes(path.read_bytes(), shown=shown, layout=layout, remarks=remarks)
    except OSError as error:
        raise DataUnreadable(f"{shown} cannot be read: {error.strerror or error}. Check its permissions.") from error


def _of_bytes(raw: bytes, *, shown: str, layout: Layout, remarks: Remarks) -> pl.DataFrame:
    if raw.startswith(b"PK\x03\x04"):
        return _zip(raw, shown=shown, layout=layout, remarks=remarks)
    unpacked = _unpacked(raw, shown)
    if unpacked is not None:
        return _of_bytes(unpacked, shown=shown, layout=layout, remarks=remarks)
    for mark, what in REFUSED.items():
        if raw.startswith(mark):
            raise DataUnreadable(f"{shown} is {what}.")
    if raw[257:262] == b"ustar":
        raise DataUnreadable(f"{shown} is a tar archive. Unpack it into a folder and name the folder.")
    if raw[8:12] == b"DUCK":
        raise DataUnreadable(f"{shown} is a DuckDB database: name it as duckdb:///file.db with a table or a query.")
    if raw.startswith(b"PAR1"):
        return _parquet(io.BytesIO(raw), shown)
    if raw.startswith((b"ARROW1", b"FEA1")):
        return _feather(raw, shown)
    start = raw.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start in (b"{", b"["):
        found = _json(raw, shown)
        if found is not None:
            return found
    return _noted(read_csv(raw, shown=shown, separator=layout.separator, header=list(layout.header)), remarks)


def _may_be_csv(head: bytes) -> bool:
    """Whether a file with this beginning is none of another known format; what a CSV holds shows itself further on."""
    known = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", ZSTD, b"PAR1", b"ARROW1", b"FEA1", *REFUSED)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return not (head.startswith(known) or head[257:262] == b"ustar" or head[8:12] == b"DUCK" or start in (b"{", b"["))


def _noted(result: Csv, remarks: Remarks) -> pl.DataFrame:
    remarks.recoded += result.recoded
    remarks.mended += result.mended
    remarks.ragged += result.ragged
    remarks.example = remarks.example or result.example
    remarks.repeated += result.repeated
    return result.table


def _unpacked(raw: bytes, shown: str) -> bytes | None:
    """What a compressed file holds; None where it is not compressed."""
    try:
        if raw.startswith(b"\x1f\x8b"):
            return gzip.decompress(raw)
        if raw.startswith(b"BZh"):
            return bz2.decompress(raw)
        if raw.startswith(b"\xfd7zXZ\0"):
            return lzma.decompress(raw)
        if raw.startswith(ZSTD):
            import pyarrow as pa

            with pa.CompressedInputStream(pa.BufferReader(raw), "zstd") as stream:
                return bytes(stream.read())
    except (OSError, EOFError, ValueError, *_UNPACKING) as error:
        raise DataUnreadable(
            f"{shown} is compressed and damaged or cut off: {first_line(error)}. Copy it again."
        ) from error
    return None


def _zip(raw: bytes, *, shown: str, layout: Layout, remarks: Remarks) -> pl.DataFrame:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = [n for n in archive.namelist() if not n.endswith("/") and not _is_hidden(n)]
            if "[Content_Types].xml" in archive.namelist():
                raise DataUnreadable(f"{shown} is an Excel workbook: save the sheet as CSV.")
            if not names:
                raise TableEmpty(f"{shown} is an empty archive. Point uri at a file with data.")
    except _UNZIPPING as error:
        raise DataUnreadable(f"{shown} is an archive that cannot be unpacked: {first_line(error)}.") from error
    tables = [
        _of_bytes(_member(raw, name, shown), shown=f"{shown} ({name})", layout=layout, remarks=remarks)
        for name in sorted(names)
    ]
    return stacked(tables, shown=shown, remarks=remarks)


def _member(raw: bytes, name: str, shown: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            return archive.read(name)
    except _UNZIPPING as error:
        raise DataUnreadable(f"{shown} is an archive that cannot be unpacked: {first_line(error)}.") from error


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))


def _parquet(source: Path | io.BytesIO, shown: str) -> pl.DataFrame:
    """By polars; what it refuses, by Arrow, which knows more writers' ways."""
    try:
        with source.open("rb") if isinstance(source, Path) else source as file:
            return pl.read_parquet(file)
    except (OSError, *_POLARS):
        pass
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pa.OSFile(str(source)) if isinstance(source, Path) else pa.BufferReader(source.getvalue()) as file:
            return _of_arrow(pq.ParquetFile(file).read())
    except (pa.ArrowException, OSError, ValueError, *_POLARS) as error:
        raise DataUnreadable(
            f"{shown} cannot be read: {first_line(error)}. Check that it is an undamaged Parquet."
        ) from error


def _feather(raw: bytes, shown: str) -> pl.DataFrame:
    import pyarrow as pa
    from pyarrow import feather

    try:
        return _of_arrow(feather.read_table(pa.BufferReader(raw)))
    except (pa.ArrowException, OSError, ValueError, *_POLARS) as error:
        raise DataUnreadable(f"{shown} cannot be read: {first_line(error)}. Check that it is undamaged.") from error


def _of_arrow(table: Any) -> pl.DataFrame:
    """Offsets that a damaged file gives are held against its buffers first: polars would follow them out of the process."""
    table.validate(full=True)
    return pl.DataFrame(pl.from_arrow(table))


def _json(raw: bytes, shown: str) -> pl.DataFrame | None:
    """JSON Lines, or one array of objects; None where it is no JSON at all but begins like it."""
    raw = raw.removeprefix(b"\xef\xbb\xbf").strip()
    for number, line in enumerate([raw] if raw.startswith(b"[") else raw.split(b"\n"), start=1):
        if line.count(b"{") + line.count(b"[") > DEEPEST and _depth(line) > DEEPEST:
            raise DataUnreadable(
                f"{shown} cannot be read as JSON Lines: line {number} is no whole object, or is nested more than {DEEPEST} "
                "levels deep. Write one flat object a line."
            )
    try:
        if raw.startswith(b"["):
            return pl.read_json(raw, infer_schema_length=None)
        return pl.read_ndjson(raw, infer_schema_length=None)
    except _POLARS as error:
        import json

        for number, line in enumerate(raw.split(b"\n"), start=1):
            try:
                if line.strip():
                    json.loads(line)
            except (ValueError, RecursionError):
                if number == 1 and not raw.startswith(b'{"'):
                    return None
                raise DataUnreadable(
                    f"{shown} cannot be read as JSON Lines: line {number} is no whole object. Write one object a line."
                ) from error
        raise DataUnreadable(f"{shown} cannot be read as JSON Lines: {first_line(error)}.") from error


def _depth(text: bytes) -> int:
    """How many brackets are open at once, those within strings aside."""
    depth = deepest = 0
    for sign in _STRINGS.sub(b"", text).translate(None, delete=_NO_BRACKETS):
        depth += 1 if sign in b"{[" else -1
        deepest = max(deepest, depth)
    return deepest


def stacked(tables: list[pl.DataFrame], *, shown: str, remarks: Remarks) -> pl.DataFrame:
    """Tables one below the other. A column that is of another type in another file is read as text in all."""
    from shoploop.data.ids import text_of

    if len(tables) == 1:
        return tables[0]
    filled = [table for table in tables if table.height] or tables[:1]
    names = list(dict.fromkeys(name for table in filled for name in table.columns))
    types: dict[str, set[Any]] = {name: {t.schema[name] for t in filled if name in t.columns} for name in names}
    for name in names:
        lacking = sum(table.height for table in filled if name not in table.columns)
        if lacking:
            remarks.files_without[name] = remarks.files_without.get(name, 0) + lacking
    try:
        alike = [
            table.with_columns(
                text_of(table[name]).alias(name)
                for name in table.columns
                if len(types[name]) > 1 and not any(dtype.is_nested() for dtype in types[name])
            )
            for table in filled
        ]
        return pl.concat(alike, how="diagonal_relaxed")
    except _POLARS as error:
        raise DataUnreadable(
            f"The files of {shown} do not fit together: {first_line(error)}. Give a column the same type in all of them."
        ) from error
