from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploop import schemas
from shoploop.api.v1alpha1 import DataSpec
from shoploop.data import load_data, resolve_uris, source_digest
from shoploop.data.times import parse
from shoploop.schemas import LISTED

EVENTS = """
    user,item,time
    ann,tea,2024-05-02T09:00:00
    bob,milk,2024-05-01T10:30:00
"""


def test_a_log_of_user_item_and_time_is_enough(tables):
    loaded = tables.load(interactions={"uri": tables.csv("events.csv", EVENTS)})
    assert loaded["interactions"].rows() == [
        ("bob", "milk", datetime(2024, 5, 1, 10, 30, tzinfo=UTC), "purchase", 1.0, None, None, None),
        ("ann", "tea", datetime(2024, 5, 2, 9, 0, tzinfo=UTC), "purchase", 1.0, None, None, None),
    ]
    assert loaded["items"]["title"].to_list() == ["Item milk", "Item tea"]
    assert loaded["users"]["user"].to_list() == ["ann", "bob"]
    assert loaded["shops"].height == 0


def test_every_table_has_the_canonical_columns_and_types(tables):
    loaded = tables.load(interactions={"uri": tables.csv("events.csv", EVENTS)})
    for name, table in schemas.TABLES.items():
        written = loaded[name].to_arrow().schema
        for field in table.schema:
            assert pl.DataFrame(table.schema.empty_table()).schema[field.name] == loaded[name].schema[field.name]
        assert written.names[: len(table.schema)] == table.schema.names


@pytest.mark.parametrize("price_is", ["unit", "total"])
def test_money_that_went_back_is_a_return_whatever_a_price_is_of(tables, price_is):
    uri = tables.csv("log.csv", "user,item,time,quantity,price\nann,tea,2024-05-01,2,3\nann,cup,2024-05-02,2,-3")
    bought, back = tables.load(interactions={"uri": uri, "priceIs": price_is})["interactions"].to_dicts()
    assert (bought["kind"], back["kind"]) == ("purchase", "return")
    assert bought["price"] == back["price"] == (6.0 if price_is == "unit" else 3.0)


def test_columns_are_found_by_their_mapping(tables):
    uri = tables.csv("log.csv", "who;what;at;action;n\n 7;0042;2024-05-01;order;3")
    columns = {"user": "who", "item": "what", "time": "at", "kind": "action", "quantity": "n"}
    (row,) = tables.load(interactions={"uri": uri, "columns": columns})["interactions"].rows()
    assert row[:5] == ("7", "0042", datetime(2024, 5, 1, tzinfo=UTC), "purchase", 3.0)


def test_whole_numbers_of_a_parquet_file_are_ids_without_a_point(tables):
    frame = pl.DataFrame({"user": [7.0, None, 8.0], "item": [1, 2, 3], "time": [datetime(2024, 5, 1)] * 3})
    frame.write_parquet(tables.folder / "events.parquet")
    events = tables.load(interactions={"uri": str(tables.folder / "events.parquet")})["interactions"]
    assert events.select("user", "item").rows() == [("7", "1"), ("8", "3")]
    assert tables.rule("rows_without_user")["rows"] == 1


def test_a_pattern_reads_every_file_that_it_matches(tables):
    tables.csv("a-1.csv", "user,item,time\nann,tea,2024-05-01")
    tables.csv("a-2.csv", "user,item,time,shop\nbob,tea,2024-05-02,north")
    events = tables.load(interactions={"uri": str(tables.folder / "a-*.csv")})["interactions"]
    assert events.select("user", "shop").rows() == [("ann", None), ("bob", "north")]


