"""Tables, texts and requests as they come when something went wrong on the way, as hypothesis strategies.

A mutated input is a good one to which a few things have happened: to its cells, columns and types, and then to its bytes. It
may still be good. What it must never do is end in a traceback, or leave half of an answer behind.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from pyarrow import feather

NAMES = ["user", "item", "time", "kind", "quantity", "price", "shop", "basket", "title", "category"]

ROWS = [
    [f"u{n % 9}", f"i{n % 7}", f"2024-05-{n % 28 + 1:02}T10:{n % 60:02}:00Z", ["purchase", "view", "cart"][n % 3],
     str(n % 4 + 1), f"{n % 5 + 0.5}", f"s{n % 2}", f"b{n // 3}", f"Thing {n % 7}", "Food > Tea"]
    for n in range(40)
]  # fmt: skip

ODD = [
    "", " ", "NULL", "nan", "NaN", "None", "\\N", "-", "0", "-1", "inf", "-inf", "1e300", "-1e300", "1e-300",
    "9" * 30, "9" * 400,
    "1.0", "1001.0", "9007199254740993", "1.2346E+17", "0x1F", "1_000", "1,5", "1.234,5", "$5", "５", "٣", "12:30",
    "2099-01-01", "0000-00-00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1970-01-01", "2024-02-30",
    "2024-03-31T02:30:00",
    "2024-05-01T10:00:00+14:00", "2024-05-01T10:00:00-99:99", "2024-05-01 10:00:00 [Europe/Berlin]", "20240501",
    "99999999",
    "1714521600", "1714521600000", "1714521600000000000", "1714521600.5", "01.05.2024", "5/1/24", "24:00", "2024-W18-3",
    "2024-05-01T10:00:00." + "1" * 40, "262143-01-01", "-262144-01-01", "true", "purchase", "refund", "[1, 2]",
    '{"a": 1}', "a,b",
    'say "hi"', '"', '""', "'", "\\", "\n", "\r", "\t", "a\nb", "\0", "\x1f", "\x7f", "\ufeff", "\u202e", "\u2028",
    "\xa0", "ß", "é",
    "e\u0301", "🫖", "x" * 5000, "=1+1", "[bold]", "%s", "{}", "../..", "listed", "guest",
]  # fmt: skip
"""What cells of other people's files hold."""

cells = st.sampled_from(ODD) | st.text(max_size=8) | st.integers().map(str) | st.floats().map(str)
numbers = st.integers(0, 10_000)
columns = st.integers(0, len(NAMES) - 1)
column_names = st.sampled_from(
    [*NAMES, "", " ", "user ", "User", "users", "user:token", "time:float", "listed", "rating", "brand", "image",
        "day", "n", "rows",
     "word", "level", "literal", "len", "index", "column_0", "a,b", 'a"b', "^.*$", "^u.*$", "*", "user.1",
     "2024-05-01", "196", "é", "x" * 300]
) | st.text(max_size=6)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """A header and rows to which a few things have happened."""
    names, rows = list(NAMES), [list(row) for row in ROWS]
    kept = draw(st.sampled_from([40, 40, 40, 40, 7, 1, 0]))
    rows = rows[:kept]
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 2, 3, 6]))):
        change = draw(
            st.sampled_from(["cell", "cell", "column", "swap", "row", "rename", "drop", "add", "ragged", "sort"])
        )
        column, row = draw(numbers) % max(1, len(names)), draw(numbers) % max(1, len(rows))
        if change == "cell" and rows and len(rows[row]) > column:
            rows[row][column] = draw(cells)
        elif change == "column":  # a whole column of something else
            few = draw(st.lists(cells, min_size=1, max_size=3))
            for n, line in enumerate(rows):
                if len(line) > column:
                    line[column] = few[n % len(few)]
        elif change == "swap" and rows:
            other = draw(numbers) % len(rows)
            rows[row], rows[other] = rows[other], rows[row]
            line = rows[row]
            if line:
                a, b = draw(numbers) % len(line), draw(numbers) % len(line)
                line[a], line[b] = line[b], line[a]
        elif change == "row" and rows:
            rows = rows + [list(rows[row])] * draw(st.sampled_from([1, 3, 30]))
        elif change == "rename" and names:
            names[column] = draw(column_names)
        elif change == "drop" and names:
            del names[column]
            for line in rows:
                del line[column : column + 1]
        elif change == "add":
            names.insert(column, draw(column_names))
            value = draw(cells)
            for line in rows:
                line.insert(column, value)
        elif change == "ragged" and rows:
            rows[row] = rows[row][: draw(st.integers(0, 9))] if draw(st.booleans()) else [*rows[row], draw(cells)]
        elif change == "sort":
            rows = rows[::-1]
    return names, rows


