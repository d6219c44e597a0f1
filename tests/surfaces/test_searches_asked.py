"""What was searched for: as typed, or made of names."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from shop import FIRST, SWEET, Shop, day
from shop.searches import typed

from shoploop.surfaces.search.asked import NOBODY, SHORTEST_WORD, item_texts, made_searches, requests_of, searches_of
from shoploop.surfaces.search.words import words

SHOP = Shop()
LOG = SHOP.log()
TEXTS = item_texts(SHOP.described(), SHOP.names)


def table(*rows):
    """Of rows of user, query, item and day of the shop."""
    schema = {"user": pl.String, "query": pl.String, "item": pl.String, "time": pl.Datetime("us", "UTC")}
    return pl.DataFrame([(*row[:3], day(row[3])) for row in rows], schema=schema, orient="row")


def asked(*rows):
    return requests_of(searches_of(table(*rows), LOG))


def test_a_text_has_title_brand_and_narrowest_category():
    about = pl.DataFrame(
        {"item": ["b", "a"], "title": [None, "Tea"], "brand": ["Acme", "Best"], "category": [["x"], ["x", "y"]]}
    )
    assert [words(text) for text in item_texts(about, ["a", "b", "c"])] == [["tea", "best", "y"], ["acm", "x"], []]


def test_items_of_which_nothing_is_known_have_empty_texts():
    assert [words(text) for text in item_texts(pl.DataFrame({"item": ["a"]}), ["a", "z"])] == [[], []]


def test_of_an_item_that_is_named_twice_the_first_counts():
    about = pl.DataFrame({"item": ["a", "a"], "title": ["Tea", "Milk"]})
    assert [words(text) for text in item_texts(about, ["a"])] == [["tea"]]


def test_searches_are_by_day_and_of_known_items():
    found = searches_of(table(("ann", "tea", "tea", 5), ("bob", "gold", "gold", 4), ("bob", "milk", "milk", 3)), LOG)
    assert found.day_E.tolist() == [FIRST + 3, FIRST + 5]
    assert [SHOP.names[item] for item in found.item_E] == ["milk", "tea"]
    assert [found.queries[query] for query in found.query_E] == ["milk", "tea"]


def test_who_has_never_bought_is_nobody():
    assert searches_of(table(("zoe", "tea", "tea", 5), (None, "tea", "tea", 5)), LOG).user_E.tolist() == [NOBODY] * 2


def test_no_searches_are_no_searches():
    assert len(searches_of(table(), LOG).day_E) == 0 and asked() == []


def test_all_that_a_user_took_after_a_query_on_a_day_is_one_request():
    [one] = asked(("ann", "Sweets", "milk", 3), ("ann", "sweet", "apples", 3), ("ann", "sweet", "apples", 3))
    assert one.items == (SWEET.index("apples"), SWEET.index("milk"))
    assert (one.user, one.day) == (0, FIRST + 3)


def test_another_day_or_another_user_is_another_request():
    assert len(asked(("ann", "tea", "tea", 3), ("ann", "tea", "tea", 4), ("bob", "tea", "tea", 3))) == 3


def test_two_strangers_with_one_query_are_two():
    found = asked((None, "tea", "tea", 3), (None, "tea", "tea", 3))
    assert [each.user for each in found] == [NOBODY, NOBODY]


def test_requests_are_in_the_order_of_days():
    days = [each.day for each in requests_of(searches_of(typed(SHOP), LOG))]
    assert days == sorted(days)


@pytest.fixture(scope="module")
def made():
    return made_searches(LOG, TEXTS, seed=0)


def test_a_made_query_is_of_words_that_all_its_items_have(made):
    for each in requests_of(made):
        query = words(each.query)
        assert 1 <= len(query) <= 2 and all(len(word) >= SHORTEST_WORD for word in query)
        for item in each.items:
            assert set(query) <= set(words(TEXTS[item]))


def test_some_made_queries_have_another_ending_than_the_name_and_most_have_the_names_own():
    texts = [*["ripe tomatoes"] * (SHOP.items // 2), *["tomato"] * (SHOP.items - SHOP.items // 2)]
    made = made_searches(LOG, texts, seed=0)
    own = [each.query in texts[each.items[0]].split() for each in requests_of(made) if " " not in each.query]
    assert 0.05 < 1 - np.mean(own) < 0.5
    assert set(made.queries) <= {"ripe", "tomato", "tomatoes", "ripe tomato", "ripe tomatoes"}


def test_of_names_without_blanks_queries_are_made_of_neighbouring_letters():
    made = made_searches(LOG, ["有机牛奶"] * len(TEXTS), seed=0)
    assert set(made.queries) == {"有机", "机牛", "牛奶", "有机牛", "机牛奶"}


def test_what_is_right_was_bought_by_that_user_on_that_day(made):
    bought = set(zip(LOG.user_R.tolist(), LOG.day_R.tolist(), LOG.item_R.tolist(), strict=True))
    rows = zip(made.user_E.tolist(), made.day_E.tolist(), made.item_E.tolist(), strict=True)
    assert set(rows) <= bought


def test_whatever_was_bought_under_such_a_name_is_right(made):
    """Of a visit with milk and apples the query "sweet" means both."""
    sweet = [each for each in requests_of(made) if each.query == "sweet" and each.user == 0]
    assert {each.items for each in sweet} <= {(0, 5), (5,)} and (0, 5) in {each.items for each in sweet}


def test_every_visit_asks_once(made):
    visits = Counter((each.user, each.day) for each in requests_of(made))
    assert set(visits.values()) == {1} and len(visits) == 15 * 20


def test_made_searches_are_by_day(made):
    assert (np.diff(made.day_E) >= 0).all()


def test_the_same_seed_makes_the_same_queries_and_another_others(made):
    again, other = made_searches(LOG, TEXTS, seed=0), made_searches(LOG, TEXTS, seed=1)
    assert again.queries == made.queries
    for name in ("query_E", "item_E", "day_E", "user_E"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    assert requests_of(other) != requests_of(made)


def test_what_has_no_name_is_never_asked_for():
    found = made_searches(LOG, [""] * SHOP.items, seed=0)
    assert found.queries == () and len(found.day_E) == 0 and requests_of(found) == []


def test_a_purchase_of_a_later_day_changes_no_earlier_query(made):
    """Point in time: what is asked on a day is drawn from what was bought until then."""
    until = FIRST + 30
    earlier = made_searches(LOG.where(LOG.day_R < until), TEXTS, seed=0)
    assert requests_of(earlier) == [each for each in requests_of(made) if each.day < until]