def test_a_category_is_built_from_columns_or_from_one_path(tables):
    events = {"uri": tables.csv("events.csv", EVENTS)}
    items = {
        "uri": tables.csv("items.csv", "item,dept,class\ntea,Drinks,Hot\nmilk,Dairy,"),
        "columns": {"category": ["dept", "class"]},
    }
    loaded = tables.load(interactions=events, items=items)["items"]
    assert loaded.select("item", "category").rows() == [("milk", ["Dairy"]), ("tea", ["Drinks", "Hot"])]
    items = {"uri": tables.csv("items.csv", "item,category\ntea,Drinks > Hot\nmilk,")}
    loaded = tables.load(interactions=events, items=items)["items"]
    assert loaded.select("item", "category").rows() == [("milk", []), ("tea", ["Drinks > Hot"])]
    loaded = tables.load(interactions=events, items=items | {"categorySeparator": ">"})["items"]
    assert loaded.select("item", "category").rows() == [("milk", []), ("tea", ["Drinks", "Hot"])]


def test_interactions_may_describe_their_items(tables):
    uri = tables.csv(
        "events.csv",
        """user,item,time,title,category
        ann,1,2024-05-01,Tea,Drinks
        ann,1,2024-05-03,Green tea,Drinks
        ann,2,2024-05-02,,""",
    )
    items = tables.load(interactions={"uri": uri})["items"]
    assert items.select("item", "title", "category").rows() == [("1", "Green tea", ["Drinks"]), ("2", "Item 2", [])]


def test_an_item_that_only_interactions_know_is_kept_and_marked(tables):
    items = {"uri": tables.csv("items.csv", "item,title\ntea,Green tea")}
    loaded = tables.load(interactions={"uri": tables.csv("events.csv", EVENTS)}, items=items)
    assert loaded["items"].select("item", "title", LISTED).rows() == [
        ("milk", "Unlisted item milk", False),
        ("tea", "Green tea", True),
    ]
    assert tables.rule("unlisted") == {
        "name": "unlisted",
        "table": "items",
        "rows": 1,
        "action": "kept",
        "why": tables.rule("unlisted")["why"],
    }
    assert loaded["interactions"].height == 2


def test_of_a_repeated_key_the_last_row_counts(tables):
    users = {"uri": tables.csv("users.csv", "user,tier\nann,gold\nann,silver\nbob,gold\n,gold")}
    loaded = tables.load(interactions={"uri": tables.csv("events.csv", EVENTS)}, users=users)
    assert loaded["users"].select("user", "tier").rows() == [("ann", "silver"), ("bob", "gold")]
    assert tables.rule("repeated_key")["rows"] == 1
    assert tables.rule("rows_without_key")["rows"] == 1


@pytest.mark.parametrize(
    ("text", "settings", "hour"),
    [
        ("2024-07-01 12:00", {"timeZone": "Europe/Berlin"}, 10),
        ("2024-01-01 12:00", {"timeZone": "Europe/Berlin"}, 11),
        ("2024-07-01T12:00:00Z", {"timeZone": "Europe/Berlin"}, 12),
        ("2024-07-01T12:00:00.25+05:30", {}, 6),
        ("01.07.2024 12:00", {"timeFormat": "%d.%m.%Y %H:%M"}, 12),
        ("2024-07-01 12:00 +0200", {"timeFormat": "%Y-%m-%d %H:%M %z"}, 10),
        ("1719835200", {"timeFormat": "unix-seconds"}, 12),
        ("1719835200000", {"timeFormat": "unix-milliseconds"}, 12),
        ("2024-10-27 02:30", {"timeZone": "Europe/Berlin"}, 0),  # shown twice; the first is meant
        ("2024-03-31 02:30", {"timeZone": "Europe/Berlin"}, 1),  # skipped; read as 03:30
    ],
)
def test_times_are_read_as_utc(tables, text, settings, hour):
    uri = tables.csv("events.csv", f"user,item,time\nann,tea,{text}")
    (time,) = tables.load(interactions={"uri": uri, **settings})["interactions"]["time"]
    assert time.hour == hour


