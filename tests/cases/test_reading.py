"""Files as people have them: any ending, separator, encoding, folder and path. Compressed ones: test_compressed_files.py;
databases: test_database_files.py."""

import io
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_tables import log
from pyarrow import feather

from shoploop.api.v1alpha1 import DataSpec
from shoploop.data.csv_text import read_csv
from shoploop.data.inputs import check_columns, resolve_uris, source_digest
from shoploop.data.kinds import meaning
from shoploop.data.rules import dropped_rows
from shoploop.errors import DataUnreadable, SchemaMismatch, SpecInvalid, TableEmpty

TWO = "user,item,time\nann,tea,2024-05-01\nbob,milk,2024-05-02\n"
PAIRS = [("ann", "tea"), ("bob", "milk")]
MOVIELENS = "196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t377\t1\t878887116\n"
HEADER = ["user", "item", "rating", "time"]


def pairs(events: pl.DataFrame) -> list[tuple[str, str]]:
    return events.select("user", "item").rows()


@pytest.mark.parametrize(
    "content",
    [
        TWO.encode(),
        b'{"user":"ann","item":"tea","time":"2024-05-01"}\n{"user":"bob","item":"milk","time":"2024-05-02"}',
        b'[{"user":"ann","item":"tea","time":"2024-05-01"},{"user":"bob","item":"milk","time":"2024-05-02"}]',
        b"\xef\xbb\xbf" + TWO.encode(),
        TWO.encode("utf-16"),
        TWO.encode("utf-16-be"),
        TWO.replace("\n", "\r\n").encode(),
        TWO.replace("\n", "\r").encode(),
        ("\n\n" + TWO.replace("\n", "\n\n")).encode(),
        TWO.rstrip().encode(),
        b"sep=;\n" + TWO.replace(",", ";").encode(),
        *(TWO.replace(",", separator).encode() for separator in (";", "\t", "|", "::")),
        TWO.replace("ann,", '"ann",').replace("item", ' "item"').encode(),
    ],
)
@pytest.mark.parametrize("name", ["events.csv", "u.data", "events", "export.PARQUET"])
def test_the_format_is_seen_by_the_content_whatever_the_ending(tables, content, name):
    assert pairs(tables.events(tables.bytes(name, content))) == PAIRS


def test_a_log_without_a_header_line_takes_its_names_from_the_spec(tables):
    uri = tables.bytes("u.data", MOVIELENS.encode())
    events = tables.events(uri, header=HEADER, separator="\t")
    assert events.select("user", "item", "kind").rows() == [
        ("22", "377", "rating"), ("196", "242", "purchase"), ("186", "302", "purchase"),
    ]  # fmt: skip
    assert "unix-seconds" in tables.told()
    dat = tables.bytes("ratings.dat", MOVIELENS.replace("\t", "::").encode())
    assert tables.events(dat, header=HEADER, separator="::").equals(events)
    assert tables.events(dat, header=HEADER).equals(events)


def test_names_that_look_like_values_are_told(tables):
    with pytest.raises(SchemaMismatch, match="These look like values: if the file has no header line"):
        tables.events(tables.bytes("u.data", MOVIELENS.encode()))


def test_a_header_of_another_length_is_named(tables):
    with pytest.raises(DataUnreadable, match="header names 3 columns, and most lines have 4"):
        tables.events(tables.bytes("u.data", MOVIELENS.encode()), header=["user", "item", "time"])


def test_recboles_types_need_not_be_written_into_the_spec(tables):
    uri = tables.bytes("x.inter", b"user_id:token\titem_id:token\ttimestamp:float\n1\t2\t978300760.5\n")
    columns = {"user": "user_id", "item": "item_id", "time": "timestamp"}
    (row,) = tables.events(uri, columns=columns).rows()
    assert row[:3] == ("1", "2", datetime(2000, 12, 31, 22, 12, 40, 500_000, tzinfo=UTC))


def test_titles_that_are_not_utf8_are_read_and_counted(tables):
    text = "item,title\ntea,Früchtetee\nmilk,Käse – alt\nbread,Brot\n".encode("cp1252")
    loaded = tables.load(
        interactions={"uri": tables.bytes("e.csv", TWO.encode())}, items={"uri": tables.bytes("i.csv", text)}
    )
    assert loaded["items"]["title"].to_list() == ["Brot", "Käse – alt", "Früchtetee"]
    assert tables.rule("lines_not_utf8")["rows"] == 2


