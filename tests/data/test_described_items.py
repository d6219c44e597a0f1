"""What interactions and lists say of an item's category."""

import polars as pl
import pytest
from own_tables import log


def test_a_later_row_without_a_category_leaves_the_item_the_one_it_had(tables):
    text = """user,item,time,kind,title,category
        u1,i1,2024-01-01,purchase,Milk,Food
        u2,i1,2024-01-02,view,,
        u3,i2,2024-01-02,view,,"""
    items = tables.load(interactions={"uri": tables.csv("log.csv", text)})["items"]
    assert items.select("title", "category").rows() == [("Milk", ["Food"]), ("Item i2", [])]


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["Food", None, "", " Milk "], ["Food", "Milk"]),
        ([None], []),
        (None, []),
    ],
    ids=["some empty", "nothing but null", "no list"],
)
def test_a_list_of_categories_loses_what_is_empty_and_the_space_around(given, read, tables):
    items = pl.DataFrame(
        {"item": ["i1", "i2"], "category": [given, ["Food"]]}, schema_overrides={"category": pl.List(pl.String)}
    )
    loaded = tables.load(
        interactions={"uri": tables.parquet("e.parquet", log())}, items={"uri": tables.parquet("items.parquet", items)}
    )
    assert loaded["items"].filter(item="i1")["category"].to_list() == [read]


def test_of_several_columns_an_empty_level_is_none(tables):
    items = tables.csv("items.csv", "item,wide,narrow\ni1,Food,\ni2,Food, Milk ")
    loaded = tables.load(
        interactions={"uri": tables.parquet("e.parquet", log())},
        items={"uri": items, "columns": {"category": ["wide", "narrow"]}},
    )
    assert loaded["items"].filter(pl.col("item").is_in(["i1", "i2"]))["category"].to_list() == [
        ["Food"],
        ["Food", "Milk"],
    ]
