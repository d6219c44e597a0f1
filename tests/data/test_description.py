"""What is in somebody's data, in numbers that can be counted on fingers."""

import polars as pl
import pytest
from own_tables import log

from shoploop.api.v1alpha1 import DataSpec
from shoploop.data.description import describe
from shoploop.data.step import load_data, read_raw

SMALL = """
    user,item,time,kind,price
    ann,tea,2024-05-01T10:00,order,2.5
    ann,milk,2024-05-01T10:05,order,
    ann,tea,2024-05-03T10:00,order,2.5
    bob,tea,2024-05-01T09:00,view,
    bob,tea,2024-05-01T12:00,order,2.5
    ,tea,2024-05-01T12:00,order,2.5
"""


@pytest.fixture
def described(tables):
    def of(text, **settings):
        source = {"uri": tables.csv("events.csv", text)} | settings
        return describe(read_raw(DataSpec(tables={"interactions": source})))[0]

    return of


def test_the_log_is_counted(described):
    found = described(SMALL, kinds={"order": "purchase"})["log"]
    assert (found["rows_read"], found["rows"], found["users"], found["items"]) == (6, 5, 2, 2)
    assert (found["first"], found["last"], found["days"], found["days_with_events"]) == (
        "2024-05-01",
        "2024-05-03",
        3,
        2,
    )
    assert found["density"] == 3 / 4


def test_searches_are_counted_beside_the_log(tables):
    given = {
        "interactions": {"uri": tables.csv("events.csv", SMALL)},
        "searches": {"uri": tables.csv("searches.csv", "query,item,time\ngreen tea,tea,2024-05-02")},
    }
    found = describe(read_raw(DataSpec(tables=given)))[0]["tables"]
    assert found["searches"]["rows"] == 1


def test_habits_are_those_of_purchases_and_sessions_those_of_all_events(described):
    habits = described(SMALL, kinds={"order": "purchase"})["habits"]
    assert (habits["purchases"], habits["repeats"]) == (4, 0.25)
    assert (habits["visits"], habits["buyers"], habits["buyers_of_one_visit"]) == (3, 2, 0.5)
    assert habits["days_between_visits"] == 2
    assert (habits["sessions"], habits["sessions_a_day"]) == (4, 4 / 3)


def test_kinds_are_told_with_the_words_that_stand_in_the_file(described):
    found = described(SMALL, kinds={"order": "purchase"})
    assert [(kind["kind"], kind["rows"]) for kind in found["kinds"]] == [("purchase", 4), ("view", 1)]
    assert {(word["word"], word["kind"], word["rows"]) for word in found["words"]} == {
        ("order", "purchase", 5),
        ("view", "view", 1),
    }


def test_what_is_missing_is_named_with_what_it_costs(described):
    found = described(SMALL, kinds={"order": "purchase"})["missing"]
    missing = {f"{one['table']}.{one['column']}": one["rows"] for one in found}
    assert missing["interactions.price"] == 2
    assert missing["interactions.shop"] == 5 and missing["items.title"] == 2 and missing["users.attributes"] == 2
    assert "interactions.kind" not in missing
    assert all(one["lost"] for one in found)


def test_a_column_that_is_there_is_not_missing(tables):
    items = tables.csv("items.csv", "item,title,category,brand,price,image\ntea,Tea,Drinks,Own,1,t.png\nmilk,Milk,,,,")
    interactions = {"uri": tables.csv("e.csv", SMALL), "kinds": {"order": "purchase"}}
    found, _ = describe(read_raw(DataSpec(tables={"interactions": interactions, "items": {"uri": items}})))
    missing = {one["column"]: one["rows"] for one in found["missing"] if one["table"] == "items"}
    assert missing == {"category": 1, "brand": 1, "price": 1, "image": 1}
    assert found["tables"]["items"]["listed"] == 2


def test_a_log_without_a_kind_says_that_all_are_purchases(described):
    found = described("user,item,time\nann,tea,2024-05-01\nbob,tea,2024-05-02\n")
    assert ("interactions", "kind") in {(one["table"], one["column"]) for one in found["missing"]}
    assert any(rule["name"] == "kind_not_told" for rule in found["rules"])


def test_the_rules_are_those_that_a_run_writes_down(tables):
    uri = tables.parquet(
        "e.parquet", log(500, price=[1e300, *[2.0] * 499]).with_columns(pl.lit("NULL").alias("basket"))
    )
    spec = DataSpec(tables={"interactions": {"uri": uri}})
    written = load_data(out=tables.out, data_spec=spec)
    found, canonical = describe(read_raw(spec))
    assert (found["rules"], found["remarks"]) == (written["rules"], written["remarks"])
    assert canonical["interactions"].equals(pl.read_parquet(tables.out / "interactions.parquet"))


@pytest.mark.parametrize(
    ("rows", "task"),
    [
        ([("ann", "tea", d) for d in range(1, 9)], ("many", "regulars")),
        ([("ann", f"i{d}", d) for d in range(1, 9)], ("few", "regulars")),
        ([(f"u{n}", f"i{n % 3}", 1 + n % 8) for n in range(40)], ("few", "strangers")),
    ],
)
def test_the_kind_of_task_is_seen(described, rows, task):
    text = "user,item,time\n" + "".join(f"{user},{item},2024-05-{day:02}\n" for user, item, day in rows)
    found = described(text)["task"]
    assert (found["repeats"], found["people"]) == task
    assert found["unit"] == "day" and "dates without a clock" in found["why"][-1]


def test_several_sessions_a_day_are_told_from_one(described):
    rows = [
        ("ann", f"2024-05-{day:02}T{hour:02}:{minute:02}")
        for day in (1, 2)
        for hour in (8, 13, 20)
        for minute in (0, 9)
    ]
    found = described("user,item,time\n" + "".join(f"{user},i{n},{time}\n" for n, (user, time) in enumerate(rows)))
    assert found["habits"]["sessions"] == 6
    assert (found["habits"]["events_a_session"], found["habits"]["minutes_a_session"]) == (2, 9)
    assert found["task"]["unit"] == "session"


def test_a_log_without_a_purchase_says_what_to_map(described):
    found = described("user,item,time,kind\nann,tea,2024-05-01,view\nbob,tea,2024-05-02,view\n")
    assert "Map a kind to purchase" in found["task"]["why"][0]
