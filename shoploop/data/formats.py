"""One file as a table, whatever wrote it: the format is seen by the content, never by the ending.

It must not know where files come from, nor what columns mean.
"""

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from shoploop.data import csv_pieces
from shoploop.data.csv_text import WIDE, Csv, decoded, read_csv
from shoploop.data.encodings import Recoding, in_utf8
from shoploop.data.ids import texts_of_arrow, with_hyphens
from shoploop.data.json_text import flattened, read_json
from shoploop.errors import DataUnreadable, TableEmpty, first_line

ZSTD = b"\x28\xb5\x2f\xfd"
STREAM = b"\xff\xff\xff\xff"
"""Arrow's stream: a table that was sent rather than written."""

REFUSED = {
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save it as CSV",
    b"ORC": "ORC: write it as Parquet",
    b"Obj\x01": "Avro: write it as Parquet",
    b"SQLite format 3\0": "an SQLite database: name it as sqlite:///file.db with a table or a query",
    b"%PDF": "a PDF",
    b"\x89HDF": "HDF5: write it as Parquet",
    b"\x80\x04\x95": "a pickle: write it as Parquet",
    b"\x80\x05\x95": "a pickle: write it as Parquet",
    b"\x93NUMPY": "an array of NumPy: write it as Parquet",
    b"RDX": "a file of R: write it as Parquet or CSV",
    b"$FL2": "a file of SPSS: write it as Parquet or CSV",
    b"<stata_dta>": "a file of Stata: write it as Parquet or CSV",
    b"version https://git-lfs": "a pointer of Git LFS, and not the file itself: fetch it with git lfs pull",
}
"""First bytes of what is no table that can be read, and what to do."""

MARKUP = {
    b"<!doctype html": "a web page and no table, most often what a server says to who is not logged in: fetch the file again",
    b"<html": "a web page and no table, most often what a server says to who is not logged in: fetch the file again",
    b"<?xml": "XML: write it as CSV, JSON Lines or Parquet",
}
"""The same of text, in lower case; space may stand before it."""

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
    encoding: str | None = None


