"""What a search may show is known before its best are chosen: pages and filters go on as long as anything fits."""

from datetime import UTC, datetime, time

import polars as pl
import pytest
from shop import SALTY, SWEET, Shop
from shop.serving import make_ranker

from shoploop.ranking import searching
from shoploop.ranking.answer import SearchRequest
from shoploop.ranking.explaining import Shown, ShownItem, explain
from shoploop.surfaces.search import features

NOON = datetime.combine(Shop().serving_day, time(12), UTC)
MUGS = {"mug-1": "Mug red", "mug-2": "Mug blue", "mug-3": "Mug green"}


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Of the six sweet items no more than two are looked at, of what nobody has bought one."""
    monkeypatch.setattr(features, "FITTING", 2)
    monkeypatch.setattr(searching, "MOST_UNSOLD", 1)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    """Sells mugs as well, which nobody has bought."""
    tables = Shop().tables()
    mugs = (
        tables["items"]
        .head(3)
        .with_columns(
            item=pl.Series(list(MUGS)), title=pl.Series(list(MUGS.values())), category=pl.Series([["home"]] * 3)
        )
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shop, "tables", lambda self: tables | {"items": pl.concat([tables["items"], mugs])})
        return make_ranker(tmp_path_factory.mktemp("ranker"))


def search(ranker, query, *, out_of_stock=(), k=2, **request):
    return ranker.search(SearchRequest(query=query, k=k, **request), now=NOON, out_of_stock=out_of_stock)


def names(answer):
    return [ranked.item for ranked in answer.items]


def test_page_after_page_all_that_is_called_so_is_found_before_what_sells(ranker):
    seen = []
    while (answer := search(ranker, "sweet", exclude=seen)).method == "text":
        assert names(answer) and not set(names(answer)) & set(seen)
        seen += names(answer)
    assert set(seen) == set(SWEET)
    assert set(names(search(ranker, "sweet", exclude=seen, k=12))) == set(SALTY)


def test_who_asks_for_more_than_are_looked_at_otherwise_gets_as_many_as_are_called_so(ranker):
    for k in (5, 12):
        answer = search(ranker, "sweet", k=k)
        assert answer.method == "text" and len(names(answer)) == min(k, 6) and set(names(answer)) <= set(SWEET)
    assert set(names(search(ranker, "mug", k=12))) == set(MUGS)


def test_a_filter_finds_what_others_fit_better_than(ranker):
    best = names(search(ranker, "sweet"))
    others = [item for item in SWEET if item not in best][:2]
    answer = search(ranker, "sweet", only=[*others, "tea"])
    assert (answer.method, set(names(answer))) == ("text", set(others))


def test_where_the_best_are_gone_the_next_best_are_found(ranker):
    best = names(search(ranker, "sweet"))
    answer = search(ranker, "sweet", out_of_stock=frozenset(best))
    assert answer.method == "text" and names(answer) and set(names(answer)) <= {*SWEET}.difference(best)
    answer = search(ranker, "sweet", out_of_stock=frozenset(SWEET), k=12)
    assert answer.method == "popularity" and set(names(answer)) == set(SALTY)


def test_what_nobody_has_bought_is_found_beside_others_that_may_not_be_shown(ranker):
    [first] = names(search(ranker, "mug", k=1))
    [second] = names(search(ranker, "mug", out_of_stock=frozenset([first]), k=1))
    [third] = names(search(ranker, "mug", out_of_stock=frozenset([first]), exclude=[second], k=1))
    assert {first, second, third} == set(MUGS)
    assert names(search(ranker, "mug", only=[third])) == [third]


def test_an_item_that_a_filter_let_be_found_is_explained_by_its_name(ranker):
    best = names(search(ranker, "sweet"))
    other = next(item for item in SWEET if item not in best)
    answer = search(ranker, "sweet", only=[other])
    items = tuple(map(ShownItem.of, answer.items))
    shown = Shown(request_id="1", user="", now=NOON, items=items, method=answer.method, query="sweet")
    assert explain(ranker.known, shown, 1).sources == ["name"]