@pytest.mark.parametrize(
    ("title", "read"),
    [
        ('Screen 27" wide', 'Screen 27" wide'),
        ('27" screen', '27" screen'),
        ('"27"" screen"', '27" screen'),
        ('"27 inch', '"27 inch'),
        ('"Best" of', "Best of"),
        ('"a, b"', "a, b"),
        ('"a\nb"', "a\nb"),
        ('"27\\", wide"', '27", wide'),
        ("Marker [/b] set", "Marker [/b] set"),
        ("Cable [2m] [red]", "Cable [2m] [red]"),
        ("5' 3\"", "5' 3\""),
    ],
)
def test_quotes_and_brackets_in_a_title_are_read_as_written(tables, title, read):
    items = f"item,title,price\n1,Monitor,99\n2,{title},199\n3,Cable,9\n4,Mouse,19\n"
    events = "user,item,time\n" + "".join(f"u{n % 3},{n % 4 + 1},2025-01-0{n + 1}\n" for n in range(9))
    loaded = tables.load(
        interactions={"uri": tables.bytes("e.csv", events.encode())},
        items={"uri": tables.bytes("i.csv", items.encode())},
    )["items"]
    assert loaded["title"].to_list() == ["Monitor", read, "Cable", "Mouse"]
    assert loaded["price"].to_list() == [99, 199, 9, 19]


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=8)] * 3),
        min_size=1, max_size=8,
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_what_the_csv_module_writes_is_read_back(rows):
    import csv

    stream = io.StringIO()
    csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([("one", "two", "three"), *rows])
    result = read_csv(stream.getvalue().encode(), shown="x.csv", separator=",", header=[])
    assert result.table.rows() == rows
    assert (result.ragged, result.mended, result.recoding.lines) == (0, 0, 0)


