"""CSV of anybody: its encoding, its separator, its quotes, and what becomes of lines that do not fit.

Every column is read as text: the canonical column decides what it means, so that an id such as ``007`` stays what it is.
"""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field

import polars as pl

from shoploop.data.encodings import Recoding
from shoploop.errors import DataUnreadable, SpecInvalid, TableEmpty

SEPARATORS = ("::", ",", ";", "\t", "|", "\x01", "^", "~")
"""The first of equals is taken; \\x01 is Hive's. Spaces divide where none of these does."""

RAGGED_SHARE = 0.05
"""Above this share of lines with too many or too few columns the file is not what it is taken for."""

SAMPLE_LINES = 100
SAMPLE_SIGNS = 100_000
MOST_ABOVE = 20
"""Lines above the header that are no part of the table: a title, comments, a border."""

WIDE = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
"""Marks of encodings of two and of four bytes a sign."""

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_ALIGNED = "\0 "
"""Stands for any number of spaces, where nobody named the separator; nobody can name this one."""

_STAND_IN = "\x1f"
"""ASCII's own sign for what divides columns; stands in for separators of several signs."""


@dataclass(kw_only=True)
class Csv:
    """A CSV as a table of text, and what had to be done to read it."""

    table: pl.DataFrame
    recoding: Recoding = field(default_factory=Recoding)
    """Lines that are not UTF-8, and what they were read as."""

    mended: int = 0
    """Lines with fewer columns than the header, filled up with nothing, or with empty ones too many."""

    ragged: int = 0
    """Lines with more columns than the header; left out."""

    example: str = ""
    """The first of these."""

    above: list[str] = field(default_factory=list)
    """Lines above the header that are no part of the table; left out."""

    headers: int = 0
    """Lines that are the header again, as where files were put together; left out."""

    repeated: list[str] = field(default_factory=list)
    """Names that the header holds twice."""

    names: list[str] = field(default_factory=list)
    """The header as it stands in the file, where a name may be empty or stand twice."""


def read_csv(raw: bytes, *, shown: str, separator: str | None, header: list[str]) -> Csv:
    """Reads CSV of any encoding and separator.

    Args:
        raw: The file's bytes, uncompressed.
        shown: The file, for messages.
        separator: What divides the columns; None for what divides the first lines most evenly.
        header: The columns' names, where the file has no header line.

    Raises:
        TableEmpty: it holds nothing.
        DataUnreadable: it is no text, or too many lines do not fit the header.
        SpecInvalid: the separator cannot divide columns.
    """
    recoding = Recoding()
    text = decoded(raw, recoding, shown=shown)
    text, above = (text, []) if header else without_above(text, separator)
    text, sign, _ = divided(text, shown=shown, separator=separator, header=header)
    result = _parsed(text, sign, header, shown)
    result.recoding, result.above = recoding, above
    return result


def without_above(text: str, separator: str | None) -> tuple[str, list[str]]:
    """The text from its header on, and the lines above it: comments or lines that nothing divides, where what follows is
    divided evenly and begins with names."""
    lines = [line for line in _sample(text) if line.strip()]
    best: tuple[float, int, str] = (0.0, 0, "")
    place = 0
    for candidate in [_spelt(separator) or ","] if separator else SEPARATORS:
        widths = _widths_of(lines, candidate)
        width = Counter(widths).most_common(1)[0][0] if widths else 1
        if width < 2:
            continue
        first = _place_of_header(lines, widths, width, candidate)
        if first == 0:
            return text, []
        apart = all(n == 1 or line.startswith("#") for n, line in zip(widths[:first], lines, strict=False))
        share = widths[first:].count(width) / len(widths[first:])
        if apart and first <= MOST_ABOVE and share >= 1 - RAGGED_SHARE and (share, width) > best[:2]:
            best, place = (share, width, candidate), first
    if not best[2]:
        return text, []
    if any(re.fullmatch(r"[\d.,:/+\-]+", cell.strip()) for cell in lines[place].split(best[2])):
        return text, []  # the line above may be its names, divided otherwise
    return _from_line(text, place), lines[:place]


