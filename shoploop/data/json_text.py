"""JSON of anybody: one object a line, or one array of objects; objects within a row become columns of their own.

It must not know what columns mean.
"""

import json
import re
from typing import Any

import polars as pl

from shoploop.errors import DataUnreadable, first_line

DEEPEST = 50
"""Levels of JSON. No table has as many, and polars takes minutes over a few hundred."""

MOST_FIELDS = 100
"""Of an object that is a part of a row. One with more is keyed by ids or the like, and its fields are no columns."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = bytes(sign for sign in range(256) if sign not in b"{}[]")
_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_AS_LINES = "Write one flat object a line; in pandas to_json(orient='records', lines=True)"


def read_json(raw: bytes, *, shown: str) -> pl.DataFrame | None:
    """JSON Lines, or one array of objects; None where it is no JSON at all but begins like it.

    Args:
        raw: The file's bytes, in UTF-8.
        shown: The file, for messages.

    Raises:
        DataUnreadable: it is damaged, nested too deeply, or holds one object and not one a row.
    """
    raw = raw.removeprefix(b"\xef\xbb\xbf").strip()
    for number, line in enumerate([raw] if raw.startswith(b"[") else raw.split(b"\n"), start=1):
        if line.count(b"{") + line.count(b"[") > DEEPEST and _depth(line) > DEEPEST:
            raise DataUnreadable(
                f"{shown} cannot be read as JSON Lines: line {number} is no whole object, or is nested more than {DEEPEST} "
                "levels deep. Write one flat object a line."
            )
    try:
        read = pl.read_json if raw.startswith(b"[") else pl.read_ndjson
        table = read(raw, infer_schema_length=None)
    except _POLARS as error:
        for number, line in enumerate(raw.split(b"\n"), start=1):
            try:
                if line.strip():
                    json.loads(line)
            except (ValueError, RecursionError):
                if number == 1 and not raw.startswith((b'{"', b"{\n", b"{\r")):
                    return None
                _refuse_one_object(raw, shown)
                raise DataUnreadable(
                    f"{shown} cannot be read as JSON Lines: line {number} is no whole object. Write one object a line."
                ) from error
        raise DataUnreadable(f"{shown} cannot be read as JSON Lines: {first_line(error)}.") from error
    if table.height == 1 and any(dtype.is_nested() for dtype in table.dtypes):
        _refuse_one_object(raw, shown)
    return flattened(table)


def flattened(table: pl.DataFrame) -> pl.DataFrame:
    """Objects within a row as columns with a point in their names, ``{"user": {"id": 1}}`` as ``user.id``: as pandas'
    json_normalize names them. One with too many fields, or whose names would meet others, stays what it is."""
    for _ in range(DEEPEST):
        nested, taken = [], set(table.columns)
        for name, dtype in table.schema.items():
            if not isinstance(dtype, pl.Struct) or not 0 < len(dtype.fields) <= MOST_FIELDS:
                continue
            new = {f"{name}.{field.name}" for field in dtype.fields}
            if not new & taken:
                nested.append(name)
                taken |= new
        if not nested:
            break
        columns: list[pl.Series] = []
        for column in table:
            if column.name in nested:
                # not field by field: polars takes a name such as ^u.*$ for a pattern there
                columns += [part.alias(f"{column.name}.{part.name}") for part in column.struct.unnest()]
            else:
                columns.append(column)
        table = pl.DataFrame(columns)
    return table


def _refuse_one_object(raw: bytes, shown: str) -> None:
    """Where the file is one object that holds a table: by columns, or rows under a name."""
    try:
        whole = json.loads(raw)
    except (ValueError, RecursionError):
        return
    if not isinstance(whole, dict):
        return
    rows = [name for name, part in whole.items() if isinstance(part, list) and part and isinstance(part[0], dict)]
    if rows:
        raise DataUnreadable(
            f"{shown} is one JSON object, whose rows stand in {rows[0]!r}. Write these one object a line: "
            f"jq -c '.{rows[0]}[]'."
        )
    if len(whole) > 1 and _are_columns(list(whole.values())):
        raise DataUnreadable(
            f"{shown} is one JSON object that holds a table column by column, and rows are expected. {_AS_LINES}."
        )


def _are_columns(parts: list[Any]) -> bool:
    """Whether all are lists of one length, or objects of the same names; an event has objects of several."""
    if all(isinstance(part, list) for part in parts):
        return len(parts[0]) > 1 and len({len(part) for part in parts}) == 1
    if all(isinstance(part, dict) for part in parts):
        return len(parts[0]) > 1 and all(part.keys() == parts[0].keys() for part in parts)
    return False


def _depth(text: bytes) -> int:
    """How many brackets are open at once, those within strings aside."""
    depth = deepest = 0
    for sign in _STRINGS.sub(b"", text).translate(None, delete=_NO_BRACKETS):
        depth += 1 if sign in b"{[" else -1
        deepest = max(deepest, depth)
    return deepest
