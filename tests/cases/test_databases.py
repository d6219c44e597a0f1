"""Tables in a real Postgres, as a shop's database has them."""

from datetime import UTC, datetime

import pytest
from postgres_server import postgres

from shoploop.errors import DataUnreadable, SchemaMismatch, SpecInvalid, with_no_passwords, without_passwords

__all__ = ["postgres"]

SALES = """
CREATE TYPE action AS ENUM ('view', 'order');
CREATE TABLE sales (
    id bigserial, customer uuid, sku char(12), sold timestamptz, local timestamp, action action, pieces smallint,
    amount numeric(10, 2), paid money, wait interval, tags text[], extra jsonb, seen boolean, near point, net inet
);
INSERT INTO sales (customer, sku, sold, local, action, pieces, amount, paid, wait, tags, extra, seen, near, net) VALUES
    ('00000000-0000-0000-0000-0000000000ff', '0012', '2024-05-01 10:00+02', '2024-05-01 10:00', 'order', 3, 1234.50,
     '1234.50', '1 day 2 hours', '{a,b}', '{"a": [1]}', true, '(1,2)', '10.0.0.1'),
    (NULL, '13', '2024-05-02 00:00Z', '2024-05-02 00:00', 'view', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)
"""
COLUMNS = {"user": "customer", "item": "sku", "time": "sold", "kind": "action", "quantity": "pieces", "price": "paid"}


@pytest.fixture(scope="module")
def sales(postgres):
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(postgres) as connection, connection.cursor() as cursor:
        for statement in SALES.split(";"):
            cursor.execute(statement)
        connection.commit()
    return postgres


def read(tables, uri, *, table: str | None = None, query: str | None = None, **columns: str):
    named = {"table": table} if table else {"query": query}
    return tables.events(uri, columns=COLUMNS | columns, kinds={"order": "purchase"}, **named)


def test_a_table_is_read_whatever_types_its_other_columns_have(tables, sales):
    (row,) = read(tables, sales, table="sales").to_dicts()
    assert row["user"] == "00000000-0000-0000-0000-0000000000ff"
    assert (row["item"], row["kind"], row["quantity"]) == ("0012", "purchase", 3)
    assert row["time"] == datetime(2024, 5, 1, 8, tzinfo=UTC)
    assert tables.rules()["rows_without_user"] == 1


def test_money_is_what_was_paid_and_not_cents(tables, sales):
    prices = [read(tables, sales, table="public.sales", price=name)["price"].item() for name in ("paid", "amount")]
    assert prices == [1234.5, 1234.5]


def test_a_query_of_postgres_is_a_table(tables, sales):
    query = """select 123456789012345678 as customer, 42::numeric as sku, s.sold, s.action, 1 as pieces, s.paid, s.id, o.id
               from sales s join sales o on s.id = o.id where s.pieces > 1;"""
    (row,) = read(tables, sales, query=query).to_dicts()
    assert (row["user"], row["item"], row["price"]) == ("123456789012345678", "42", 1234.5)


def test_a_time_without_a_zone_is_of_the_shops_zone(tables, sales):
    data = {"uri": sales, "table": "sales", "columns": COLUMNS | {"time": "local"}, "timeZone": "Europe/Berlin"}
    events = tables.load(interactions=data | {"kinds": {"order": "purchase"}})["interactions"]
    assert events["time"].to_list() == [datetime(2024, 5, 1, 8, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("asked", "error", "told"),
    [
        ({"table": "sale"}, DataUnreadable, 'relation "sale" does not exist'),
        ({"query": "select nothing from sales"}, DataUnreadable, 'column "nothing" does not exist'),
        ({"query": "delete from sales returning *"}, DataUnreadable, "in a read-only transaction"),
        ({}, SpecInvalid, "Name what to read of it"),
    ],
)
def test_what_postgres_refuses_is_named(tables, sales, asked, error, told):
    with pytest.raises(error, match=told):
        tables.events(sales, columns=COLUMNS, **asked)
    assert read(tables, sales, table="sales").height == 1, "nothing was changed"


def test_duckdb_gives_a_table_whatever_types_its_other_columns_have(tables):
    import duckdb

    path = tables.folder / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE sales AS SELECT uuid '00000000-0000-0000-0000-0000000000ff' AS customer, 12::hugeint AS sku, "
            "timestamptz '2024-05-01 10:00+02' AS sold, 'order'::ENUM ('view', 'order') AS action, 3::utinyint AS pieces, "
            "1.50::decimal(38, 2) AS paid, interval 1 day AS wait, {'a': [interval 1 day]} AS extra, map {'x': 1} AS tags"
        )
    (row,) = read(tables, f"duckdb:///{path}", table="sales").to_dicts()
    assert (row["user"], row["item"], row["price"]) == ("00000000-0000-0000-0000-0000000000ff", "12", 1.5)
    assert row["time"] == datetime(2024, 5, 1, 8, tzinfo=UTC)