@given(st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_bytes_of_any_kind_are_a_table_or_a_named_error(content):
    from shoploop.errors import UserError

    try:
        read_csv(content, shown="x.csv", separator=None, header=[])
    except UserError as error:
        assert "x.csv" in str(error)


@pytest.mark.parametrize("separator", ["é", "🫖", "::", "§", "(", "\\", "*", "|"])
def test_any_sign_may_divide_columns(tables, separator):
    content = tables.bytes("e.csv", TWO.replace(",", separator).encode())
    assert pairs(tables.events(content, separator=separator)) == PAIRS


@pytest.mark.parametrize("separator", ['"', "\n", "\r", ';"'])
def test_a_sign_that_cannot_divide_columns_is_named(tables, separator):
    with pytest.raises(SpecInvalid, match="cannot divide columns"):
        tables.events(tables.bytes("e.csv", TWO.encode()), separator=separator)


@pytest.mark.parametrize("content", [TWO.replace("tea", "t\0ea").encode(wide) for wide in ("utf-16", "utf-32")])
def test_text_with_nul_in_it_is_no_table(tables, content):
    with pytest.raises(DataUnreadable, match="no known format"):
        tables.events(tables.bytes("e.csv", content))


def test_names_that_a_header_holds_twice_never_meet_those_they_are_given_instead(tables):
    found = read_csv(b"a,a,a.1,,Unnamed: 3\n1,2,3,4,5\n", shown="e.csv", separator=None, header=[])
    assert found.table.columns == ["a", "a.2", "a.1", "Unnamed: 3.1", "Unnamed: 3"]
    assert found.repeated == ["a"]


@pytest.mark.parametrize(
    "table",
    [
        pa.Table.from_arrays([pa.array(["a"])] * 3, names=["user", "user", "item"]),
        pa.table({"user": ["a"], "item": ["x"], "time": pa.array([0], pa.timestamp("us", "Mars/Base"))}),
    ],
    ids=["a column twice", "a zone that is none"],
)
@pytest.mark.parametrize("write", [feather.write_feather, pq.write_table], ids=["Feather", "Parquet"])
def test_what_arrow_can_write_and_nobody_can_read_is_named(tables, table, write):
    path = tables.folder / "events"
    write(table, path)
    with pytest.raises(DataUnreadable, match="cannot be read"):
        tables.events(path)


def test_a_duration_is_text_like_any_other_value(tables):
    columns = {"user": ["a"], "item": ["x"], "time": [datetime(2024, 5, 1)], "shop": pa.array([5], pa.duration("s"))}
    pq.write_table(pa.table(columns), tables.folder / "e.parquet")
    assert tables.events(tables.folder / "e.parquet")["shop"].to_list() == ["PT5S"]


def test_lines_of_another_length_are_counted_and_many_are_refused(tables):
    good = "user,item,time,kind\n" + "ann,tea,2024-05-01,view\n" * 40
    events = tables.events(tables.bytes("e.csv", (good + "bob,tea,2024-05-02\ncat,tea,2024-05-02,view,x,y\n").encode()))
    assert events.height == 41
    assert (tables.rule("lines_filled_up")["rows"], tables.rule("lines_with_other_columns")["rows"]) == (1, 1)
    assert "cat,tea,2024-05-02,view,x,y" in tables.told()
    with pytest.raises(DataUnreadable, match="20 of 60 lines have another number of columns"):
        tables.events(tables.bytes("e.csv", (good + "cat,tea,2024-05-02,view,x,y\n" * 20).encode()))


NAMES = ["my events.csv", "a#1.csv", "what?.csv", "100%.csv", "a%20b.csv", "[x].csv", "star*.csv", "it's.csv", "ünï.csv",
         "a=b.csv", "a;b,c.csv", "x [2024]/e.csv", "~tilde.csv", "-dash.csv", "br{1,2}.csv", "dollar$HOME.csv"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_path_may_have_every_character(tables, name):
    uri = tables.bytes(name, TWO.encode())
    assert pairs(tables.events(uri)) == PAIRS
    assert pairs(tables.events("file://" + quote(uri))) == PAIRS
    relative = DataSpec(tables={"interactions": {"uri": name}})
    assert resolve_uris(relative, tables.folder).tables.interactions.uri == uri


def test_a_parquet_whose_name_looks_like_a_pattern_is_that_file(tables):
    tables.parquet("e1.parquet", log(5))
    assert tables.events(tables.parquet("e[1].parquet", log(20))).height == 20


@pytest.fixture
def spark(tables):
    """A folder as Spark writes it: partitions in the path, marks of success, checksums."""
    for kind, rows in (("view", 12), ("purchase", 8), ("__HIVE_DEFAULT_PARTITION__", 4), ("add%20to%20cart", 2)):
        tables.parquet(f"events.parquet/action={kind}/part-00000.snappy.parquet", log(rows))
        tables.bytes(f"events.parquet/action={kind}/.part-00000.snappy.parquet.crc", b"crc")
    tables.bytes("events.parquet/_SUCCESS", b"")
    tables.bytes("events.parquet/_temporary/0/part-1.parquet", b"half written")
    return str(tables.folder / "events.parquet")


@pytest.mark.parametrize("pattern", ["", "/", "/*", "/**", "/**/*.parquet", "/action=*", "/action=*/*"])
def test_a_partitioned_folder_is_a_table_with_its_keys_as_columns(tables, spark, pattern):
    events = tables.events(spark + pattern, columns={"kind": "action"})
    assert dict(events["kind"].value_counts().iter_rows()) == {"view": 12, "purchase": 8, "unknown": 4, "cart": 2}


def test_one_partition_keeps_its_key(tables, spark):
    assert tables.events(spark + "/action=view", columns={"kind": "action"})["kind"].to_list() == ["view"] * 12


def test_a_folder_of_text_reads_at_any_depth_and_passes_over_what_is_hidden(tables):
    tables.bytes("lake/part-0.csv", TWO.encode())
    tables.bytes("lake/2024/part-1.csv", TWO.replace("ann", "cat").encode())
    tables.bytes("lake/empty.csv", b"")
    tables.bytes("lake/.DS_Store", b"\0\1")
    tables.bytes("lake/README.md", b"no table")
    assert sorted(pairs(tables.events(tables.folder / "lake"))) == [*PAIRS[:1], *PAIRS[1:] * 2, ("cat", "tea")]


@pytest.mark.parametrize("ticks", [2**62, -(2**62), 10**18, 2**40])
def test_a_time_that_no_calendar_has_is_named_by_its_number(tables, ticks):
    moments = pa.array([ticks] * 40, pa.timestamp("us" if ticks != 2**40 else "s"))
    table = log(40).to_arrow(compat_level=pl.CompatLevel.oldest())
    for column, said in (("time", "where times are expected"), ("price", "where numbers are expected")):
        changed = table.drop_columns([column]) if column in table.column_names else table
        path = tables.folder / f"{column}.parquet"
        pq.write_table(changed.append_column(column, moments), path)
        with pytest.raises((SchemaMismatch, TableEmpty), match=said):
            tables.load(interactions={"uri": str(path)})


def test_a_feather_file_whose_offsets_point_out_of_it_is_named(tables):
    """Polars follows such an offset, and the process ends with a segmentation fault."""
    sink = io.BytesIO()
    feather.write_feather(
        log(40).select("user", "item", "time").to_arrow(compat_level=pl.CompatLevel.oldest()), sink, "uncompressed"
    )
    good, bad = (np.array([0, 2, second], "<i8").tobytes() for second in (4, 1 << 40))
    assert good in sink.getvalue()
    uri = tables.bytes("events.feather", sink.getvalue().replace(good, bad))
    with pytest.raises(DataUnreadable, match=r"out of bounds.*undamaged"):
        tables.load(interactions={"uri": uri})


def test_a_file_whose_name_is_no_text_is_read_and_counts_in_the_digest(tables):
    folder = tables.folder / "log"
    folder.mkdir()
    spec = DataSpec.model_validate({"tables": {"interactions": {"uri": str(folder)}}})
    seen = []
    for name in (b"caf\xe9.csv", b"caf\xe8.csv"):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(b"user,item,time\nann,tea,2024-05-01\n")
        seen.append(source_digest(spec))
    assert len(set(seen)) == 2
    assert tables.load(interactions={"uri": str(folder)})["interactions"]["user"].to_list() == ["ann"] * 2


def test_a_key_of_a_partition_that_is_no_text_is_named(tables):
    folder = os.path.join(os.fsencode(tables.folder / "log"), b"shop=caf\xe9")
    os.makedirs(folder)
    with open(os.path.join(folder, b"a.csv"), "wb") as file:
        file.write(b"user,item,time\nann,tea,2024-05-01\n")
    with pytest.raises(DataUnreadable, match=r"folder 'shop=caf\\udce9' is a column.*Rename the folder"):
        tables.load(interactions={"uri": str(tables.folder / "log")})


def test_the_digest_follows_what_a_folder_holds(tables):
    spec = DataSpec(tables={"interactions": {"uri": str(tables.folder / "lake")}})
    tables.bytes("lake/1.csv", TWO.encode())
    first = source_digest(spec)
    tables.bytes("lake/_SUCCESS", b"")
    assert source_digest(spec) == first
    tables.bytes("lake/2.csv", TWO.encode())
    assert source_digest(spec) != first


TIMES = pa.array([datetime(2024, 5, 1), datetime(2024, 5, 2)], pa.timestamp("ns"))


@pytest.mark.parametrize(
    ("columns", "options", "users"),
    [
        ({"user": pa.array([1, 2], pa.uint64()), "time": TIMES}, {"use_deprecated_int96_timestamps": True}, ["1", "2"]),
        ({"user": pa.array([Decimal("1001.00"), Decimal("7.00")], pa.decimal128(38, 2)), "time": TIMES}, {}, ["1001", "7"]),
        ({"user": pa.array([b"ann", b"bob"]), "time": TIMES}, {"compression": "brotli"}, ["ann", "bob"]),
        ({"user": pa.array([b"\0" * 15 + b"\xff"] * 2, pa.binary(16)), "time": TIMES}, {}, ["0" * 30 + "ff"] * 2),
        ({"user": pa.array([b"\0" * 15 + b"\xff"] * 2, pa.uuid()), "time": TIMES}, {},
         ["00000000-0000-0000-0000-0000000000ff"] * 2),
        ({"user": pa.array(["a", "b"]).dictionary_encode(), "time": TIMES}, {"compression": "lz4"}, ["a", "b"]),
        ({"user": pa.array([7.0, 8.0]), "time": pa.array([date(2024, 5, 1), date(2024, 5, 2)])}, {}, ["7", "8"]),
        ({"user": pa.array(["a", "b"], pa.large_string()), "time": TIMES.cast(pa.timestamp("ms", "Europe/Berlin"))},
         {"compression": "zstd", "version": "1.0"}, ["a", "b"]),
    ],
    ids=["spark-int96", "oracle-decimal", "impala-bytes", "16-bytes", "uuid", "pandas-category", "floats-and-dates", "zoned"],
)  # fmt: skip
def test_parquet_of_every_writer_is_read(tables, columns, options, users):
    path = tables.folder / "events.parquet"
    pq.write_table(pa.table(columns | {"item": pa.array(["x", "y"])}), path, **options)
    events = tables.events(path)
    assert events["user"].to_list() == users
    assert events["time"].dt.date().to_list() in ([date(2024, 5, 1), date(2024, 5, 2)],)


def test_an_id_that_is_of_another_type_in_another_file_stays_exact(tables):
    tables.parquet("e1.parquet", log(2, user=[123456789012345678, 2]))
    tables.parquet("e2.parquet", log(2, user=[7.0, None]))
    tables.parquet("e3.parquet", log(1, user=["ann"]))
    users = tables.events(tables.folder / "e*.parquet")["user"]
    assert sorted(users) == ["123456789012345678", "2", "7", "ann"]


def test_json_lines_may_mix_types_and_lack_fields(tables):
    lines = b'{"user": 1, "item": "a", "time": 1714521600}\n\n{"user": "x", "item": 7, "time": 1714521600.5, "kind": "view"}'
    events = tables.events(tables.bytes("e.jsonl", lines))
    assert events.select("user", "item", "kind").rows() == [("1", "a", "unknown"), ("x", "7", "view")]
    with pytest.raises(DataUnreadable, match="line 2 is no whole object"):
        tables.events(tables.bytes("e.jsonl", b'{"user": 1}\n{"user": 2'))
    with pytest.raises(DataUnreadable, match="line 2 is no whole object"):
        tables.events(tables.bytes("e.jsonl", b'{"user": 1}\n' + b"[" * 3000))
    deep = b'{"user": 1, "x": ' + b'{"a": ' * 300 + b"1" + b"}" * 301
    for whole in (b'{"user": 1}\n' + deep, b"[" + deep + b"]"):
        with pytest.raises(DataUnreadable, match="nested more than 50 levels"):
            tables.events(tables.bytes("e.jsonl", whole))


def test_brackets_in_the_words_of_a_shop_are_no_levels(tables):
    line = b'{"user": 1, "item": "a", "time": "2024-05-01", "title": "%s"}' % (b"[{" * 100)
    assert tables.events(tables.bytes("e.jsonl", line)).height == 1


@pytest.mark.parametrize("separator", ["(", "[", "*", "\\"])
def test_quotes_around_lines_are_read_whatever_divides_columns(tables, separator):
    content = TWO.replace(",", separator).replace("tea", '"hot\ntea"')
    assert tables.events(tables.bytes("e.csv", content.encode()), separator=separator)["item"].to_list() == [
        "hot\ntea",
        "milk",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"SQLite format 3\0...", "sqlite:///"),
        (b"\x80\x04\x95\0\0", "pickle"),
        (b"\0\1\2\3" * 50, "no known format"),
    ],
)
def test_what_is_no_table_is_named_with_what_to_do(tables, content, said):
    with pytest.raises(DataUnreadable, match=said):
        tables.events(tables.bytes("events.csv", content))


