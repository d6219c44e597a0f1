"""What programs write when somebody presses export, read as it is meant, or refused with what to do."""

import io
import json
import zipfile
from datetime import datetime
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from own_tables import log

from shoploop.data.csv_text import read_csv
from shoploop.data.decimals import read_numbers
from shoploop.data.ids import text_of
from shoploop.data.json_text import read_json
from shoploop.errors import DataUnreadable, SchemaMismatch

ROWS = [
    ("ann", "tea", "2024-05-01"),
    ("bob", "milk", "2024-05-02"),
    ("cy", "tea", "2024-05-03"),
    ("di", "jam", "2024-05-04"),
]
CSV = "user,item,time\n" + "".join(",".join(row) + "\n" for row in ROWS)
USERS = ["ann", "bob", "cy", "di"]


def of_bytes(tables, content: bytes, **source) -> pl.DataFrame:
    return tables.events(tables.bytes("events", content), **source)


def lines(row: str, head: str = "", foot: str = "") -> bytes:
    return (head + "".join(row.format(*cells, n=n) for n, cells in enumerate(ROWS, start=1)) + foot).encode()


@pytest.mark.parametrize(
    ("content", "rules"),
    [
        (lines("{n},{0},{1},{2}\n", "user,item,time\n"), {}),
        (b"# exported by a shop\n# all of May\n" + CSV.encode(), {"lines_above_the_header": 2}),
        (b"Sales of May\n\n" + CSV.encode(), {"lines_above_the_header": 1}),
        ((CSV + CSV).encode(), {"header_again": 1}),
        (lines("{0} {1}   {2}\n", "user  item  time\n"), {}),
        (CSV.replace(",", "\x01").encode(), {}),
        (CSV.replace(",", "^").encode(), {}),
        (CSV.encode("utf-32"), {}),
        (lines("| {0} | {1} | {2} |\n" * 10, "+-----+\n| user | item | time |\n+-----+\n"),
         {"lines_above_the_header": 1, "lines_with_other_columns": 1}),
    ],
    ids=["R", "comments", "a title", "joined", "aligned", "Hive", "caret", "UTF-32", "MySQL"],
)  # fmt: skip
def test_text_of_every_program_is_the_same_table(tables, content, rules):
    events = of_bytes(tables, content)
    assert sorted(set(events["user"])) == USERS
    assert sorted(set(events["item"])) == ["jam", "milk", "tea"]
    assert {name: rows for name, rows in tables.rules().items() if "line" in name or "header" in name} == rules


def test_names_that_stand_above_data_without_a_separator_are_no_title(tables):
    with pytest.raises(DataUnreadable, match="another number of columns"):
        of_bytes(tables, b"user item time\n" + b"1,2,2024-05-01\n" * 30)


def test_a_file_without_what_every_row_needs_is_named_with_what_it_has(tables):
    tables.bytes("lake/1.csv", CSV.encode())
    tables.bytes("lake/2.csv", CSV.replace("user,item", "User,item").encode())
    with pytest.raises(SchemaMismatch, match=r"2.csv has no column 'user', .*; did you mean 'User'\?"):
        tables.events(tables.folder / "lake")


def test_an_empty_file_of_an_archive_is_passed_over(tables):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("may.csv", CSV)
        file.writestr("june.csv", "")
    assert of_bytes(tables, archive.getvalue())["user"].to_list() == USERS


def test_a_nested_name_that_looks_like_a_pattern_is_a_name(tables):
    row = b'{"user": "ann", "item": "tea", "time": "2024-05-01", "^u.*$": {"^i.*$": 1, "": 2}}'
    events = tables.events(tables.bytes("e.jsonl", row + b"\n" + row), columns={"quantity": "^u.*$.^i.*$"})
    assert events.select("user", "item", "quantity").rows() == [("ann", "tea", 1.0)] * 2


def test_objects_within_a_row_are_columns_with_a_point_in_their_names(tables):
    rows = [{"user": {"id": u}, "what": {"item": {"sku": i}}, "at": {"$date": t}} for u, i, t in ROWS]
    text = "\n".join(map(json.dumps, rows))
    columns = {"user": "user.id", "item": "what.item.sku", "time": "at.$date"}
    assert of_bytes(tables, text.encode(), columns=columns)["item"].to_list() == ["tea", "milk", "tea", "jam"]
    assert of_bytes(tables, text.encode("utf-16"), columns=columns)["user"].to_list() == USERS
    with pytest.raises(SchemaMismatch, match=r"no column 'user'; did you mean 'user.id'"):
        of_bytes(tables, text.encode())