PIECES = [
    b"\0", b"\0\0\0\0", b"\xff", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b'"', b'"""', b"'", b"\n", b"\r",
    b"\r\n\r\n", b",", b",,,,,,", b";",
    b"\t", b"|", b"::", b"\\", b"{", b"[", b"}", b"NaN", b"1e999", b"PAR1", b"PK\x03\x04", b"\x1f\x8b",
    b"\xed\xa0\x80", b"\xc3\x28",
    b"\xf4\x90\x80\x80", b"\x1f", b"\x1a", b"9" * 400, b"a" * 3000,
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes that a disk, a copy or an editor has changed."""
    raw = bytearray(content)
    for _ in range(draw(st.sampled_from([1, 1, 2, 4]))):
        change = draw(st.sampled_from(["flip", "flip", "cut", "begin", "insert", "erase", "repeat", "end", "zero"]))
        place = draw(st.integers(0, 1 << 20)) % (len(raw) + 1)
        if draw(st.integers(0, 3)) == 0:
            place = min(len(raw), draw(st.integers(0, 16)))  # signs of a format lie at both ends
        elif draw(st.integers(0, 3)) == 0:
            place = max(0, len(raw) - draw(st.integers(0, 300)))
        length = draw(st.sampled_from([1, 2, 8, 64, 1000]))
        match change:
            case "flip" if place < len(raw):
                raw[place] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del raw[place:]
            case "begin":
                del raw[:place]
            case "insert":
                raw[place:place] = draw(st.sampled_from(PIECES) | st.binary(max_size=8))
            case "erase":
                del raw[place : place + length]
            case "repeat":
                raw[place:place] = raw[place : place + length]
            case "end":
                raw += draw(st.sampled_from(PIECES) | st.binary(max_size=8))
            case "zero":
                raw[place : place + length] = bytes(len(raw[place : place + length]))
    return bytes(raw)


@st.composite
def maybe_damaged(draw: st.DrawFn, content: bytes) -> bytes:
    return draw(damaged(content)) if draw(st.integers(0, 3)) == 0 else content


def zipped(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("events.csv", content)
    return stream.getvalue()


def zstd(content: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(content, asbytes=True))


PACKINGS = (gzip.compress, bz2.compress, lzma.compress, zipped, zstd)


@st.composite
def packed(draw: st.DrawFn, content: bytes) -> bytes:
    """Mostly as it is; else compressed once or twice, and perhaps damaged before and after."""
    content = draw(maybe_damaged(content))
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 2]))):
        content = draw(maybe_damaged(draw(st.sampled_from(PACKINGS))(content)))
    return content


@st.composite
def csv_files(draw: st.DrawFn) -> bytes:
    names, rows = draw(tables())
    stream = io.StringIO(newline="")
    separator = draw(st.sampled_from([",", ",", ";", "\t", "|", "::", " ", "\x1f"]))
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE]))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    lines = rows if draw(st.integers(0, 9)) == 0 else [names, *rows]
    if len(separator) > 1 or quoting == csv.QUOTE_NONE:
        stream.write(end.join(separator.join(line) for line in lines) + end)
    else:
        csv.writer(stream, delimiter=separator, quoting=quoting, lineterminator=end).writerows(lines)
    text = draw(st.sampled_from(["", "", "", "sep=;\n", "\n\n", "# a comment\n"])) + stream.getvalue()
    encoding = draw(st.sampled_from(
        ["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "shift-jis",
            "utf-7"]
    ))  # fmt: skip
    return draw(packed(text.encode(encoding, "replace")))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | cells,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def json_files(draw: st.DrawFn) -> bytes:
    """JSON Lines, or one array, with values of any type in it."""
    names, rows = draw(tables())
    texts: list[str] = []
    typed = draw(st.booleans())
    for row in rows:
        pairs: list[tuple[str, Any]] = [*zip(names, row, strict=False)]
        if typed:
            pairs = [(name, float(cell) if name in ("quantity", "price") and cell[:1].isdigit() and cell.replace(".",
                "").isascii()
                      and cell.replace(".", "", 1).isdigit() else cell) for name, cell in pairs]  # fmt: skip
        texts.append("{" + ", ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in pairs) + "}")
    for _ in range(draw(st.integers(0, 3))):
        odd = draw(
            st.sampled_from(['{"user": 1, "user": 2}', "null", "[]", "{}", "7", '"x"', '{"user": {"id": 1}}',
                '{"user": [1]}',
                             '{"user": NaN}', '{"user": 1e999}', '{"time": 1714521600}',
                             '{"a": ' * 300 + "1" + "}" * 300,
                             "[" * 3000, '{"user": "\\ud800"}', "", "  ", "// x"])
            | st.builds(lambda name, value: json.dumps({name: value}), st.sampled_from(NAMES) | column_names, values)
        )  # fmt: skip
        texts.insert(draw(numbers) % (len(texts) + 1), odd)
    whole = "[" + ",".join(texts) + "]" if draw(st.integers(0, 3)) == 0 else "\n".join(texts) + "\n"
    return draw(packed(whole.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"])))))


MOMENT = datetime(2024, 5, 1, 10, tzinfo=UTC)
TYPED: list[tuple[pa.DataType, Any]] = [
    (pa.string(), "a"), (pa.large_string(), "a"), (pa.string_view(), "a"), (pa.binary(), b"a"), (pa.binary(),
    b"\xff\x00"),
    (pa.binary(3), b"abc"), (pa.large_binary(), b"a"), (pa.bool_(), True), (pa.null(), None), (pa.int8(), 7),
    (pa.uint8(), 255), (pa.int32(), -7),
    (pa.int64(), 2**63 - 1), (pa.int64(), -(2**63)), (pa.uint64(), 2**64 - 1), (pa.int64(), 1_714_521_600),
    (pa.float16(), 1.5),
    (pa.float32(), 1.5), (pa.float64(), float("nan")), (pa.float64(), float("inf")), (pa.float64(), 1e300),
    (pa.float64(), 1001.0),
    (pa.float64(), 2.0**60), (pa.decimal128(38, 10), Decimal("1.5")), (pa.decimal128(38, 0), Decimal(10**37)),
    (pa.decimal256(70, 0), Decimal(10**60)), (pa.decimal128(5, -2) , Decimal(1200)), (pa.date32(), date(2024, 5, 1)),
    (pa.date64(), date(2024, 5, 1)),
    (pa.date32(), date(1, 1, 1)), (pa.date32(), date(9999, 12, 31)), (pa.time32("s"), time(10, 0)), (pa.time64("ns"),
    time(10, 0)),
    (pa.duration("us"), timedelta(hours=1)), (pa.duration("ns"), timedelta(hours=1)), (pa.month_day_nano_interval(),
    (1, 2, 3)),
    (pa.timestamp("s"), MOMENT), (pa.timestamp("ms", "Europe/Berlin"), MOMENT), (pa.timestamp("us", "UTC"), MOMENT),
    (pa.timestamp("ns", "+02:00"), MOMENT), (pa.timestamp("ns"), MOMENT), (pa.timestamp("us", "Mars/Base"),
    1_714_521_600_000_000),
    (pa.timestamp("us"), -(2**62)), (pa.timestamp("us"), 2**62), (pa.timestamp("s"), 2**40), (pa.timestamp("s"), 2**62),
    (pa.dictionary(pa.int8(), pa.string()), "a"), (pa.dictionary(pa.int32(), pa.int64()), 7),
    (pa.list_(pa.string()), ["a", "b"]), (pa.list_(pa.int64()), []), (pa.large_list(pa.string()), ["a", None]),
    (pa.list_(pa.string(), 2), ["a", "b"]), (pa.list_(pa.list_(pa.string())), [["a"]]), (pa.struct([("id",
    pa.int64())]), {"id": 1}),
    (pa.struct([]), {}), (pa.map_(pa.string(), pa.int64()), [("a", 1)]), (pa.list_(pa.struct([("id", pa.int64())])),
    [{"id": 1}]),
]  # fmt: skip
"""Types of Arrow, with a value of each."""


def _of_type(kind: pa.DataType, value: Any, length: int, gaps: int) -> pa.Array:
    filled = [None if gaps and n % gaps == 0 else value for n in range(length)]
    try:
        return pa.array(filled, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):  # not every one can be built of Python's values
        return pa.nulls(length, kind)


@st.composite
def typed_tables(draw: st.DrawFn) -> pa.Table:
    """A table in which some columns are of other types than they should be."""
    names, rows = draw(tables())
    length = len(rows)
    arrays: list[pa.Array] = [
        pa.array([line[n].encode("utf-8", "replace").decode() if n < len(line) else None for line in rows], pa.string())
        for n in range(len(names))
    ]
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 4]))):
        if not arrays:
            break
        place = draw(numbers) % len(arrays)
        kind, value = draw(st.sampled_from(TYPED))
        arrays[place] = _of_type(kind, value, length, draw(st.sampled_from([0, 0, 2, 1])))
    if draw(st.booleans()) and "time" in names:
        moments = [MOMENT + timedelta(days=n) for n in range(length)]
        unit = draw(st.sampled_from(["s", "ms", "us", "ns"]))
        arrays[names.index("time")] = pa.array(
            moments, pa.timestamp(unit, draw(st.sampled_from([None, "UTC", "Asia/Tokyo"])))
        )
    safe = [name.encode("utf-8", "replace").decode() for name in names]
    return pa.Table.from_arrays(arrays, names=safe)


def _parquet(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return bytes(sink.getvalue())


def _feather(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    feather.write_feather(table, sink, **options)
    return bytes(sink.getvalue())


@st.composite
def parquet_files(draw: st.DrawFn) -> bytes:
    """Parquet, sometimes Feather, of any types and options."""
    table = draw(typed_tables())
    is_feather = draw(st.integers(0, 4)) == 0
    options: dict[str, Any] = {}
    if is_feather:
        options = {"compression": draw(st.sampled_from(["uncompressed", "zstd", "lz4"]))}
    else:
        options = {
            "compression": draw(st.sampled_from(["none", "snappy", "gzip", "brotli", "zstd", "lz4"])),
            "version": draw(st.sampled_from(["1.0", "2.4", "2.6"])),
            "data_page_version": draw(st.sampled_from(["1.0", "2.0"])),
            "use_dictionary": draw(st.booleans()),
            "write_statistics": draw(st.booleans()),
            "store_schema": draw(st.booleans()),
            "row_group_size": draw(st.sampled_from([1, 1000])),
            "use_deprecated_int96_timestamps": draw(st.booleans()),
        }
        options["coerce_timestamps"] = (
            None if options["use_deprecated_int96_timestamps"] else draw(st.sampled_from([None, "ms"]))
        )
        options["allow_truncated_timestamps"] = True
    try:
        content = _feather(table, **options) if is_feather else _parquet(table, **options)
    except (pa.ArrowException, OSError, ValueError, TypeError):  # a type that this format does not have
        content = _parquet(table.select([n for n, f in enumerate(table.schema) if pa.types.is_string(f.type)]))
    return draw(packed(content))


SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "timeFormat": st.sampled_from(["iso", "unix-seconds", "unix-milliseconds", "unix-microseconds", "%d.%m.%Y",
    "%Y-%m-%dT%H:%M:%SZ", "%z",
                                   "%", "%Q", "", "%Y", "%H:%M", "%s", ["iso", "unix-seconds"], ["%d.%m.%Y",
                                   "%m.%d.%Y"], []]),
    "timeZone": st.sampled_from(["Europe/Berlin", "America/St_Johns", "UTC", "Etc/GMT+12", "Mars/Base",
    "Pacific/Apia", "posixrules", "localtime"]),
    "separator": st.sampled_from([",", ";", "::", "\\t", "tab", "\n", '"', "\0", " ", "a", "\\", "é", "🫖", "\r"]),
    "header": st.lists(st.sampled_from(NAMES) | column_names.filter(bool), max_size=11),
    "columns": st.dictionaries(st.sampled_from([*NAMES, "rating", "nothing"]),
                               st.sampled_from(NAMES) | column_names | st.lists(st.sampled_from(NAMES), max_size=3),
                                   max_size=3),
    "categorySeparator": st.sampled_from(["|", ">", " > ", ".", "a"]),
    "kinds": st.dictionaries(st.sampled_from(["view", "purchase", "", "cart", "1", "refund"]),
    st.sampled_from(["purchase", "view", "return"]),
                             max_size=3),
    "ratingFrom": st.sampled_from([0, 4, -5, 1e6]),
    "ratingsAs": st.sampled_from(["threshold", "weights"]),
    "priceIs": st.sampled_from(["unit", "total"]),
    "maxEventsPerUser": st.sampled_from([1, 5, 10**9]),
}  # fmt: skip

_some = st.lists(st.sampled_from(sorted(SETTINGS)), max_size=2, unique=True)
sources = st.just({}) | _some.flatmap(lambda names: st.fixed_dictionaries({name: SETTINGS[name] for name in names}))
"""What a spec may say of a table of interactions beside its uri."""