def test_a_column_of_sqlite_may_hold_values_of_several_types(tables):
    import sqlite3
    from contextlib import closing

    path = tables.folder / "shop.db"
    rows = [
        (1, 7, "2024-05-01"),
        ("ann", 12.0, "2024-05-02"),
        (b"bob", "x", "2024-05-03"),
        (b"\xff", 2.5, "2024-05-04"),
    ]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE sales (user, item, time, empty)")
        connection.executemany("INSERT INTO sales VALUES (?, ?, ?, NULL)", rows)
        connection.commit()
    events = tables.events(f"sqlite:///{path}", table="sales")
    assert events.select("user", "item").rows() == [("1", "7"), ("ann", "12"), ("bob", "x"), ("ff", "2.5")]


def test_a_join_of_sqlite_may_have_two_columns_of_one_name(tables):
    import sqlite3
    from contextlib import closing

    path = tables.folder / "join.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE sales AS SELECT 'ann' AS user, 'tea' AS item, '2024-05-01' AS time")
        connection.execute("CREATE TABLE items AS SELECT 'tea' AS item, 'Tea' AS title")
        connection.commit()
    query = "select * from sales s join items i on s.item = i.item"
    assert tables.events(f"sqlite:///{path}", query=query).select("user", "item").rows() == [("ann", "tea")]


def test_a_join_of_duckdb_may_have_two_columns_of_one_name(tables):
    import duckdb

    path = tables.folder / "join.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE sales AS SELECT 'ann' AS user, 'tea' AS item, date '2024-05-01' AS time")
        connection.execute("CREATE TABLE items AS SELECT 'tea' AS item, 'Tea' AS title")
    query = "select * from sales s join items i on s.item = i.item"
    events = tables.events(f"duckdb:///{path}", query=query)
    assert events.select("user", "item").rows() == [("ann", "tea")]


def test_a_large_id_beside_a_broken_number_keeps_its_digits(tables):
    import sqlite3
    from contextlib import closing

    path = tables.folder / "large.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE sales (user, item, time)")
        connection.executemany("INSERT INTO sales VALUES (?, 'tea', '2024-05-01')", [(2**53 + 1,), (1.5,)])
        connection.commit()
    assert sorted(tables.events(f"sqlite:///{path}", table="sales")["user"]) == ["1.5", "9007199254740993"]


def test_no_password_of_an_address_is_told():
    told = without_passwords(
        "postgresql://host/db?user=shop&password=secret&sslmode=require and postgres://me:other@host/db"
    )
    assert told == "postgresql://host/db?user=shop&password=...&sslmode=require and postgres://me:...@host/db"


def test_no_error_on_purpose_tells_a_password_whoever_wrote_it():
    for error in (SchemaMismatch, DataUnreadable, SpecInvalid):
        said = str(error("postgresql://shop:hunter2@db/shop has no column 'user'."))
        assert said == "postgresql://shop:...@db/shop has no column 'user'."


def test_the_record_of_a_run_has_no_password_and_its_other_settings_stay():
    section = {"uri": "postgres://shop:hunter2@db/shop", "timeZone": "UTC", "rows": 3, "names": ["a@b", None]}
    assert with_no_passwords({"spec": [section]}) == {"spec": [section | {"uri": "postgres://shop:...@db/shop"}]}