def test_columns_are_checked_without_a_run_where_the_tables_are_here(tables):
    def spec(**columns):
        return DataSpec(tables={"interactions": {"uri": uri, "columns": columns}})

    uri = tables.bytes("events.csv", TWO.encode())
    assert check_columns(spec(user="user")) == []
    with pytest.raises(SchemaMismatch, match="did you mean 'user'"):
        check_columns(spec(user="usr"))
    uri = "s3://lake/events.parquet"
    assert "not on this machine" in check_columns(spec())[0]


def test_a_category_splits_only_by_what_the_spec_says(tables):
    events = {"uri": tables.bytes("e.csv", TWO.encode())}
    uri = tables.csv("i.csv", "item,category\ntea,Hot|Green > Sencha\nmilk,Dairy")
    assert tables.load(interactions=events, items={"uri": uri})["items"]["category"].to_list() == [
        ["Dairy"], ["Hot|Green > Sencha"],
    ]  # fmt: skip
    split = tables.load(interactions=events, items={"uri": uri, "categorySeparator": "|"})["items"]
    assert split["category"].to_list() == [["Dairy"], ["Hot", "Green > Sencha"]]


def test_columns_of_users_that_are_called_as_those_of_items_stay_their_own(tables):
    users = {"uri": tables.csv("u.csv", "user,title,category\nann,Dr,gold\nbob,,")}
    loaded = tables.load(interactions={"uri": tables.bytes("e.csv", TWO.encode())}, users=users)["users"]
    assert loaded.select("title", "category").rows() == [("Dr", "gold"), (None, None)]


