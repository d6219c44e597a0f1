"""Transfer from a rich domain to a sparse one: who is in which, what is cut away, and that both sides work as much."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from two_tastes import ITEMS, NAMES, interactions, items

from shoploop.augmentation.trials.splitting import prepare_trials
from shoploop.bench.augmentation import transfer
from shoploop.bench.augmentation.transfer import category_domains, gain_of, restrict, shop_domains, transferred
from shoploop.errors import TooFewEvents
from shoploop.features.contract import Contract
from shoploop.features.log import Vocabulary, purchases

GREAT, SMALL = "great", "small"


def trials_of(table):
    return prepare_trials(
        purchases(table), items(), Vocabulary(tuple(NAMES)), Contract(),
        cut_training=False, most_labels=120, most_judged=120, seed=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trials():
    """Of every six shoppers one goes to the small shop."""
    torch.set_num_threads(1)
    number = pl.col("user").str.slice(1).cast(pl.Int32)
    return trials_of(
        interactions(120).with_columns(shop=pl.when(number % 6 == 0).then(pl.lit(SMALL)).otherwise(pl.lit(GREAT)))
    )


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(transfer, "FEWEST_JUDGED", 10)


def names(samples, users):
    return {int(users[code][1:]) for code in samples.users_Q}


def test_shoppers_belong_to_the_shop_they_visit_most(trials, few):
    found = shop_domains(trials)
    assert all(number % 6 for number in names(found.rich, trials.past.users))
    assert not any(number % 6 for number in names(found.sparse, trials.past.users))
    assert names(found.judged, trials.shoppers) == set(range(0, 120, 6))


def test_a_category_keeps_its_own_products_alone(trials):
    salty = np.arange(ITEMS) >= 20
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
        category_domains(trials, items().select("item", "title"))
    with pytest.raises(TooFewEvents, match="No second category"):
        category_domains(trials, items())


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