@pytest.mark.parametrize(
    ("whole", "said"),
    [
        ({"data": [{"user": u} for u, _, _ in ROWS]}, r"rows stand in 'data'.*jq -c '.data\[\]'"),
        ({"user": USERS, "item": USERS}, "column by column"),
        ({name: dict(enumerate(USERS)) for name in ("user", "item", "time")}, "orient='records'"),
    ],
    ids=["wrapped", "lists", "pandas"],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_one_object_that_holds_a_table_is_refused_with_how_to_write_rows(tables, whole, said, indent):
    with pytest.raises(DataUnreadable, match=said):
        of_bytes(tables, json.dumps(whole, indent=indent).encode())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n<!DOCTYPE HTML>\n<html><body>Please log in</body></html>", "a web page"),
        (b'<?xml version="1.0"?><rows/>', "XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12\n", "git lfs pull"),
        (b"\x93NUMPY\x01\0", "NumPy"),
    ],
)
def test_what_is_no_table_says_what_it_is(tables, content, said):
    with pytest.raises(DataUnreadable, match=said):
        of_bytes(tables, content)


def arrow(**columns) -> pa.Table:
    plain = {"user": USERS, "item": ["x", "y", "x", "z"], "time": [datetime(2024, 5, day + 1) for day in range(4)]}
    return pa.table(plain | columns)


def test_a_stream_of_arrow_is_a_table(tables):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, arrow().schema) as stream:
        stream.write_table(arrow())
    content = sink.getvalue().to_pybytes()
    assert of_bytes(tables, content)["user"].to_list() == USERS
    with pytest.raises(DataUnreadable, match="stream of Arrow"):
        of_bytes(tables, content[:40])


def test_decimals_of_256_bits_are_numbers_and_nothing_panics(tables, capfd):
    pq.write_table(arrow(price=pa.array([Decimal("2.50")] * 4, pa.decimal256(60, 2))), tables.folder / "e.parquet")
    assert tables.events(tables.folder / "e.parquet")["price"].to_list() == [2.5] * 4
    assert "panic" not in capfd.readouterr().err


def test_short_floats_beyond_what_they_can_count_are_no_ids(tables):
    users = pl.Series([2**25 + n for n in range(60)], dtype=pl.Float32)
    with pytest.raises(SchemaMismatch, match=r"floats beyond 2\*\*24"):
        tables.events(tables.parquet("events.parquet", log(60).with_columns(user=users)))
    small = pl.Series([n % 9 for n in range(60)], dtype=pl.Float32)
    assert tables.events(tables.parquet("events.parquet", log(60).with_columns(user=small)))["user"][0] == "0"


def test_bytes_that_are_no_text_stay_apart(tables):
    users = [b"\x0c" * 15 + bytes([n]) for n in (9, 10, 11, 12)]
    pq.write_table(arrow(user=pa.array(users, pa.binary(16))), tables.folder / "e.parquet")
    assert tables.events(tables.folder / "e.parquet")["user"].to_list() == [user.hex() for user in users]


@pytest.mark.parametrize("shape", ["%d-%b-%y", "%d.%m.%y"])
def test_a_year_of_two_digits_is_of_this_century(tables, shape):
    times = [datetime(2024, 5, 13 + n % 9).strftime(shape).upper() for n in range(60)]
    uri = tables.csv("events.csv", log(60, time=times).write_csv())
    with pytest.raises(SchemaMismatch, match=f"They fit '{shape}'"):
        tables.events(uri)
    assert tables.events(uri, timeFormat=shape)["time"].dt.year().unique().to_list() == [2024]
    with pytest.raises(SchemaMismatch, match="do not fit"):
        tables.events(uri, timeFormat=shape.replace("y", "Y"))


