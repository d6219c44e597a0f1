"""Visits as a predictor has them: what is packaged is what the tables say."""

import numpy as np
import polars as pl
import pytest
from shop import FIRST, Shop

from shoploop.features.log import purchases
from shoploop.ranking import visits
from shoploop.ranking.visits import SHOPS, read_visits, write_visits
from shoploop.surfaces.shops.memory import ShopMemory
from shoploop.surfaces.shops.visits import visits_of

SHOP = Shop()
NORTH, SOUTH = 0, 1


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranker")
    write_visits(SHOP.interactions(), folder, shops=SHOP.tables()["shops"])
    return read_visits(folder)


def test_everybody_has_the_visits_that_they_made(packaged):
    known = visits_of(purchases(SHOP.interactions()))
    for number, user in enumerate(SHOP.people):
        told = packaged.history(user)
        expected = known.history(known.users.index(user), before=FIRST + SHOP.days)
        assert set(told.shops_H) == {SOUTH if number % 2 == 0 else NORTH}
        for name in ("shops_H", "days_H", "sizes_H"):
            np.testing.assert_array_equal(getattr(told, name), getattr(expected, name), err_msg=user)
    assert packaged.history("ann").days_H.tolist() == list(range(FIRST, FIRST + 60, 3))
    assert packaged.history("ann").sizes_H.tolist() == [2, 1] * 10


@pytest.mark.parametrize("user", ["", "a", "anna", "zoe", "💐"])
def test_of_a_stranger_nothing_is_known(packaged, user):
    assert len(packaged.history(user)) == 0


def test_shops_have_codes_and_titles(packaged):
    assert (packaged.shops, packaged.titles) == (("north", "south"), ("North", "South"))
    assert [packaged.code(shop) for shop in ("north", "south", "atlantis", "")] == [NORTH, SOUTH, -1, -1]
    assert packaged.codes(["south", "atlantis", "north", "south"]).tolist() == [NORTH, SOUTH]


def test_what_is_remembered_is_that_of_the_day_after_the_last(packaged):
    expected = ShopMemory(visits_of(purchases(SHOP.interactions()))).as_of(FIRST + SHOP.days)
    np.testing.assert_array_equal(packaged.recall.lately_P, expected.lately_P)
    np.testing.assert_array_equal(packaged.recall.next_PP.toarray(), expected.next_PP.toarray())
    np.testing.assert_array_equal(packaged.recall.near_PP.toarray(), expected.near_PP.toarray())
    assert expected.next_PP[SOUTH, SOUTH] == 1, "nobody goes anywhere else"


def test_of_who_comes_often_the_latest_visits_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(visits, "MOST_VISITS", 2)
    write_visits(SHOP.interactions(), tmp_path)
    assert read_visits(tmp_path).history("ann").days_H.tolist() == [FIRST + 54, FIRST + 57]


@pytest.mark.parametrize("shops", [None, pl.DataFrame({"shop": ["north"]})], ids=["no table", "no column"])
def test_shops_that_nobody_gave_a_title_have_none(tmp_path, shops):
    write_visits(SHOP.interactions(), tmp_path, shops=shops)
    assert read_visits(tmp_path).titles == (None, None)


def test_where_no_purchase_names_its_shop_nothing_is_written_or_read(tmp_path):
    write_visits(SHOP.interactions().with_columns(shop=pl.lit(None, pl.String)), tmp_path)
    assert list(tmp_path.iterdir()) == [] and not (tmp_path / SHOPS).exists()
    assert read_visits(tmp_path) is None
