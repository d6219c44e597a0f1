"""The shop that tests share is what its docstring tells."""

import numpy as np
import polars as pl
from shop import FIRST, SALTY, SWEET, Shop, two_tastes

SHOP = Shop()


def bought_by(user):
    """Days by item."""
    own = SHOP.interactions().filter(pl.col("user") == user)
    return dict(own.group_by("item").agg(pl.col("time").dt.date().n_unique()).rows())


def test_ann_and_bob_buy_the_item_of_their_own_and_every_second_time_the_first_of_their_taste():
    assert bought_by("ann") == {"milk": 20, "apples": 10}
    assert bought_by("bob") == {"tea": 20, "nuts": 10}


def test_apples_and_then_nuts_are_bought_most():
    sold = SHOP.interactions()["item"].value_counts(sort=True)
    assert sold.rows()[:2] == [("apples", 80), ("nuts", 70)]
    assert sold["count"][2] == 40
    assert set(sold["item"]) == {*SWEET, *SALTY}


def test_the_north_buys_salty_things_and_the_south_sweet_ones():
    items = dict(SHOP.interactions().group_by("shop").agg(pl.col("item").unique().sort()).rows())
    assert items == {"north": list(SALTY), "south": list(SWEET)}


def test_codes_are_places_whatever_the_size():
    for shop in (SHOP, two_tastes(20)):
        assert list(shop.names) == sorted(shop.names) and len(shop.names) == shop.items
        assert shop.log().users == shop.people
        assert shop.described().filter(pl.col("item") == "milk")["price"].item() == 3.5


def test_everybody_comes_in_the_days_of_evaluation_and_ann_last_three_days_before_the_day_served_on():
    log, split = SHOP.log(), SHOP.split
    assert (split.training_first, split.evaluation_first, split.serving) == (FIRST + 32, FIRST + 53, FIRST + 60)
    assert np.unique(log.user_R[log.day_R >= split.evaluation_first]).tolist() == list(range(15))
    assert log.day_R[log.user_R == 0].max() == split.serving - 3