def test_a_shops_own_column_called_listed_stays_its_own(tables):
    items = {"uri": tables.csv("i.csv", "item,listed\ntea,2020-01-01\nmilk,2020-01-02")}
    loaded = tables.load(interactions={"uri": tables.bytes("e.csv", TWO.encode())}, items=items)["items"]
    assert loaded["listed"].to_list() == ["2020-01-02", "2020-01-01"]


def test_a_named_encoding_reads_what_nobody_could_guess(tables):
    """Polish in its own encoding is as good as Windows-1252 to whoever counts signs."""
    raw = "item,title\ntea,Łódzka herbata\nsoup,Żurek\n".encode("cp1250")
    events = tables.csv("events.csv", "user,item,time\nann,tea,2024-05-01\nbob,soup,2024-05-02")
    items = {"uri": tables.bytes("items.csv", raw), "encoding": "cp1250"}
    loaded = tables.load(interactions={"uri": events}, items=items)["items"]
    assert loaded.select("item", "title").rows() == [("soup", "Żurek"), ("tea", "Łódzka herbata")]


def test_what_lines_were_read_as_is_told(tables):
    names = "Молоко Хлеб Сыр Масло Яблоко Чай Колбаса Огурец".split()
    raw = ("user,item,time\n" + "".join(f"ann,{name},2024-05-01\n" for name in names)).encode("cp1251")
    loaded = tables.load(interactions={"uri": tables.bytes("events.csv", raw)})["interactions"]
    assert set(loaded["item"]) == set(names)
    assert "read as Windows-1251" in tables.rule("lines_not_utf8")["why"]