def _place_of_header(lines: list[str], widths: list[int], width: int, separator: str) -> int:
    """The first line as wide as most; one that begins with # is passed over where it holds words and the next such line
    can be no data, since no figure is in it."""
    first = widths.index(width)
    if not lines[first].startswith("#"):
        return first
    below = (n for n, line in enumerate(lines) if widths[n] == width and not line.startswith("#"))
    names = next(below, first)
    words = any(re.search(r"\S\s+\S", cell.strip("# ")) for cell in lines[first].split(separator))
    return names if words and not re.search(r"\d", lines[names]) else first


def _from_line(text: str, place: int) -> str:
    """From the line on that so many lines that are not blank stand above."""
    start = 0
    for line in text[:SAMPLE_SIGNS].splitlines(keepends=True):
        if line.strip():
            if place == 0:
                break
            place -= 1
        start += len(line)
    return text[start:]


def divided(text: str, *, shown: str, separator: str | None, header: list[str]) -> tuple[str, str, str]:
    """The text with one sign of ASCII between its columns, that sign, and the separator that it stands for.

    Raises:
        TableEmpty, DataUnreadable, SpecInvalid: as :func:`read_csv`.
    """
    if not text.strip():
        raise TableEmpty(f"{shown} is an empty file. Point uri at a file with data.")
    if separator is None and text[:4].lower() == "sep=":  # Excel's own first line
        first, _, text = text.partition("\n")
        separator = first.strip()[4:] or None
    named = _spelt(separator)
    separator = named or separator_of(text)
    if not named and separator == " ":
        separator = _ALIGNED
    elif set(separator) & set('"\r\n\0'):
        raise SpecInvalid(
            f"{shown}: {separator!r} cannot divide columns: quotes and ends of lines have a meaning of their own."
        )
    text, sign = stood_in(text, separator)
    if header:
        found = max(Counter(_widths(text, sign)).items(), key=lambda item: (item[1], item[0]))[0]
        if found != len(header):
            raise DataUnreadable(
                f"{shown}: header names {len(header)} columns, and most lines have {found}. Name every column of the "
                "file, in order; set separator where the columns are divided by another sign."
            )
    return text, sign, separator


def stood_in(text: str, separator: str) -> tuple[str, str]:
    """The text with one sign of ASCII, which is all that Arrow takes, in the place of another separator; and the sign."""
    if separator == _ALIGNED:  # as many as stand there, also around the line: columns are put below each other
        return re.sub(" +", _STAND_IN, re.sub(r"(?m)^ +| +(?=\r?$)", "", text)), _STAND_IN
    if len(separator) == 1 and separator.isascii():
        return text, separator
    return text.replace(separator, _STAND_IN), _STAND_IN


