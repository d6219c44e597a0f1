"""What sells in the shop that a request names. Two shops: the south sells sweet things, the north salty ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop import FIRST, Shop

from shoploop.errors import SchemaMismatch, TooFewEvents
from shoploop.features.contract import OF_IN_SHOP, Contract, resolve
from shoploop.features.in_shop import InShops, ShopItems, nowhere, refuse_unnamed
from shoploop.samples.named_shops import with_shops
from shoploop.samples.sample_set import Request

SHOP = Shop()
LOG = SHOP.log()
ALL = np.arange(len(SHOP.names), dtype=np.int32)
CONTRACT = Contract(pair_features=(*Contract().pair_features, *sorted(OF_IN_SHOP)))
MILK, NUTS = SHOP.names.index("milk"), SHOP.names.index("nuts")


def features(found: InShops, shop: str | None):
    here = found.at(shop)
    return nowhere(ALL) if here is None else here.features(ALL)


def test_of_each_item_is_told_how_often_it_was_bought_there():
    found = features(ShopItems(LOG).on(FIRST + 60), "south")
    assert np.expm1(found["here_ever"][MILK]) == pytest.approx(40)  # by ann and kim, on every third day
    assert np.expm1(found["here_28"][MILK]) == pytest.approx(18)  # of days 32 to 59
    assert found["here_ever"][NUTS] == 0 and found["here_named"].tolist() == [1] * len(ALL)


def test_what_sells_there_more_than_elsewhere_is_above_0_and_what_does_not_below():
    found = ShopItems(LOG).on(FIRST + 60)
    for shop, more, less in (("south", MILK, NUTS), ("north", NUTS, MILK)):
        over = features(found, shop)["here_over_91"]
        assert over[more] > 0 > over[less]


@pytest.mark.parametrize("shop", [None, "elsewhere", ""])
def test_where_no_shop_is_named_or_nobody_bought_there_all_is_0(shop):
    assert not any(values_N.any() for values_N in features(ShopItems(LOG).on(FIRST + 60), shop).values())


def test_a_shop_has_nothing_on_its_first_day():
    assert ShopItems(LOG).on(FIRST).at("south") is None


@settings(max_examples=20, deadline=None)
@given(day=st.integers(1, 60), moved=st.integers(0, 2**31))
def test_purchases_of_the_day_and_later_change_nothing(day, moved):
    later_R = LOG.day_R >= FIRST + day
    random = np.random.default_rng(moved)
    kept = LOG.where(~later_R | (random.random(len(LOG)) < 0.5))
    for shop in ("north", "south"):
        one, other = (features(ShopItems(log).on(FIRST + day), shop) for log in (LOG, kept))
        for name in OF_IN_SHOP:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_a_package_holds_what_was_counted(tmp_path):
    counted = ShopItems(LOG).on(FIRST + 60)
    counted.write(tmp_path, SHOP.vocabulary)
    read = InShops.of_package(tmp_path, CONTRACT, SHOP.vocabulary)
    for shop in ("north", "south", "elsewhere"):
        for name, values_N in features(counted, shop).items():
            np.testing.assert_array_equal(features(read, shop)[name], values_N, err_msg=name)


def test_a_package_of_another_contract_has_none_and_one_that_lost_its_file_says_so(tmp_path):
    assert InShops.of_package(tmp_path, Contract(), SHOP.vocabulary) is None
    with pytest.raises(SchemaMismatch, match="the shop that a request names"):
        InShops.of_package(tmp_path, CONTRACT, SHOP.vocabulary)


def test_only_who_asks_for_them_has_such_features():
    tables = {name: SHOP.tables()[name] for name in ("interactions", "items", "users")}
    assert not OF_IN_SHOP & set(resolve(**tables).pair_features)
    assert set(resolve(**tables, in_shop=True).pair_features) >= OF_IN_SHOP
    refuse_unnamed(tables["interactions"])
    with pytest.raises(TooFewEvents, match="no purchase names its shop"):
        refuse_unnamed(tables["interactions"].with_columns(shop=None))


def test_half_of_the_requests_name_the_shop_of_their_purchases_and_the_same_half_under_a_seed():
    requests = [
        Request(user=user, day=int(day))
        for user in range(len(LOG.users))
        for day in np.unique(LOG.day_R[LOG.user_R == user])
    ]
    named = with_shops(requests, LOG, seed=0)
    assert named == with_shops(requests, LOG, seed=0) != with_shops(requests, LOG, seed=1)
    shops = np.array([request.shop for request in named])
    assert 0.4 < (shops >= 0).mean() < 0.6
    south = LOG.shops.index("south")
    assert {request.shop == south for request in named if request.shop >= 0 and request.user % 2 == 0} == {True}


def test_a_request_of_a_day_without_a_purchase_names_none():
    [asked] = with_shops([Request(user=0, day=FIRST + 1)], LOG, seed=0, share=1.0)
    assert asked.shop == -1
