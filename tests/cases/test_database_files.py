"""Tables of a database that is a file, and what its digest covers. A server's: test_databases.py."""

import sqlite3
from contextlib import closing

import duckdb
import polars as pl
import pytest
from own_tables import log

from shoploop.api.v1alpha1 import DataSpec, InteractionsSource
from shoploop.data.inputs import resolve_uris, source_digest
from shoploop.errors import DataUnreadable, SpecInvalid


def pairs(events: pl.DataFrame) -> list[tuple[str, str]]:
    return events.select("user", "item").rows()


@pytest.mark.parametrize(
    "named",
    [
        {"table": "outside"},
        {"table": "above"},
        {"query": "SELECT * FROM read_parquet('{0}/ev.parquet')"},
        {"query": "SELECT * FROM anywhere('{0}/ev.parquet')"},
        {"query": "ATTACH '{0}/other.db' AS other; SELECT * FROM other.events"},
    ],
    ids=["a view", "a view of a view", "a query", "a macro", "another database"],
)
def test_what_a_duckdb_reads_outside_of_its_file_is_part_of_the_digest(tables, named):
    def write(rows):
        log(rows).write_parquet(tables.folder / "ev.parquet")
        with duckdb.connect(str(tables.folder / "other.db")) as other:
            other.execute(f"CREATE OR REPLACE TABLE events AS SELECT * FROM '{tables.folder}/ev.parquet'")

    write(2)
    with duckdb.connect(str(tables.folder / "shop.db")) as connection:
        connection.execute(f"CREATE VIEW outside AS SELECT * FROM '{tables.folder}/ev.parquet'")
        connection.execute("CREATE VIEW above AS SELECT * FROM outside")
        connection.execute("CREATE MACRO anywhere(file) AS TABLE SELECT * FROM read_parquet(file)")
    named = {key: text.format(tables.folder) for key, text in named.items()}
    spec = DataSpec(tables={"interactions": {"uri": f"duckdb:///{tables.folder}/shop.db", **named}})
    first = source_digest(spec)
    write(2)
    assert source_digest(spec) == first
    write(5)
    assert source_digest(spec) != first


def test_no_row_of_a_duckdb_that_holds_all_it_reads_is_read_for_the_digest(tables, monkeypatch):
    with duckdb.connect(str(tables.folder / "shop.db")) as connection:
        connection.execute("CREATE TABLE events AS SELECT 'ann' AS \"user\", 'tea' AS item, DATE '2024-05-01' AS time")
        connection.execute("CREATE VIEW own AS SELECT * FROM events")
    monkeypatch.setattr("shoploop.data.databases.read", lambda *_, **__: pytest.fail("rows were read"))
    uri = f"duckdb:///{tables.folder}/shop.db"
    for named in ({"table": "events"}, {"table": "main.own"}, {"query": "SELECT * FROM own WHERE item <> ''"}):
        assert source_digest(DataSpec(tables={"interactions": {"uri": uri, **named}}))


def test_tables_of_duckdb_and_sqlite_are_read_by_a_connection_string(tables):
    with duckdb.connect(str(tables.folder / "my shop.db")) as connection:
        connection.execute("create table sales as select 'ann' who, 'tea' item, timestamp '2024-05-01' moment")
    columns = {"user": "who", "time": "moment"}
    uri = f"duckdb:///{tables.folder}/my shop.db"
    assert pairs(tables.events(uri, table="sales", columns=columns)) == [("ann", "tea")]
    query = "select who as user, item, moment as time from sales"
    assert pairs(tables.events(uri, query=query)) == [("ann", "tea")]
    with closing(sqlite3.connect(tables.folder / "shop.sqlite")) as connection:
        connection.execute("create table sales as select 'ann' as user, 'tea' as item, '2024-05-01' as time")
        connection.commit()
    assert pairs(tables.events(f"sqlite:///{tables.folder}/shop.sqlite", table="sales")) == [("ann", "tea")]
    relative = DataSpec(tables={"interactions": {"uri": "duckdb:///my shop.db", "table": "sales"}})
    assert resolve_uris(relative, tables.folder).tables.interactions.uri == f"duckdb:///{tables.folder}/my shop.db"


def test_a_database_without_a_table_or_with_a_wrong_query_is_named(tables):
    uri = f"duckdb:///{tables.folder}/shop.db"
    with pytest.raises(DataUnreadable, match="there is no database file"):
        tables.events(uri, table="sales")
    duckdb.connect(str(tables.folder / "shop.db")).close()
    with pytest.raises(SpecInvalid, match="Name what to read of it: table, or query"):
        tables.events(uri)
    with pytest.raises(DataUnreadable, match="syntax error"):
        tables.events(uri, query="selec 1")
    with pytest.raises(DataUnreadable, match=r"reads? a database"):
        tables.events(tables.bytes("e.csv", b"user,item,time\nann,tea,2024-05-01\n"), table="sales")
    with pytest.raises(ValueError, match="exactly one of query and table"):
        InteractionsSource(uri=uri, query="select 1", table="sales")


def test_a_database_server_that_cannot_be_read_is_named_without_its_password(tables):
    with pytest.raises(DataUnreadable) as caught:
        tables.events("postgresql://me:secret@127.0.0.1:1/shop", table="sales")
    assert "postgresql://me:...@127.0.0.1:1/shop" in str(caught.value)
    assert "secret" not in str(caught.value)
