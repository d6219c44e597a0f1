"""Transfer from a rich domain to a sparse one: who is in which, what is cut away, and that both sides work as much."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from shop import two_tastes

from shoploop.augmentation.trials.splitting import prepare_trials
from shoploop.bench.augmentation import transfer
from shoploop.bench.augmentation.transfer import category_domains, gain_of, restrict, shop_domains, transferred
from shoploop.errors import TooFewEvents
from shoploop.features.contract import Contract
from shoploop.features.log import purchases

SHOP = two_tastes(120)
GREAT, SMALL = "great", "small"


def trials_of(table):
    return prepare_trials(
        purchases(table), SHOP.described(), SHOP.vocabulary, Contract(),
        cut_training=False, most_labels=120, most_judged=120, seed=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trials():
    """Of every six shoppers one goes to the small shop."""
    torch.set_num_threads(1)
    shop = pl.when(SHOP.numbers() % 6 == 0).then(pl.lit(SMALL)).otherwise(pl.lit(GREAT))
    return trials_of(SHOP.interactions().with_columns(shop=shop))


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(transfer, "FEWEST_JUDGED", 10)


def numbers(samples, users):
    return {SHOP.people.index(users[code]) for code in samples.users_Q}


def test_shoppers_belong_to_the_shop_they_visit_most(trials, few):
    found = shop_domains(trials)
    assert all(number % 6 for number in numbers(found.rich, trials.past.users))
    assert not any(number % 6 for number in numbers(found.sparse, trials.past.users))
    assert numbers(found.judged, trials.shoppers) == set(range(0, 120, 6))


def test_a_category_keeps_its_own_products_alone(trials):
    salty = np.arange(SHOP.items) >= 20
    kept = restrict(trials.overall, salty)
    assert 0 < len(kept) < len(trials.overall)
    assert salty[kept.items_R].all()
    assert salty[kept.truth_T].all()
    assert len(kept.offsets_Q1) == len(kept) + 1
    assert (np.diff(kept.truth_offsets_Q1) > 0).all()
    first = kept.rows(0)
    assert first.stop - first.start == kept.offsets_Q1[1]


def test_a_shop_of_one_kind_has_nothing_to_transfer(trials):
    with pytest.raises(TooFewEvents, match="two"):
        category_domains(trials, SHOP.described().select("item", "title"))
    with pytest.raises(TooFewEvents, match="No second category"):
        category_domains(trials, SHOP.described())


def test_a_data_set_that_names_no_shop_is_refused_by_name(trials):
    without = replace(trials, bought=trials.bought.with_columns(shop=pl.lit(None, pl.String)))
    with pytest.raises(TooFewEvents, match="names 0 shops"):
        shop_domains(without)


def test_a_sparse_domain_of_too_few_shoppers_is_refused_by_name(trials):
    with pytest.raises(TooFewEvents, match="20 to judge on"):
        shop_domains(trials)


def test_a_gain_is_told_with_its_interval_and_both_domains(trials, few):
    domains = shop_domains(trials)
    found = transferred(trials, domains, epochs=1)
    assert len(found["transferred"]) == len(found["alone"]) == len(domains.judged)
    told = gain_of([found], domains, seed=0)
    assert told["interval"][0] <= told["ndcg@10_gain"] <= told["interval"][1]
    assert told["from"] == "the 1 greatest shops"
    assert told["judged"] == 20