@pytest.mark.parametrize(("unit", "first"), [("excel-days", 45_413.25), ("unix-days", 19_844)])
def test_numbers_of_days_are_asked_about_and_read(tables, unit, first):
    uri = tables.csv("events.csv", log(60, time=[first + n % 9 for n in range(60)]).write_csv())
    with pytest.raises(SchemaMismatch, match=f"timeFormat: {unit}"):
        tables.events(uri)
    hour = "06:00" if unit == "excel-days" else "00:00"
    assert f"{tables.events(uri, timeFormat=unit)['time'][0]:%Y-%m-%d %H:%M}" == f"2024-05-01 {hour}"


@pytest.mark.parametrize("kind", [pl.Int64, pl.String])
def test_zero_among_unix_times_is_no_time(tables, kind):
    times = pl.Series([0 if n % 10 == 0 else 1_714_500_000 + n for n in range(60)]).cast(kind)
    assert tables.events(tables.parquet("events.parquet", log(60).with_columns(time=times))).height == 54
    assert tables.rule("time_missing")["rows"] == 6


def test_text_that_came_as_bytes_stays_text_with_a_tab_or_a_line_in_it(tables):
    titles = [b"tea", b"a\nb", b"a\tc", b"\x01 jam"]
    pq.write_table(arrow(title=pa.array(titles, pa.binary())), tables.folder / "e.parquet")
    assert text_of(pl.read_parquet(tables.folder / "e.parquet")["title"]).to_list() == [
        "tea",
        "a\nb",
        "a\tc",
        "\x01 jam",
    ]


@pytest.mark.parametrize("settings", [{}, {"timeFormat": "unix-seconds"}])
def test_a_unix_time_that_is_no_number_is_no_time(tables, settings):
    times = [float("nan") if n % 5 == 0 else 1_714_500_000.0 + n for n in range(60)]
    assert tables.events(tables.parquet("events.parquet", log(60, time=times)), **settings).height == 48


def test_a_comment_that_holds_the_names_is_no_header(tables):
    for comment in ("#fields user,item,time and others, x", "# by user,item,time of day"):
        events = of_bytes(tables, f"{comment}\n".encode() + CSV.encode())
        assert events["user"].to_list() == USERS
        assert tables.rule("lines_above_the_header")["rows"] == 1


def test_names_behind_a_sharp_stay_the_names(tables):
    timed = CSV.replace("user,", "#user,", 1).replace("-01\n", "-01T10:00\n")
    assert of_bytes(tables, timed.encode(), columns={"user": "#user"})["user"].to_list() == USERS
    assert read_csv(b"# the user,item\nann,p1\nbob,p2\n", shown="f", separator=None, header=[]).table.height == 2


def test_spaces_that_somebody_named_divide_one_by_one(tables):
    content = b"user price item time\nann  tea 2024-05-01\nbob 2 milk 2024-05-02\n"
    assert of_bytes(tables, content, separator=" ")["price"].to_list() == [None, 2.0]


def test_one_event_is_a_row(tables):
    event = {"user": {"id": 1, "mail": "x"}, "product": {"id": 2, "price": 3}, "time": "2024-05-01"}
    columns = {"user": "user.id", "item": "product.id"}
    assert of_bytes(tables, json.dumps(event).encode(), columns=columns).select("user", "item").rows() == [("1", "2")]


def test_two_objects_whose_names_would_meet_are_told_apart():
    table = read_json(b'{"a":{"b.c":1},"a.b":{"c":2}}\n{"a":{"b.c":3},"a.b":{"c":4}}', shown="f")
    assert table.columns == ["a.b.c", "a.b"]


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["$1.29", "free", "$2"], [1.29, None, 2.0]),
        (["-$5.00", "$1", "- EUR"], [-5.0, 1.0, None]),
        (["-5,00 €", "€ 2,50", "7", "NULL"], [-5.0, 2.5, 7.0, None]),
        (["1", "NULL", "free", None, "nan", "2e3"], [1.0, None, None, None, None, 2000.0]),
        (["$1", "€2", "3"], [None, None, 3.0]),
        (["1,234.50", "7", "(2.50)"], [1234.5, 7.0, -2.5]),
        (["1,29", "7.5"], [None, 7.5]),
    ],
)
def test_numbers_are_read_beside_words_and_with_a_minus_before_the_currency(words, numbers):
    read = read_numbers(pl.Series("price", words))
    assert read.numbers.to_list() == numbers
    assert read.unreadable.to_list() == [
        number is None and word not in (None, "NULL", "nan") for word, number in zip(words, numbers, strict=True)
    ]
