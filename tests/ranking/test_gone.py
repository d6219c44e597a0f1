"""What cannot be bought is worked out once, and anew when it has changed."""

from datetime import UTC, date, datetime, time, timedelta

import polars as pl
import pytest
from shop import SALTY, SWEET, Shop
from shop.serving import make_ranker

from shoploop.features.log import Vocabulary
from shoploop.ranking.answer import RecommendRequest, SearchRequest
from shoploop.ranking.gone import Ending
from shoploop.schemas import ENDS

TODAY = Shop().serving_day
NOON = datetime.combine(TODAY, time(12), UTC)
LEFT = ["bread", "nuts"]
STOCK = frozenset({*SWEET, *SALTY}.difference(LEFT))


@pytest.fixture
def encoded(monkeypatch):
    """How many ids were looked up at once."""
    counts, encode = [], Vocabulary.encode

    def counting(self, items):
        counts.append(len(items))
        return encode(self, items)

    monkeypatch.setattr(Vocabulary, "encode", counting)
    return counts


def test_requests_do_not_look_up_what_is_out_of_stock_again_and_again(tmp_path, encoded):
    ranker = make_ranker(tmp_path)
    ranker.search(SearchRequest(query="sweet"), now=NOON, out_of_stock=STOCK)
    encoded.clear()
    for user in ("ann", "nobody"):
        found = ranker.search(SearchRequest(query="sweet salty", user=user), now=NOON, out_of_stock=STOCK)
        assert {ranked.item for ranked in found.items} == set(LEFT)
        listed = ranker.recommend(RecommendRequest(user=user, k=12), now=NOON, out_of_stock=STOCK)
        assert {ranked.item for ranked in listed.items} == set(LEFT)
    assert len(STOCK) not in encoded


def ending(known=("apples", "bread"), unknown=("fig",), **ends):
    table = pl.DataFrame({"item": list(ends), ENDS: list(ends.values())}, schema={"item": pl.String, ENDS: pl.Date})
    return Ending(Vocabulary(known), Vocabulary(unknown), table)


def test_the_same_list_on_the_same_day_is_the_same_answer():
    stock, shop = frozenset({"bread", "fig", "unheard of"}), ending()
    gone = shop.gone(7, stock)
    assert (gone.left_I.tolist(), gone.left_U.tolist()) == ([True, False], [False])
    assert "fig" in gone and "apples" not in gone
    assert shop.gone(7, stock) is gone


def test_another_list_and_another_day_are_another_answer():
    shop = ending(apples=date(1970, 1, 1) + timedelta(days=7))
    stock = frozenset({"bread"})
    assert shop.gone(7, stock).left_I.tolist() == [True, False]
    assert shop.gone(8, stock).left_I.tolist() == [False, False]
    assert shop.gone(8, frozenset()).left_I.tolist() == [False, True]
    assert shop.gone(7, frozenset()).left_I.tolist() == [True, True] and not shop.gone(7, frozenset())


def test_a_list_that_may_change_is_read_each_time():
    stock, shop = ["bread"], ending()
    assert "apples" not in shop.gone(7, stock) and shop.gone(7, stock).left_I.tolist() == [True, False]
    stock.append("apples")
    assert "apples" in shop.gone(7, stock) and shop.gone(7, stock).left_I.tolist() == [False, False]
