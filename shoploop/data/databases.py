"""Tables in a database, by a connection string: DuckDB, SQLite and Postgres.

It must not know what the columns mean.
"""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from shoploop.api.places import DATABASE_FILES
from shoploop.data.ids import EXACT, texts_of_arrow
from shoploop.errors import DataUnreadable, SpecInvalid, without_passwords

FILES = DATABASE_FILES
SERVERS = ("postgresql", "postgres")
MONEY = b"money"
"""A type of Postgres that comes as whole numbers, of cents or not, as the server's locale has it."""


def scheme_of(uri: str) -> str:
    """The database's kind, e.g. duckdb; empty where ``uri`` names files."""
    scheme = uri.partition("://")[0] if "://" in uri else ""
    return scheme if scheme in FILES + SERVERS else ""


def absolute(uri: str, base: Path) -> str:
    """A database file's relative path counted from ``base``: three slashes are relative, four absolute."""
    scheme = scheme_of(uri)
    if scheme not in FILES:
        return uri
    name = uri.removeprefix(f"{scheme}://").removeprefix("/")
    beside = base.absolute() / name
    if not name.startswith("/") and not beside.exists() and Path("/" + name).exists():
        beside = Path("/" + name)  # written with three slashes, as of file:///
    return f"{scheme}:///{beside}"


def file_of(uri: str) -> Path | None:
    """The file of DuckDB or SQLite; None for a server.

    Raises:
        DataUnreadable: there is no such file.
    """
    scheme = scheme_of(uri)
    if scheme not in FILES:
        return None
    path = Path(absolute(uri, Path.cwd()).removeprefix(f"{scheme}:///"))
    if not path.is_file():
        raise DataUnreadable(f"{uri}: there is no database file {path}. Check the path.")
    return path


def read(uri: str, *, query: str | None, table: str | None, field: str) -> pl.DataFrame:
    """The rows of ``query``, or all of ``table``.

    Raises:
        SpecInvalid: neither is named.
        DataUnreadable: the database cannot be opened, or refuses the query.
    """
    if query is None and table is None:
        raise SpecInvalid(f"{field}: {without_passwords(uri)} is a database. Name what to read of it: table, or query.")
    statement = _statement(query, table)
    try:
        match scheme_of(uri):
            case "duckdb":
                return _duckdb(uri, statement)
            case "sqlite":
                return _sqlite(uri, statement)
            case _:
                return _postgres(uri, statement)
    except (SpecInvalid, DataUnreadable):
        raise
    except Exception as error:  # every driver has its own
        text = " ".join(str(error).split()).replace(uri, without_passwords(uri))
        raise DataUnreadable(f"{without_passwords(uri)} cannot be read: {text[:400]}. Check {field}.") from error


def _statement(query: str | None, table: str | None) -> str:
    return query or "SELECT * FROM " + ".".join(f'"{part}"' for part in str(table).replace('"', "").split("."))


def digest(uri: str, *, query: str | None, table: str | None, field: str) -> str:
    """A sha256 of a database's bytes; of a server, and where a view or the query reads something outside of the database's
    file, of the rows that are read.

    Raises:
        SpecInvalid, DataUnreadable: as :func:`read`.
    """
    path = file_of(uri)
    named = query is not None or table is not None
    if path is not None and not (
        named and scheme_of(uri) == "duckdb" and _looks_outside(path, _statement(query, table))
    ):
        total = hashlib.sha256()
        for part in (path, path.with_name(path.name + ".wal"), path.with_name(path.name + "-wal")):
            if part.is_file():
                with part.open("rb") as file:
                    total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()
    rows = read(uri, query=query, table=table, field=field)
    hashes = rows.hash_rows(seed=0).sort()  # in any order: a server gives none
    return hashlib.sha256(f"{rows.schema}".encode() + hashes.to_numpy().tobytes()).hexdigest()


def _looks_outside(path: Path, statement: str) -> bool:
    """Whether DuckDB, which is asked to plan it and not to carry it out, refuses it once it may open nothing but the file."""
    import duckdb

    try:
        with duckdb.connect(str(path), read_only=True, config={"enable_external_access": "false"}) as connection:
            connection.sql(statement)
    except duckdb.Error:  # also what is wrong with it otherwise, of which reading the rows tells
        return True
    return False


