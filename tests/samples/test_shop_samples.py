"""The samples of visits: which are learned from, and that no sample knows the visit that it is to foresee."""

import numpy as np
import polars as pl
import pytest
from shop import TRAINING, Shop

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.errors import TooFewEvents
from shoploop.features.materialize import materialize_features
from shoploop.features.shop import refuse_shopless
from shoploop.samples.files import read_samples
from shoploop.samples.shop_step import SHOP_NAMES, SHOPS, choose_shop_visits, read_visits, write_shops
from shoploop.samples.shops import SHOP_COLUMNS, assemble_shops
from shoploop.surfaces.shops.memory import ShopMemory

SHOP = Shop()
NORTH, SOUTH = 0, 1


@pytest.fixture(scope="module")
def samples(searching_shop):
    return searching_shop / "samples" / SHOPS


def test_a_split_has_the_visits_of_its_days_and_right_is_where_they_went(samples):
    splits = {name: read_samples(samples, SHOP_COLUMNS, name) for name in ("train", "validation", "evaluation")}
    first = SHOP.split.evaluation_first
    assert splits["train"].days_Q.max() < first and splits["validation"].days_Q.max() < first
    assert splits["evaluation"].days_Q.min() >= first and len(splits["evaluation"]) == 15 * 7 // 3
    names = pl.read_parquet(samples / SHOP_NAMES)["shop"].to_list()
    assert names == ["north", "south"]
    held_out = splits["evaluation"]
    assert held_out.truth_T.tolist() == [SOUTH if user % 2 == 0 else NORTH for user in held_out.users_Q]
    assert held_out.items_R[held_out.labels_R].tolist() == held_out.truth_T.tolist()


def test_baskets_are_told_with_the_shop_where_they_were_bought(samples):
    held_out = read_samples(samples, SHOP_COLUMNS, "evaluation")
    for q in range(len(held_out)):
        there_L = held_out.ages_QL[q] >= 0
        assert (held_out.shops_QL[q][there_L] == held_out.truth(q)[0]).all()
        assert (held_out.shops_QL[q][~there_L] == -1).all()


def test_a_basket_of_a_day_without_a_visit_has_no_shop(tmp_path):
    rows = SHOP.interactions()
    rows.with_columns(shop=pl.when(pl.col("time").dt.ordinal_day() % 2 == 0).then("shop")).write_parquet(
        tmp_path / "interactions.parquet"
    )
    visits = read_visits(tmp_path)
    found = assemble_shops(visits, np.arange(len(visits)), ShopMemory(visits), log=SHOP.log())
    last = len(found) - 1
    assert set(found.shops_QL[last]) == {-1, found.truth(last)[0]}


def test_too_few_visits_are_named_with_the_days_they_were_looked_for_in(searching_shop):
    visits = read_visits(searching_shop / "data")
    with pytest.raises(TooFewEvents, match=r"leave Shops out of spec\.training\.surfaces"):
        choose_shop_visits(visits, Shop(days=200).split, seed=0)


@pytest.mark.parametrize(
    ("shops", "words"),
    [([None, None], "No purchase names the shop"), (["north", None], "All purchases .* name 'north'")],
)
def test_a_log_that_names_no_two_shops_is_refused_by_name(shops, words):
    with pytest.raises(TooFewEvents, match=words):
        refuse_shopless(pl.DataFrame({"shop": shops}, schema={"shop": pl.String}))


def test_it_is_refused_before_anything_is_computed(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    tables = SHOP.tables()
    for name in ("users", "items"):
        tables[name].write_parquet(data / f"{name}.parquet")
    tables["interactions"].with_columns(shop=pl.lit("south")).write_parquet(data / "interactions.parquet")
    asked = TrainingSpec(**TRAINING.model_dump() | {"surfaces": ["Items", "Shops"]})
    with pytest.raises(TooFewEvents, match="name 'south'"):
        materialize_features(data=data, out=tmp_path / "features", training_spec=asked)
    assert not (tmp_path / "features").exists()
    with pytest.raises(TooFewEvents, match="name 'south'"):
        write_shops(data, tmp_path / "samples", windows=SHOP.split, log=SHOP.log(), seed=0)
    assert not (tmp_path / "samples").exists()
