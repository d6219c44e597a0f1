"""What is on offer, as somebody brings it."""

from datetime import date

import polars as pl
import pytest

from shoploop import schemas
from shoploop.api.v1alpha1 import DataSpec
from shoploop.data.description import describe
from shoploop.data.step import read_raw
from shoploop.errors import SchemaMismatch, SpecInvalid, TableEmpty

EVENTS = """
    user,item,time,shop
    ann,tea,2024-05-01T09:00:00,north
    bob,milk,2024-05-09T10:30:00,south
"""


@pytest.fixture
def load(tables):
    """The tables of the events and of these offers."""

    def load(text, **settings):
        offers = {"uri": tables.csv("offers.csv", text)} | settings
        return tables.load(interactions={"uri": tables.csv("events.csv", EVENTS)}, offers=offers)

    return load


def test_offers_are_read_as_days_and_put_in_their_order(load):
    found = load(
        """item,from,until,shop,kind
        milk,2024-05-08,2024-05-14,south,display
        tea,2024-05-01,2024-05-07,,mailer"""
    )["offers"]
    assert found.rows() == [
        ("tea", date(2024, 5, 1), date(2024, 5, 7), None, "mailer"),
        ("milk", date(2024, 5, 8), date(2024, 5, 14), "south", "display"),
    ]
    assert found.schema == pl.DataFrame(schemas.OFFERS.schema.empty_table()).schema


def test_item_from_and_until_are_enough(load):
    assert load("item,from,until\ntea,2024-05-01,2024-05-07")["offers"].select("shop", "kind").rows() == [(None, None)]


def test_columns_are_found_by_their_mapping_and_times_by_their_pattern(load):
    columns, pattern = {"item": "sku", "from": "Start", "until": "Ende"}, "%d.%m.%Y"
    found = load("sku;Start;Ende\ntea;01.05.2024;07.05.2024", columns=columns, time_format=pattern)["offers"]
    assert found.select("from", "until").rows() == [(date(2024, 5, 1), date(2024, 5, 7))]


def test_times_are_taken_by_their_day(load):
    found = load("item,from,until\ntea,2024-05-01T06:00:00,2024-05-07T23:59:59")["offers"]
    assert found.select("from", "until").rows() == [(date(2024, 5, 1), date(2024, 5, 7))]


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("Europe/Berlin", "2024-05-01T00:00:00+02:00", "2024-05-07T23:59:59+02:00"),
        ("America/New_York", "2024-05-01 06:00", "2024-05-07 23:59"),
        ("America/New_York", "2024-05-01", "2024-05-07"),
    ],
)
def test_days_are_those_of_the_shops_clock(load, zone, first, last):
    found = load(f"item,from,until\ntea,{first},{last}", time_zone=zone)["offers"]
    assert found.select("from", "until").rows() == [(date(2024, 5, 1), date(2024, 5, 7))]


def test_without_its_last_day_the_table_is_refused_by_the_name_of_the_column(load):
    with pytest.raises(
        SchemaMismatch, match=r"no column 'until'.*spec\.data\.tables\.offers\.columns: \{until: \.\.\.\}"
    ):
        load("item,from\ntea,2024-05-01")


def test_a_misspelt_column_of_the_spec_is_named_with_those_that_there_are(load):
    with pytest.raises(SpecInvalid, match="'shops' is no column of offers; did you mean 'shop'"):
        load("item,from,until,s\ntea,2024-05-01,2024-05-07,south", columns={"shops": "s"})


def test_offers_that_are_to_come_are_kept_and_nothing_is_said(load, tables):
    found = load("item,from,until\ntea,2024-05-01,2024-05-07\ntea,2024-06-01,2024-06-07")["offers"]
    assert found.height == 2
    assert "offers" not in tables.told()


def test_incomplete_rows_are_dropped_and_counted(load, tables):
    found = load(
        """item,from,until
        tea,2024-05-01,2024-05-07
        ,2024-05-01,2024-05-07
        tea,2024-05-01,"""
    )["offers"]
    assert found.height == 1
    assert tables.rules()["incomplete_offers"] == 2


def test_an_offer_that_ends_before_it_begins_is_dropped_and_told(load, tables):
    found = load("item,from,until\ntea,2024-05-01,2024-05-07\nmilk,2024-05-07,2024-05-01\nmilk,2024-05-01,2024-05-02")
    assert found["offers"].height == 2
    assert "offers, 1 row dropped (offers_backwards)" in tables.told()


def test_where_most_end_before_they_begin_the_columns_are_taken_for_each_other(load):
    with pytest.raises(
        SchemaMismatch, match=r"1 of 1 rows end before they begin, e\.g\. that of item 'tea' from 2024-05-07"
    ):
        load("item,from,until\ntea,2024-05-07,2024-05-01")


def test_without_a_row_that_says_something_there_is_no_table(load):
    with pytest.raises(TableEmpty, match="offers: no row has an item, a first and a last day"):
        load("item,from,until\n,2024-05-01,2024-05-07\ntea,2024-05-01,")


def test_unknown_items_and_shops_are_counted_and_told(load, tables):
    found = load(
        """item,from,until,shop
        tea,2024-05-01,2024-05-07,north
        cake,2024-05-01,2024-05-07,north
        tea,2024-05-01,2024-05-07,west"""
    )["offers"]
    assert found.height == 3
    assert "nor the table of items knows their item, 1 different, e.g. 'cake': of them nothing can be" in tables.told()
    assert "nor the table of shops knows their shop, 1 different, e.g. 'west': nobody was seen" in tables.told()


def test_where_nothing_was_on_offer_while_the_log_was_written_it_is_told(load, tables):
    load("item,from,until\ntea,2025-05-01,2025-05-07")
    assert "Nothing was on offer on the days of the interactions" in tables.told()


def test_ids_join_where_zeros_in_front_are_all_that_differs(tables):
    events = "user,item,time\n" + "\n".join(f"u{n},{n % 3 + 1},2024-05-0{n + 1}" for n in range(9))
    tables.load(
        interactions={"uri": tables.csv("events.csv", events)},
        items={"uri": tables.csv("items.csv", "item\n001\n002\n003")},
        offers={"uri": tables.csv("offers.csv", "item,from,until\n1,2024-05-01,2024-05-07")},
    )
    assert pl.read_parquet(tables.out / "offers.parquet")["item"].to_list() == ["001"]


def test_describing_says_when_where_and_how(tables):
    offers = "item,from,until,shop,kind\ntea,2024-05-01,2024-05-07,north,mailer\nmilk,2024-05-03,2024-05-09,north,"
    spec = {
        "interactions": {"uri": tables.csv("events.csv", EVENTS)}, "offers": {"uri": tables.csv("offers.csv", offers)}
    }  # fmt: skip
    found, _ = describe(read_raw(DataSpec(tables=spec)))
    assert found["offers"] == {
        "first": "2024-05-01", "last": "2024-05-09", "items": 2, "shops": 1, "kinds": ["mailer"]
    }  # fmt: skip
    assert found["tables"]["offers"]["rows"] == 2
