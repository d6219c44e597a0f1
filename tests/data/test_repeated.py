"""Rows of a log that repeat another in every column are kept, and told where they are many."""

import polars as pl
from own_tables import log


def twice(rows: pl.DataFrame, first: int) -> pl.DataFrame:
    return pl.concat([rows, rows.head(first)])


def test_copies_of_more_than_a_hundredth_of_the_rows_are_told_and_kept(tables):
    rows = log(200, kind=["view"] * 100 + ["buy"] * 100)
    events = tables.events(tables.parquet("log.parquet", twice(rows, 5)))
    assert events.height == 205 and tables.rules()["repeated_rows"] == 5
    assert tables.rule("repeated_rows")["action"] == "kept"
    told = tables.told()
    assert "interactions, 5 rows kept (repeated_rows): 2.4% of all rows are exact copies of another" in told
    assert "alike in user, item, time, kind; e.g. user 'u0', item 'i0', 2024-10-04 10:00:00, 2 times" in told
    assert "leave the copies out of the file" in told


def test_a_row_that_is_there_thrice_has_two_copies(tables):
    rows = log(60)
    tables.events(tables.parquet("log.parquet", pl.concat([rows, rows.head(1), rows.head(1)])))
    assert tables.rules()["repeated_rows"] == 2 and "3 times" in tables.told()


def test_a_few_copies_are_not_told(tables):
    events = tables.events(tables.parquet("log.parquet", twice(log(200), 2)))
    assert events.height == 202 and "repeated_rows" not in tables.rules()


def test_rows_that_differ_in_any_column_that_is_read_are_no_copies(tables):
    rows = log(60)
    for name, values in {
        "quantity": (1.0, 2.0),
        "price": (1.0, 2.0),
        "basket": ("a", "b"),
        "kind": ("view", "cart"),
        "shop": ("x", None),
    }.items():
        both = pl.concat(
            [rows.with_columns(pl.lit(value, dtype=pl.Series(values).dtype).alias(name)) for value in values]
        )
        tables.events(tables.parquet("log.parquet", both))
        assert "repeated_rows" not in tables.rules(), name
