"""What a search finds beside titles: columns that the spec names, and those that look like it."""

import polars as pl
import pytest
from own_tables import log

from shoploop.data.searchable import columns_with_words
from shoploop.errors import SchemaMismatch
from shoploop.surfaces.search.asked import item_texts

RECORDS = "item,title,artist,colour\ni0,Abbey Road,The Beatles,black\ni1,Thriller,Michael Jackson,\ni2,Blue,,blue\n"


def load(tables, **items):
    return tables.load(interactions={"uri": tables.parquet("log.parquet", log(20, items=3))}, items=items)


def test_words_of_columns_that_the_spec_names_stand_behind_the_title(tables):
    loaded = load(tables, uri=tables.csv("items.csv", RECORDS), searchable=["artist", "colour"])
    assert item_texts(loaded["items"], ["i0", "i1", "i2"]) == [
        "Abbey Road   The Beatles black", "Thriller   Michael Jackson", "Blue   blue",
    ]  # fmt: skip


def test_without_a_name_in_the_spec_texts_are_title_brand_and_category(tables):
    loaded = load(tables, uri=tables.csv("items.csv", RECORDS))
    assert item_texts(loaded["items"], ["i0"]) == ["Abbey Road  "]


def test_lists_of_texts_are_searched_too(tables):
    records = pl.DataFrame({"item": ["i0", "i1"], "tags": [["fifties", "rock"], None]})
    loaded = load(tables, uri=tables.parquet("items.parquet", records), searchable=["tags"])
    assert item_texts(loaded["items"], ["i0", "i1"])[0].endswith("fifties rock")


def test_a_searchable_column_that_is_not_there_is_named_with_the_nearest(tables):
    with pytest.raises(SchemaMismatch, match=r"'artists', which spec.data.tables.items.searchable names.*'artist'"):
        load(tables, uri=tables.csv("items.csv", RECORDS), searchable=["artists"])


def test_columns_of_words_are_told_from_codes_addresses_numbers_flags_and_descriptions():
    count = 300
    items = pl.DataFrame(
        {
            "artist": [f"The {['Beatles', 'Kinks', 'Doors'][n % 3]}" for n in range(count)],
            "colour": [["rot", "blau", None][n % 3] for n in range(count)],
            "材料": [["棉", "麻"][n % 2] for n in range(count)],
            "tags": [[["rock"], ["pop", "live"], []][n % 3] for n in range(count)],
            "sku": [f"AB-{n}" for n in range(count)],
            "ean": [str(n) for n in range(count)],
            "url": [f"https://shop.example/{n % 7}" for n in range(count)],
            "available": [["yes", "no"][n % 2] for n in range(count)],
            "added": [f"2024-10-{n % 28 + 1:02}" for n in range(count)],
            "slug": [f"thing_{n % 5}" for n in range(count)],
            "about": ["What it is, what it is for, who made it and why" + str(n % 3) for n in range(count)],
            "country": ["Finland"] * count,
            "weight": [n / 7 for n in range(count)],
            "seldom": ["linen" if n % 10 == 0 else ("wool" if n % 10 == 1 else None) for n in range(count)],
        }
    )
    assert columns_with_words(items) == ["artist", "colour", "材料", "tags"]