def test_a_skipped_hour_is_counted(tables):
    uri = tables.csv("events.csv", "user,item,time\nann,tea,2024-03-31 02:30")
    tables.load(interactions={"uri": uri, "timeZone": "Europe/Berlin"})
    assert tables.rule("time_skipped_by_the_clock")["rows"] == 1


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_an_iso_time_reads_back(moment):
    parsed = parse(pl.Series("time", [moment.isoformat()]), time_format=None, zone="UTC", where="here")
    assert parsed.times.to_list() == [moment]
    assert parsed.moved == 0


def test_a_few_unreadable_values_become_null_and_are_counted(tables):
    rows = "\n".join(f"ann,tea,2024-05-{day:02},{day}" for day in range(1, 31))
    uri = tables.csv("events.csv", f"user,item,time,price\n{rows}\nann,tea,yesterday,gratis")
    loaded = tables.load(interactions={"uri": uri})["interactions"]
    assert loaded.height == 30
    assert tables.rule("price_unreadable")["rows"] == 1
    assert tables.rule("time_unreadable")["rows"] == 1
    assert tables.rule("incomplete_rows")["action"] == "dropped"
    assert "Without an item 0, without a time 1:" in tables.rule("incomplete_rows")["why"]


def test_zero_and_huge_quantities_are_kept_and_counted(tables):
    uri = tables.csv("events.csv", "user,item,time,quantity\nann,tea,2024-05-01,0\nann,tea,2024-05-02,5000")
    assert tables.load(interactions={"uri": uri})["interactions"]["quantity"].to_list() == [0.0, 5000.0]
    assert tables.rule("quantity_zero")["action"] == "kept"
    assert tables.rule("quantity_implausible")["action"] == "warned"


def test_loading_twice_writes_the_same_bytes(tables):
    uri = tables.csv("events.csv", EVENTS)
    tables.load(interactions={"uri": uri})
    first = {path.name: path.read_bytes() for path in tables.out.iterdir()}
    tables.load(interactions={"uri": uri})
    assert first == {path.name: path.read_bytes() for path in tables.out.iterdir()}


def test_the_digest_follows_the_bytes_and_the_settings(tables):
    def digest(**more):
        return source_digest(DataSpec(tables={"interactions": {"uri": uri, **more}}))

    uri = tables.csv("events.csv", EVENTS)
    first = digest()
    assert digest() == first
    assert digest(timeZone="Europe/Berlin") != first
    tables.csv("events.csv", EVENTS + "\ncat,tea,2024-05-03")
    assert digest() != first


def test_relative_paths_count_from_the_folder_of_the_yaml(tables):
    tables.csv("events.csv", EVENTS)
    spec = DataSpec(tables={"interactions": {"uri": "events.csv"}})
    assert resolve_uris(spec, tables.folder).tables.interactions.uri == str(tables.folder / "events.csv")
    remote = DataSpec(tables={"interactions": {"uri": "s3://lake/events.csv"}})
    assert resolve_uris(remote, tables.folder) == remote


def test_a_folder_is_read_behind_links_too_and_each_file_once(tmp_path):
    head = "user,item,time\n"
    for name, user in {"data/2024/a.csv": "ann", "elsewhere/b.csv": "bob", "above.csv": "eve"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{head}{user},tea,2024-05-01\n")
    data = tmp_path / "data"
    (data / "2023").symlink_to("../elsewhere")
    (data / "again").symlink_to("../elsewhere")
    (data / "latest").symlink_to("2024")
    (data / "up").symlink_to("..")
    (tmp_path / "elsewhere" / "back").symlink_to("../data")
    spec = DataSpec(tables={"interactions": {"uri": str(data)}})
    load_data(out=tmp_path / "out", data_spec=spec)
    assert sorted(pl.read_parquet(tmp_path / "out" / "interactions.parquet")["user"]) == ["ann", "bob"]
    before = source_digest(spec)
    (tmp_path / "elsewhere" / "b.csv").write_text(f"{head}bob,milk,2024-05-01\n")
    assert source_digest(spec) != before