def _duckdb(uri: str, statement: str) -> pl.DataFrame:
    import duckdb

    with duckdb.connect(str(file_of(uri)), read_only=True) as connection:
        return _of_arrow(connection.sql(statement).to_arrow_table())


def _sqlite(uri: str, statement: str) -> pl.DataFrame:
    import sqlite3
    from contextlib import closing

    with closing(
        sqlite3.connect(f"file:{Path(str(file_of(uri))).as_uri().removeprefix('file://')}?mode=ro", uri=True)
    ) as c:
        cursor = c.execute(statement)
        names = [name for name, *_ in cursor.description or ()]
        columns = list(zip(*cursor, strict=True)) or [()] * len(names)
    return pl.DataFrame([_of_any_types(name, values) for name, values in zip(_apart(names), columns, strict=True)])


def _of_any_types(name: str, values: Sequence[Any]) -> pl.Series:
    """A column of SQLite, each value of which has a type of its own: text where they differ, as in a CSV."""
    kinds = {type(value) for value in values} - {type(None)}
    exact = float not in kinds or all(abs(value) <= EXACT for value in values if isinstance(value, int))
    if (kinds <= {int, float} and exact) or len(kinds) < 2:
        return pl.Series(name, values, dtype=None if kinds else pl.String, strict=False)
    texts = [_text(value) for value in values]
    return pl.Series(name, texts, dtype=pl.String)


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return value.hex()
        case float() if value.is_integer():  # 12.0 in a column with texts is the id 12
            return str(int(value))
        case _:
            return str(value)


def _postgres(uri: str, statement: str) -> pl.DataFrame:
    if importlib.util.find_spec("adbc_driver_postgresql") is None:
        raise DataUnreadable(
            f"{without_passwords(uri)} needs the driver of Postgres. Install it: pip install 'shoploop[postgres]'."
        )
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
        cursor.execute(statement)
        rows = cursor.fetch_arrow_table()
        names = rows.column_names
        if MONEY in {_type_of(field) for field in rows.schema}:
            places = [f"c{place}" for place in range(len(names))]  # two columns may have one name
            asked = [
                f"{place}::numeric" if _type_of(field) == MONEY else place
                for place, field in zip(places, rows.schema, strict=True)
            ]
            inner = statement.rstrip().rstrip(";")
            cursor.execute(f"SELECT {', '.join(asked)} FROM ({inner}) AS asked({', '.join(places)})")
            rows = cursor.fetch_arrow_table().rename_columns(names)
    return _of_arrow(rows)


def _type_of(field: Any) -> bytes:
    """What Postgres calls a column's type."""
    kind: bytes = (field.metadata or {}).get(b"POSTGRESQL:type", b"")
    return kind


def _of_arrow(rows: Any) -> pl.DataFrame:
    names = _apart(rows.column_names)
    return pl.DataFrame([_column(name, rows.column(place)) for place, name in enumerate(names)])


def _apart(names: Sequence[str]) -> list[str]:
    """The names, a number behind what has come before: a join has some twice."""
    found: dict[str, None] = {}
    for name in names:
        times = 0
        while (free := f"{name}_{times}" if times else name) in found:
            times += 1
        found[free] = None
    return list(found)


def _column(name: str, values: Any) -> pl.Series:
    """A column of Arrow, whatever the server has for it: what no mapping names must not keep the others from being read."""
    import pyarrow as pa

    if isinstance(values.type, pa.UuidType):
        return pl.Series(name, texts_of_arrow(values), dtype=pl.String)
    if isinstance(values.type, pa.BaseExtensionType):  # numeric, among others, comes as text in disguise
        values = pa.chunked_array([chunk.storage for chunk in values.chunks], values.type.storage_type)
    try:
        column = pl.from_arrow(pa.table({name: values}))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):  # an interval, alone or within something
        return pl.Series(name, texts_of_arrow(values), dtype=pl.String)
    assert isinstance(column, pl.DataFrame)
    return column[name]