def decoded(raw: bytes, recoding: Recoding, *, shown: str) -> str:
    """Text of bytes.

    Args:
        raw: A file, or its first lines.
        recoding: Of the file.
        shown: The file, for messages.

    Raises:
        DataUnreadable: it is no text.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark) and (encoding == "utf-8" or b"\0" in raw[:400]):
            raw = raw[len(mark) :]
            if encoding != "utf-8":
                return _strict(raw, encoding, shown)
            break
    else:
        if b"\0" in raw[:4000]:
            sample = raw[:4000]
            wide = "utf-16-le" if sample[1::2].count(0) > len(sample) // 3 else "utf-16-be"
            if max(sample[0::2].count(0), sample[1::2].count(0)) <= len(sample) // 3:
                raise DataUnreadable(_no_text(shown))
            return _strict(raw, wide, shown)
    strange = sum(raw[:4000].count(bytes([sign])) for sign in range(32) if sign not in (1, 9, 10, 12, 13, 31))
    if strange * 50 > len(raw[:4000]) or b"\0" in raw:
        raise DataUnreadable(_no_text(shown))
    return recoding.text(raw)


def separator_of(text: str) -> str:
    """What divides the first lines most evenly; spaces where nothing else does and they do, else a comma."""
    best, sign = (0.0, 0), ","
    for candidate in SEPARATORS:
        widths = _widths(text, candidate)
        width, lines = Counter(widths).most_common(1)[0]
        if width < 2 or widths[0] < 2:
            continue
        score = (round(lines / len(widths), 1), width)
        if score > best:
            best, sign = score, candidate
            if candidate == "::" and score[0] == 1:
                break
    words = {len(line.split()) for line in _sample(text) if line.strip()} if best == (0.0, 0) else {1}
    return " " if len(words) == 1 and min(words) >= 3 else sign


def _sample(text: str) -> list[str]:
    lines = text[:SAMPLE_SIGNS].splitlines()[: SAMPLE_LINES + 1]
    return lines[:-1] if len(lines) > SAMPLE_LINES else lines


def _widths(text: str, separator: str) -> list[int]:
    """Columns of each of the first lines, quotes respected where the separator is one sign."""
    return _widths_of([line for line in _sample(text) if line.strip()], separator)


def _widths_of(lines: list[str], separator: str) -> list[int]:
    if len(separator) > 1:
        return [line.count(separator) + 1 for line in lines] or [1]
    widths = []
    for line in lines:
        try:
            widths.append(len(next(csv.reader([line], delimiter=separator))))
        except (csv.Error, StopIteration):
            widths.append(line.count(separator) + 1)
    return widths or [1]


def _parsed(text: str, separator: str, header: list[str], shown: str) -> Csv:
    """By Arrow, as the csv module and pandas read quotes; a stray quote that would swallow lines is taken as written."""
    attempts: list[tuple[int, int, Csv]] = []
    for quoting in ("quotes", "escapes", "none"):
        result = by_arrow(text, separator, header, shown, quoting)
        if result is None:
            continue
        crossing = pl.col("text").str.contains("\n.*" + re.escape(separator)).fill_null(False).sum()
        columns = result.table.get_columns() if '"' in text else []
        swallowed = sum(int(column.alias("text").to_frame().select(crossing).item()) for column in columns)
        attempts.append((result.ragged + result.mended + swallowed, len(attempts), result))
        if attempts[-1][0] == 0:
            break
        if '"' not in text:
            break
    if not attempts:
        raise DataUnreadable(f"{shown} cannot be read as CSV. Check separator and quotes.")
    result = min(attempts, key=lambda attempt: attempt[:2])[2]
    refuse_ragged(result, shown)
    return result


def refuse_ragged(result: Csv, shown: str) -> None:
    """Refuses a file of which too many lines have too many columns.

    Raises:
        DataUnreadable: it is one.
    """
    lines = result.table.height + result.ragged
    if result.ragged > max(1, RAGGED_SHARE * lines):
        raise DataUnreadable(
            f"{shown}: {result.ragged:,} of {lines:,} lines have another number of columns than the first, e.g. "
            f"{result.example!r}. Set separator, or header where the first line holds no names."
        )


def by_arrow(text: str, separator: str, header: list[str], shown: str, quoting: str) -> Csv | None:
    """The text as Arrow reads it with quotes, escaped ones or none; None where it cannot. Mended lines come last."""
    import pyarrow as pa
    import pyarrow.csv as pc

    names, rest = (header, text) if header else _names(text, separator, quoting)
    unique, repeated = _unique(names)
    odd: list[str] = []

    def keep(row: "pc.InvalidRow") -> str:
        odd.append(row.text)
        return "skip"

    options = {
        "read_options": pc.ReadOptions(column_names=unique, block_size=max(1 << 20, min(1 << 30, len(rest) // 8))),
        "parse_options": pc.ParseOptions(
            delimiter=separator,
            quote_char=False if quoting == "none" else '"',
            escape_char="\\" if quoting == "escapes" else False,
            newlines_in_values=quoting != "none",
            invalid_row_handler=keep,
        ),
        "convert_options": pc.ConvertOptions(
            column_types={name: pa.large_string() for name in unique}, strings_can_be_null=True, null_values=[""]
        ),
    }
    if not rest.strip("\r\n"):
        empty = pl.DataFrame({name: [] for name in unique}, schema=dict.fromkeys(unique, pl.String))
        return Csv(table=empty, names=names)
    try:
        table = pl.from_arrow(pc.read_csv(io.BytesIO(rest.encode()), **options))
    except pa.ArrowInvalid as error:
        if quoting != "none":
            return None
        raise DataUnreadable(f"{shown} cannot be read as CSV: {str(error).splitlines()[0]}") from error
    assert isinstance(table, pl.DataFrame)
    if quoting == "none":
        table = table.with_columns(
            pl.when(pl.all().str.contains(r'^".*"$')).then(pl.all().str.slice(1).str.head(-1).str.replace_all('""', '"'))
            .otherwise(pl.all()).name.keep()
        )  # fmt: skip
    headers = _headers_again(table, names)
    if headers is not None:
        table = table.filter(~headers)
    result = Csv(table=table, repeated=repeated, names=names, headers=0 if headers is None else int(headers.sum()))
    mended = []
    for line in odd:
        if not line.strip(" "):
            continue  # blank to whoever looks at it
        cells = _cells(line, separator, quoting)
        while len(cells) > len(unique) and not cells[-1].strip():
            cells.pop()
        if len(cells) > len(unique) or len(cells) < 2 <= len(unique):
            result.ragged += 1
            result.example = result.example or line[:200].replace(_STAND_IN, "::")
        else:
            mended.append(cells + [""] * (len(unique) - len(cells)))
    if mended:
        more = pl.DataFrame(mended, schema=dict.fromkeys(unique, pl.String), orient="row")
        result.table = pl.concat([table, more.with_columns(pl.all().replace("", None))])
        result.mended = len(mended)
    return result


def _headers_again(table: pl.DataFrame, names: list[str]) -> pl.Series | None:
    """Which rows hold the names of the columns; None where none does, as nearly always."""
    found: pl.Series | None = None
    for column, name in zip(table.get_columns(), names, strict=True):
        if not name:
            continue
        same = (column == name).fill_null(False)
        found = same if found is None else found & same
        if not found.any():
            return None
    return found


def _cells(line: str, separator: str, quoting: str) -> list[str]:
    if quoting == "none":
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, escapechar="\\" if quoting == "escapes" else None), [])
    except csv.Error:
        return line.split(separator)


def _names(text: str, separator: str, quoting: str) -> tuple[list[str], str]:
    """The header's names, and the text below it. The header is the first line that is not empty."""
    stripped = text.lstrip("\r\n")
    stream = io.StringIO(stripped[: 1 << 20], newline="")
    reader = csv.reader(stream, delimiter=separator, quoting=csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL)
    if "\n" not in stripped and "\r" in stripped:
        line, _, rest = stripped.partition("\r")
        return [name.strip() for name in _cells(line, separator, quoting)], rest
    try:
        names = next(reader)
    except (csv.Error, StopIteration):
        line, _, rest = stripped.partition("\n")
        return [name.strip() for name in line.split(separator)], rest
    names, rest = [name.strip().strip('"') for name in names], stripped[stream.tell() :]
    return (["", *names] if _numbers_its_rows(rest, separator, len(names)) else names), rest