@dataclass(kw_only=True)
class Remarks:
    """What had to be done to read some files; counts are lines."""

    recoded: Counter[str] = field(default_factory=Counter)
    """By the encoding that they were read as."""

    mended: int = 0
    ragged: int = 0
    headers: int = 0
    empty_lists: int = 0
    """Rows."""

    above: list[str] = field(default_factory=list)
    example: str = ""
    repeated: list[str] = field(default_factory=list)
    files_without: dict[str, int] = field(default_factory=dict)
    """Columns that some files lack, and the rows of these files."""

    first_without: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    """The first of these files, and the columns that it has."""


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
        if layout.encoding is None and path.stat().st_size > csv_pieces.PIECE_BYTES and _may_be_csv(head):
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
    if raw.startswith(STREAM):
        return _stream(raw, shown)
    if layout.encoding is not None:
        raw = in_utf8(raw, layout.encoding, shown=shown)
    elif raw.startswith(WIDE) and b"\0" in raw[:400]:
        raw = decoded(raw, Recoding(), shown=shown).encode()
    start = raw[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for mark, what in MARKUP.items():
        if start.startswith(mark):
            raise DataUnreadable(f"{shown} is {what}.")
    if start[:1] in (b"{", b"["):
        found = read_json(raw, shown=shown)
        if found is not None:
            return found
    return _noted(read_csv(raw, shown=shown, separator=layout.separator, header=list(layout.header)), remarks)


def _may_be_csv(head: bytes) -> bool:
    """Whether a file with this beginning is none of another known format; what a CSV holds shows itself further on."""
    known = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", ZSTD, STREAM, b"PAR1", b"ARROW1", b"FEA1", *REFUSED)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    text = start.startswith((b"{", b"[", *MARKUP))
    return not (text or head.startswith(known) or head[257:262] == b"ustar" or head[8:12] == b"DUCK")


def _noted(result: Csv, remarks: Remarks) -> pl.DataFrame:
    if result.recoding.encoding is not None:
        remarks.recoded[result.recoding.encoding] += result.recoding.lines
    remarks.mended += result.mended
    remarks.ragged += result.ragged
    remarks.above += result.above
    remarks.headers += result.headers
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
    tables: list[tuple[str, pl.DataFrame]] = []
    for name in sorted(names):
        try:
            member = _member(raw, name, shown)
            tables.append((name, _of_bytes(member, shown=f"{shown} ({name})", layout=layout, remarks=remarks)))
        except TableEmpty:
            if len(names) == 1:
                raise  # of many files some may be empty
    if not tables:
        raise TableEmpty(f"{shown} holds empty files only. Point uri at a file with data.")
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
        with source.open("rb") if isinstance(source, Path) else io.BytesIO(source.getbuffer()) as file:
            rows = flattened(pl.read_parquet(file))
            return rows.with_columns(with_hyphens(rows[name].bin.encode("hex")) for name in _uuids(file, rows))
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


def _uuids(file: Any, rows: pl.DataFrame) -> list[str]:
    """Columns that the file calls UUIDs, of which polars gives the bytes alone."""
    if pl.Binary not in rows.dtypes:
        return []
    import pyarrow.parquet as pq

    columns = pq.ParquetFile(file).schema
    named = {column.path for column in map(columns.column, range(len(columns))) if column.logical_type.type == "UUID"}
    return [name for name, dtype in rows.schema.items() if dtype == pl.Binary and name in named]


def _feather(raw: bytes, shown: str) -> pl.DataFrame:
    import pyarrow as pa
    from pyarrow import feather

    try:
        return _of_arrow(feather.read_table(pa.BufferReader(raw)))
    except (pa.ArrowException, OSError, ValueError, *_POLARS) as error:
        raise DataUnreadable(f"{shown} cannot be read: {first_line(error)}. Check that it is undamaged.") from error


def _of_arrow(table: Any) -> pl.DataFrame:
    """Offsets that a damaged file gives are held against its buffers first: polars would follow them out of the process."""
    import pyarrow as pa

    table.validate(full=True)
    for place, column in enumerate(table.schema):
        if pa.types.is_decimal256(column.type):  # polars ends in a panic at them
            table = table.set_column(place, column.name, table.column(place).cast(pa.string()))
        elif isinstance(column.type, pa.UuidType):
            table = table.set_column(place, column.name, pa.array(texts_of_arrow(table.column(place)), pa.string()))
    return flattened(pl.DataFrame(pl.from_arrow(table)))


def _stream(raw: bytes, shown: str) -> pl.DataFrame:
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(raw) as stream:
            return _of_arrow(stream.read_all())
    except (pa.ArrowException, OSError, ValueError, *_POLARS) as error:
        raise DataUnreadable(
            f"{shown} begins as a stream of Arrow and cannot be read: {first_line(error)}. Write it as Parquet."
        ) from error


def stacked(files: Sequence[tuple[str, pl.DataFrame]], *, shown: str, remarks: Remarks) -> pl.DataFrame:
    """Tables of files, each with its name, one below the other.

    A column that is of another type in another file is read as text in all.
    """
    from shoploop.data.ids import text_of

    tables = [table for _, table in files]
    if len(tables) == 1:
        return tables[0]
    filled = [table for table in tables if table.height] or tables[:1]
    names = list(dict.fromkeys(name for table in filled for name in table.columns))
    types: dict[str, set[Any]] = {name: {t.schema[name] for t in filled if name in t.columns} for name in names}
    for name in names:
        lacking = sum(table.height for table in filled if name not in table.columns)
        if lacking:
            remarks.files_without[name] = remarks.files_without.get(name, 0) + lacking
            file, columns = next((file, t.columns) for file, t in files if t.height and name not in t.columns)
            remarks.first_without.setdefault(name, (file, columns))
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
