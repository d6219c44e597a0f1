"""What a shop should know of its table of items before it is recommended from: titles that many share, items that ended."""

from datetime import date

import polars as pl
import pytest
from own_tables import Tables, log

from shoploop.schemas import ENDS

DAY = 20_000  # 2024-10-04; sixty days on is 2024-12-02


def told_of(tables: Tables, items: str, **columns: str) -> str:
    tables.load(
        interactions={"uri": tables.parquet("log.parquet", log(60, items=6, day=DAY))},
        items={"uri": tables.csv("items.csv", items), "columns": columns},
    )
    return tables.told()


SIZES = "item,title,product\n" + "".join(f"i{n},Shirt {n // 2},S{n // 2}\n" for n in range(6))


def test_sizes_of_one_title_are_told_with_what_shows_a_title_once_and_the_column_that_groups_them(tables):
    told = told_of(tables, SIZES)
    assert "100% of the titled items share their title with another, 3 titles in all, e.g. 'Shirt 0'" in told
    assert (
        "spec.serving.listRules.nearDuplicates: SameTitle" in told and "column 'product' names the same groups" in told
    )
    assert tables.rules()["same_title"] == 6


def test_a_column_that_groups_otherwise_is_not_named(tables):
    told = told_of(tables, SIZES.replace("i5,Shirt 2,S2", "i5,Shirt 2,S9"))
    assert "SameTitle" in told and "'product'" not in told


def test_titles_are_the_same_whatever_their_case_accents_and_points(tables):
    told_of(tables, "item,title\ni0,Café au lait\ni1,CAFE AU LAIT!\ni2,Tea\ni3,Mate\ni4,Milk\ni5,Juice")
    assert tables.rules()["same_title"] == 2


def test_a_few_titles_that_come_twice_are_not_told(tables):
    several = "".join(f"x{n},Other {n}\n" for n in range(10))
    told_of(tables, f"item,title\ni0,Tea\ni1,Tea\ni2,Mate\ni3,Milk\n{several}")
    assert "same_title" not in tables.rules()


def ending(column: str, *, early: str = "2024-11-30", late: str = "2024-12-30") -> str:
    """Two of six items end two days before the log does."""
    return f"item,title,{column}\n" + "".join(f"i{n},Thing {n},{early if n < 2 else late}\n" for n in range(6))


@pytest.mark.parametrize(
    "column", ["date_expiration", "valid_until", "validTo", "End date", "expires_at", "Ablaufdatum", "available_to"]
)
def test_items_that_ended_before_the_logs_last_day_are_told_with_the_file_that_hides_them(tables, column):
    told = told_of(tables, ending(column))
    assert f"By their {column!r} 33% of the items have ended before the log's last day, 2024-12-02" in told
    assert "--out-of-stock" in told and tables.rules()["ended"] == 2


def test_ends_are_read_as_they_are_written_and_never_is_no_end(tables):
    told_of(
        tables,
        ending("ends", early="30.11.2024", late="31.12.2024").replace("i5,Thing 5,31.12.2024", "i5,Thing 5,never"),
    )
    assert tables.rules()["ended"] == 2


def test_a_day_without_a_year_first_is_told_with_the_pattern_that_reads_it(tables):
    told = told_of(tables, ending("ends_on", early="30.11.2024", late="31.12.2024"))
    assert "ends: ends_on into spec.data.tables.items.columns, and timeFormat: '%d.%m.%Y' beside columns" in told


def test_a_year_far_away_is_no_end(tables):
    told_of(tables, ending("ends", early="2024-11-30", late="9999-12-31"))
    assert tables.rules()["ended"] == 2


def test_ends_of_a_parquet_file_may_be_dates(tables):
    ends = [date(2024, 11, 30), date(9999, 12, 31), None]
    uri = tables.parquet("items.parquet", pl.DataFrame({"item": ["i0", "i1", "i2"], "until": ends}))
    events = {"uri": tables.parquet("log.parquet", log(60, items=3, day=DAY))}
    items = tables.load(interactions=events, items={"uri": uri, "columns": {"ends": "until"}})["items"]
    assert items[ENDS].to_list() == [date(2024, 11, 30), None, None]


def test_a_mapping_of_ends_is_read_as_the_last_day_and_no_longer_told(tables):
    uri = tables.csv("items.csv", ending("gone", early="30.11.2024", late="31.12.9999"))
    items = tables.load(
        interactions={"uri": tables.parquet("log.parquet", log(60, items=7, day=DAY))},
        items={"uri": uri, "columns": {"ends": "gone"}, "timeFormat": "%d.%m.%Y"},
    )["items"]
    assert (
        items[ENDS].to_list() == [date(2024, 11, 30)] * 2 + [None] * 5
    )  # the year 9999 is never, and i6 is not listed
    assert items["gone"][0] == "30.11.2024"  # answers may carry it
    assert tables.rules()["ended"] == 2 and "ended" not in tables.told()


@pytest.mark.parametrize("column", ["published", "sale_ends", "title_en"])
def test_dates_that_are_no_end_of_the_item_tell_nothing(tables, column):
    told_of(tables, ending(column))
    assert "ended" not in tables.rules()


def test_an_end_that_may_be_read_in_two_ways_tells_nothing(tables):
    told_of(tables, ending("ends", early="10/11/2024", late="11/12/2024"))
    assert "ended" not in tables.rules()


def test_what_is_bought_on_after_its_end_has_not_ended(tables):
    told_of(tables, ending("ends", early="2024-10-04", late="2024-10-05"))
    assert "ended" not in tables.rules()