def _numbers_its_rows(rest: str, separator: str, width: int) -> bool:
    """Whether each line begins with its number, of which the header says nothing: as R writes tables."""
    rows = [_cells(line, separator, "quotes") for line in rest[: 1 << 16].splitlines()[:SAMPLE_LINES] if line.strip()][
        :-1
    ]
    if len(rows) < 2 or width < 2 or any(len(row) != width + 1 for row in rows):
        return False
    first = rows[0][0].strip()
    return first in ("0", "1") and all(row[0].strip() == str(n) for n, row in enumerate(rows, start=int(first)))


def _unique(names: list[str]) -> tuple[list[str], list[str]]:
    """Names that are all different, as pandas makes them, and those that were not."""
    counts = Counter(names)
    unique: dict[str, None] = {}
    for place, name in enumerate(names):
        base = new = name or f"Unnamed: {place}"
        number = 0
        while new in unique or (new in counts and new != name):
            number += 1
            new = f"{base}.{number}"
        unique[new] = None
    return list(unique), [name for name, count in counts.items() if name and count > 1]


def _spelt(separator: str | None) -> str | None:
    return {"\\t": "\t", "tab": "\t"}.get(separator, separator) if separator else None


def _strict(raw: bytes, encoding: str, shown: str) -> str:
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataUnreadable(f"{shown} begins as {encoding} and is damaged at byte {error.start:,}.") from error
    if "\0" in text:  # UTF-32, or no text
        raise DataUnreadable(_no_text(shown))
    return text


def _no_text(shown: str) -> str:
    return (
        f"{shown} is of no known format. Known are CSV, JSON Lines, Parquet and Feather by their content, also "
        "compressed by gzip, zstd, bzip2, xz or zip."
    )