def test_dates_with_the_words_of_east_asia_are_read(tables):
    text = "user,item,time\nann,tea,2025年1月5日\nbob,tea,2025年12月24日 9時30分\ncid,tea,2025년 2월 3일\n"
    times = tables.events(tables.bytes("e.csv", text.encode()))["time"].to_list()
    assert times == [
        datetime(2025, 1, 5, tzinfo=UTC), datetime(2025, 2, 3, tzinfo=UTC), datetime(2025, 12, 24, 9, 30, tzinfo=UTC)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("Order Completed", "purchase"), ("order_placed", "purchase"), ("productViewed", "view"), ("view_item", "view"),
        ("Product Added", "cart"), ("add-to-cart", "cart"), ("Products Searched", "query"), ("remove_from_cart", None),
    ],
)  # fmt: skip
def test_the_words_of_the_common_trackers_are_known_however_they_are_spelt(word, kind):
    assert meaning(word) == kind


def test_a_view_of_no_item_is_left_out_and_held_against_nobody(tables):
    text = "user,item,time,kind\nann,tea,2025-01-05,order placed\nann,,2025-01-05,page view\nann,,2025-01-06,purchase\n"
    tables.events(tables.bytes("e.csv", text.encode()))
    assert tables.rules() | {"rows_of_no_item": 1, "incomplete_rows": 1} == tables.rules()
    assert dropped_rows(tables.report["rules"])["interactions"] == 1
