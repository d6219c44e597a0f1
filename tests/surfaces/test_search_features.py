"""What a query says of items, and which items are scored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import FIRST, Shop
from shop.searches import typed

from shoploop.features.item import ItemStatistics
from shoploop.surfaces.search.asked import item_texts, searches_of
from shoploop.surfaces.search.features import SEARCH_FEATURES, read, search_candidates, search_features
from shoploop.surfaces.search.memory import QueryMemory
from shoploop.surfaces.search.names import Names

SHOP = Shop()
ITEMS = ItemStatistics(SHOP.log()).on(FIRST + 60)
NAMES = Names(item_texts(SHOP.described(), SHOP.names))
RECALL = QueryMemory(searches_of(typed(SHOP), SHOP.log()), SHOP.items).as_of(FIRST + 60)
NOTHING = np.empty(0, np.int32)
COLUMNS = [name for name, _ in SEARCH_FEATURES]


def candidates(query, own=NOTHING, **more):
    codes = search_candidates(read(query, NAMES, RECALL), ITEMS, own, **more)
    return [SHOP.names[code] for code in codes]


def features(query, names=SHOP.names):
    """By item and name."""
    codes = np.array([SHOP.names.index(name) for name in names], np.int32)
    found = search_features(read(query, NAMES, RECALL), codes, ITEMS)
    return {name: dict(zip(COLUMNS, row, strict=True)) for name, row in zip(names, found.tolist(), strict=True)}


def test_what_is_called_so_is_scored_and_without_filling_nothing_else():
    assert candidates("milk", fill=False) == ["milk"]
    assert candidates("sweet", fill=False) == list(SHOP.names[:6])


def test_what_sells_is_scored_too_where_it_fills():
    assert {"milk", "apples", "nuts"} <= set(candidates("milk"))


def test_what_was_taken_after_a_query_is_scored_though_it_is_called_otherwise():
    assert candidates("bedtime drink", fill=False) == ["milk"]


@pytest.mark.parametrize("query", ["qqqq", "", "🥛", "99", "!!!"])
def test_a_query_that_fits_nothing_has_no_candidates_but_what_fills(query):
    assert candidates(query, fill=False) == []
    assert candidates(query, np.array([0, 5], np.int32), fill=False) == []
    assert "apples" in candidates(query)


def test_a_name_that_is_only_spelt_alike_is_scored():
    assert "honey" in candidates("hunney", fill=False)


def test_the_whole_of_a_name_is_more_than_a_part_of_it():
    found = features("milk")
    assert found["milk"]["all_words"] == 1 > found["bread"]["all_words"]
    assert found["milk"]["words"] == pytest.approx(1) and found["bread"]["words"] == 0
    assert found["milk"]["bm25_share"] == pytest.approx(1)


def test_of_items_that_fit_alike_sales_tell():
    found = features("sweet")
    assert found["apples"]["words"] == found["milk"]["words"] == pytest.approx(1)
    assert found["apples"]["sold_share_28"] > found["milk"]["sold_share_28"]
    assert found["apples"]["sold_rank_7"] == 0 < found["bread"]["sold_rank_7"]
    assert found["apples"]["fitting"] == pytest.approx(np.log(7))


def test_items_with_the_words_as_they_were_typed_are_told_from_those_with_other_endings():
    names = Names(["sweet"] * (SHOP.items - 1) + ["sweets box"])
    rows = search_features(read("sweets", names, RECALL), np.arange(SHOP.items, dtype=np.int32), ITEMS).tolist()
    other, *_, own = (dict(zip(COLUMNS, row, strict=True)) for row in rows)
    assert own["words"] == other["words"] == pytest.approx(1)
    assert (own["typed"], other["typed"]) == (pytest.approx(1), 0)
    assert (own["typed_ahead"], other["typed_ahead"]) == (pytest.approx(0), pytest.approx(-1))


def test_memory_tells_what_a_name_does_not():
    found = features("bedtime drink")
    assert found["milk"]["same"] == pytest.approx(1) and found["jam"]["same"] == 0
    assert found["milk"]["times"] > 0 and found["milk"]["by_words"] > 0


def test_features_of_an_item_do_not_depend_on_what_else_is_scored():
    """A model learns from candidates that fill, and answers without: an item is to look the same."""
    for query in ("sweet", "milk", "hunney", "bedtime drink"):
        alone = {name: features(query, [name])[name] for name in SHOP.names}
        together = features(query)
        for name in SHOP.names:
            assert alone[name] == pytest.approx(together[name], rel=1e-5, abs=1e-6), (query, name)


NEW = [SHOP.names.index("milk")]


def as_if_new(query, codes=NEW):
    """What is said of all items where nobody has taken these yet."""
    codes = np.array(codes, np.int32)
    asked = read(query, NAMES, RECALL).as_if_new(codes)
    found = search_features(asked, np.arange(SHOP.items, dtype=np.int32), ITEMS.as_if_new(codes))
    return {name: dict(zip(COLUMNS, row, strict=True)) for name, row in zip(SHOP.names, found.tolist(), strict=True)}


def test_what_nobody_has_taken_yet_is_said_to_be_new_and_how_much_better_it_is_called_so():
    assert not any(item["new"] for item in features("milk").values())
    found = as_if_new("milk")
    assert [name for name, item in found.items() if item["new"]] == ["milk"]
    assert found["milk"]["words_ahead"] == pytest.approx(1) and found["milk"]["letters_ahead"] > 0.5
    assert found["milk"]["named_ahead"] > 0.3 and found["bread"]["words_ahead"] == 0
    assert as_if_new("sweet")["milk"]["words_ahead"] == pytest.approx(0)


def test_as_if_new_is_what_it_would_be_had_nobody_taken_it():
    """The same as of a log without the item, of every item."""
    log, table = SHOP.log(), typed(SHOP)
    others = QueryMemory(searches_of(table.filter(table["item"] != "milk"), log), SHOP.items).as_of(FIRST + 60)
    items = ItemStatistics(log.where(log.item_R != NEW[0])).on(FIRST + 60)
    every = np.arange(SHOP.items, dtype=np.int32)
    for query in ("sweet", "bedtime drink", "milk", "apples"):
        without = search_features(read(query, NAMES, others), every, items)
        for name, row in zip(SHOP.names, without.tolist(), strict=True):
            told, held = dict(zip(COLUMNS, row, strict=True)), as_if_new(query)[name]
            for column in ("new", "words_ahead", "same", "lately", "near", "sold_rank_7", "times", "near_times"):
                assert held[column] == pytest.approx(told[column], abs=1e-4), (query, name, column)


def test_no_candidates_have_no_features():
    found = search_features(read("milk", NAMES, RECALL), NOTHING, ITEMS)
    assert found.shape == (0, len(SEARCH_FEATURES))


@given(st.text(max_size=300), st.lists(st.integers(0, SHOP.items - 1), max_size=3), st.booleans())
def test_whatever_is_typed_candidates_are_items_each_once_and_features_are_finite(query, own, fill):
    asked = read(query, NAMES, RECALL)
    codes = search_candidates(asked, ITEMS, np.array(own, np.int32), fill=fill)
    assert codes.tolist() == sorted(set(codes.tolist())) and set(codes.tolist()) <= set(range(SHOP.items))
    found = search_features(asked, codes, ITEMS)
    assert found.shape == (len(codes), len(SEARCH_FEATURES)) and np.isfinite(found).all()


@pytest.mark.parametrize("query", ["sweet", "hunney", "bedtime drink", "qqqq"])
def test_only_what_may_be_shown_is_scored_and_where_all_may_the_same_as_ever(query):
    asked, own = read(query, NAMES, RECALL), np.array([3, 5], np.int32)
    every = search_candidates(asked, ITEMS, own)
    may_I = np.arange(SHOP.items) % 2 == 0
    assert search_candidates(asked, ITEMS, own, may_I=may_I).tolist() == [code for code in every if may_I[code]]
    assert search_candidates(asked, ITEMS, own, may_I=may_I | True).tolist() == every.tolist()


def test_a_shop_that_has_sold_nothing_yet_answers_by_names():
    items = ItemStatistics(SHOP.log()).on(FIRST)
    asked = read("milk", NAMES, RECALL)
    codes = search_candidates(asked, items, NOTHING)
    assert [SHOP.names[code] for code in codes] == ["milk"]
    assert np.isfinite(search_features(asked, codes, items)).all()
