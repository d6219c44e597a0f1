"""What was searched for, as somebody brings it."""

from datetime import UTC, datetime

import polars as pl
import pytest

from shoploop import schemas
from shoploop.data.canonical import complete
from shoploop.data.rules import Loaded
from shoploop.errors import SchemaMismatch, TableEmpty

EVENTS = """
    user,item,time
    ann,tea,2024-05-01T09:00:00
    bob,milk,2024-05-09T10:30:00
"""


@pytest.fixture
def load(tables):
    """The tables of the events and of these searches."""

    def load(text, **settings):
        searches = {"uri": tables.csv("searches.csv", text)} | settings
        return tables.load(interactions={"uri": tables.csv("events.csv", EVENTS)}, searches=searches)

    return load


def test_searches_are_read_and_put_in_the_order_of_time(load):
    found = load(
        """query,item,time,user,kind
        Whole milk,milk,2024-05-03T10:00:00,ann,click
        tea,tea,2024-05-02T10:00:00,bob,purchase"""
    )["searches"]
    assert found.rows() == [
        ("bob", "tea", "tea", datetime(2024, 5, 2, 10, tzinfo=UTC), "purchase"),
        ("ann", "Whole milk", "milk", datetime(2024, 5, 3, 10, tzinfo=UTC), "click"),
    ]


def test_the_table_has_the_canonical_columns_and_types(load):
    found = load("query,item,time\ntea,tea,2024-05-02")["searches"]
    assert found.schema == pl.DataFrame(schemas.SEARCHES.schema.empty_table()).schema


def test_user_and_kind_are_optional(load):
    found = load("query,item,time\ntea,tea,2024-05-02")["searches"]
    assert found.select("user", "kind").rows() == [(None, None)]


def test_some_users_may_be_unknown(load):
    found = load("query,item,time,user\ntea,tea,2024-05-02,\ntea,tea,2024-05-03,ann")["searches"]
    assert found["user"].to_list() == [None, "ann"]


def test_columns_are_found_by_their_mapping(load):
    columns = {"query": "q", "item": "sku", "time": "at"}
    assert load("q;sku;at\ntea;tea;2024-05-02", columns=columns)["searches"]["query"].to_list() == ["tea"]


def test_numbers_are_queries_too(load):
    assert load("query,item,time\n501,tea,2024-05-02")["searches"]["query"].to_list() == ["501"]


def test_incomplete_rows_are_dropped_and_counted(load, tables):
    found = load(
        """query,item,time
        tea,tea,2024-05-02
        ,tea,2024-05-02
        "   ",tea,2024-05-02
        tea,,2024-05-02
        tea,tea,"""
    )["searches"]
    assert found.height == 1
    assert tables.rule("incomplete_searches") | {"why": None} == {
        "name": "incomplete_searches", "table": "searches", "rows": 4, "action": "dropped", "why": None
    }  # fmt: skip


def test_searches_outside_the_days_of_the_interactions_are_dropped_and_counted(load, tables):
    """What was taken before the first purchase and after the last is of no day that is learned from."""
    found = load("query,item,time\ntea,tea,2024-05-02\ntea,tea,2023-01-01\ntea,tea,2025-01-01")["searches"]
    assert found.height == 1
    assert tables.rules()["searches_outside_interactions"] == 2


def test_a_search_on_the_last_day_is_one_of_its_days(load):
    """The last purchase is of half past ten; whoever searches at eleven searches on a day of the interactions."""
    assert load("query,item,time\nmilk,milk,2024-05-09T11:00:00\nmilk,milk,2024-05-01T00:00:00")["searches"].height == 2


def test_what_nobody_has_bought_is_kept_and_counted(load, tables):
    found = load("query,item,time\ntea,tea,2024-05-02\ncake,cake,2024-05-02")["searches"]
    assert found["item"].sort().to_list() == ["cake", "tea"]
    assert tables.rules()["searches_for_unsold"] == 1


@pytest.mark.parametrize(
    "rows", ["tea,tea,2023-01-01", ",tea,2024-05-02\ntea,,2024-05-02"], ids=["other days", "incomplete"]
)
def test_where_no_row_is_left_the_error_names_the_table_and_what_to_check(load, rows):
    with pytest.raises(TableEmpty, match=r"searches: no row has .* spec\.data\.tables\.searches"):
        load(f"query,item,time\n{rows}")


def test_an_empty_file_is_named(load):
    with pytest.raises(TableEmpty, match=r"searches\.csv"):
        load("query,item,time")


def test_a_missing_column_is_named(load):
    with pytest.raises(SchemaMismatch, match=r"no column 'query'.* It has text, item, time"):
        load("text,item,time\ntea,tea,2024-05-02")


def test_only_where_there_are_searches_a_file_of_them_is_written(load, tables):
    tables.load(interactions={"uri": tables.csv("events.csv", EVENTS)})
    assert "searches" not in tables.report["tables"] and not (tables.out / "searches.parquet").exists()
    load("query,item,time\ntea,tea,2024-05-02")
    assert tables.report["tables"]["searches"]["rows"] == 1 and (tables.out / "searches.parquet").is_file()


def test_the_digest_of_the_data_knows_of_searches(load, tables):
    load("query,item,time\ntea,tea,2024-05-02")
    one = tables.report["source_sha256"]
    load("query,item,time\nteas,tea,2024-05-02")
    assert tables.report["source_sha256"] != one


def test_the_order_of_rows_is_no_part_of_the_data(load, tables):
    load("query,item,time,user\ntea,tea,2024-05-02,ann\nmilk,milk,2024-05-02,bob\nmilk,milk,2024-05-02,")
    one = tables.report["tables"]["searches"]["sha256"]
    load("query,item,time,user\nmilk,milk,2024-05-02,\nmilk,milk,2024-05-02,bob\ntea,tea,2024-05-02,ann")
    assert tables.report["tables"]["searches"]["sha256"] == one


def test_collected_searches_of_other_days_stop_no_run():
    """They came by themselves: nobody has promised any, and nobody could mend them."""
    time = datetime(2024, 5, 1, tzinfo=UTC)
    loaded = Loaded(
        interactions=pl.DataFrame({"user": ["ann", "bob"], "item": ["tea", "milk"], "time": [time, time]}),
        searches=pl.DataFrame({"user": ["ann"], "query": ["tea"], "item": ["tea"], "time": [time.replace(year=2025)]}),
    )
    assert "searches" not in complete(loaded)
    assert [rule.rows for rule in loaded.rules if rule.name == "searches_outside_interactions"] == [1]


def test_how_something_was_taken_is_said_in_the_words_of_others(load, tables):
    found = load(
        """query,item,time,kind
        tea,tea,2024-05-02,Order
        tea,tea,2024-05-03,product_viewed
        tea,tea,2024-05-04,add_to_cart
        tea,tea,2024-05-05,mobile
        tea,tea,2024-05-06,"""
    )["searches"]
    assert found["kind"].to_list() == ["purchase", "click", "cart", None, None]
    assert tables.rules()["search_kind_unmapped"] == 1
    assert "'mobile'" in tables.rule("search_kind_unmapped")["why"]


def test_where_no_word_says_how_something_was_taken_none_is_made_up(load, tables):
    found = load("query,item,time,kind\ntea,tea,2024-05-02,desktop\nmilk,milk,2024-05-03,mobile")["searches"]
    assert found["kind"].to_list() == [None, None]
    assert tables.rules()["search_kind_unmapped"] == 2
