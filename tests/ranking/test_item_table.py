"""What the table of items says is made before a predictor is ready, and not at all for who learns."""

from functools import cached_property

import polars as pl
import pytest
from polars.exceptions import ColumnNotFoundError
from shop.serving import make_ranker

from shoploop.ranking.item_table import ItemTable
from shoploop.ranking.rules import About
from shoploop.ranking.searching import Searching

ITEMS = pl.DataFrame(
    {
        "item": ["milk", "tea", "new"],
        "title": ["Milk", None, "New"],
        "category": [["dairy", "milk"], None, []],
        "price": [1.0, None, 3.0],
    }
)


def made(one):
    """Names of what is made where it is first asked for, and of what is."""
    lazy = {name for name, value in vars(type(one)).items() if isinstance(value, cached_property)}
    return lazy, lazy & vars(one).keys()


def test_who_loads_a_version_to_learn_makes_nothing_of_what_only_answers_need(tmp_path):
    known = make_ranker(tmp_path).known
    assert isinstance(known._table, ItemTable) and isinstance(known.searching, Searching)
    assert not made(known._table)[1] | made(known.searching)[1]


def test_after_the_warm_up_no_shopper_waits_for_the_table_of_items(tmp_path):
    ranker = make_ranker(tmp_path)
    learned = ranker.with_items(*ranker.items(), commit=1)
    ranker.warm_up()
    lazy, ready = made(ranker.known._table)
    assert lazy == ready
    assert learned.known._table is ranker.known._table, "what was learned since does not make it again"


def test_titles_kinds_and_fields_are_those_of_the_table_and_of_unknown_items_there_are_none():
    table = ItemTable(ITEMS, ("tea", "milk", "gone"), ("title", "price"))
    assert table.titles == (None, "Milk", None)
    assert table.about("milk") == About(title="Milk", category=("dairy", "milk"))
    assert table.about("tea") == table.about("gone") == About()
    assert table.fields("new") == {"title": "New", "price": 3.0}
    assert table.fields("gone") == {"title": None, "price": None}
    assert ItemTable(ITEMS, (), ()).fields("milk") == {}


def test_a_field_that_the_table_does_not_have_is_refused_when_it_is_loaded():
    with pytest.raises(ColumnNotFoundError, match="colour"):
        ItemTable(ITEMS, (), ("colour",))
