"""Fidelity on data whose answer is plain: real against real is at its floor, noise is far from it, copying is seen."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from shop import two_tastes

from shoploop.augmentation.generator.records import build_vocabulary, read_behaviour, split_users
from shoploop.augmentation.proofs import fidelity, two_sample
from shoploop.augmentation.proofs.controls import sample_noise, sample_popularity

SHOP = two_tastes(300)


@pytest.fixture(scope="module")
def sides():
    """Two halves of the shoppers that nobody learned from, a third as the hold-out, and what items there are."""
    seen, hidden = split_users(SHOP.interactions(), share=0.34, random=np.random.default_rng(0))
    vocabulary = build_vocabulary(seen, SHOP.described(), min_buyers=2)
    known = read_behaviour(seen, vocabulary)
    users = np.random.default_rng(1).permutation(np.unique(known.user))
    first = np.isin(known.user, users[::2])
    halves = [known.take(np.flatnonzero(side)) for side in (first, ~first)]
    return *halves, read_behaviour(hidden, vocabulary), vocabulary


def test_real_shoppers_pass_every_statistic_against_other_real_ones(sides):
    one, other, held, vocabulary = sides
    found = fidelity.measure(one, other, held, vocabulary, seed=0)
    assert {name for name, marginal in found.items() if not marginal.passed} == set()


def test_shoppers_who_buy_anything_fail_where_real_ones_have_a_taste(sides):
    one, other, held, vocabulary = sides
    noise = sample_noise(one, one.records, vocabulary, seed=0)
    found = fidelity.measure(noise, other, held, vocabulary, seed=0)
    assert not found["co_occurrence"].passed
    assert not found["category_transitions"].passed


def test_baskets_of_twice_the_size_fail_on_size_alone_among_the_sizes_and_pauses(sides):
    one, other, held, vocabulary = sides
    random = np.random.default_rng(0)
    more = replace(
        one,
        item=np.concatenate([one.item, random.integers(len(vocabulary), size=len(one.item))]),
        kind=np.concatenate([one.kind, one.kind]),
        basket=np.concatenate([one.basket, one.basket]),
    )
    order = np.argsort(more.basket, kind="stable")
    doubled = replace(more, item=more.item[order], kind=more.kind[order], basket=more.basket[order])
    found = fidelity.measure(doubled, other, held, vocabulary, seed=0)
    assert not found["basket_size"].passed
    assert found["inter_purchase_time"].passed


def test_visits_that_are_all_on_thursdays_fail_on_weekdays_and_on_no_hour(sides):
    one, other, held, vocabulary = sides
    found = fidelity.measure(replace(one, day=one.day // 7 * 7), other, held, vocabulary, seed=0)
    assert not found["weekdays"].passed
    assert found["weekdays"].distance > 0.8
    assert found["hour"].passed


def test_a_classifier_tells_shoppers_without_taste_from_real_ones_and_not_real_from_real(sides):
    one, other, held, vocabulary = sides
    popularity = np.bincount(other.item, minlength=len(vocabulary)).astype(np.float32) / len(other.item)
    tasteless = sample_popularity(one, held.records, vocabulary, seed=0)
    told = two_sample.compare(tasteless, held, vocabulary, popularity, seed=0)
    same = two_sample.compare(one, held, vocabulary, popularity, seed=0)
    assert told.auc >= 0.9
    assert abs(same.auc - 0.5) < 0.12


def test_copies_of_what_it_learned_from_have_no_novelty(sides):
    one, other, held, vocabulary = sides
    copied = fidelity.coverage_and_novelty(other, other, held, vocabulary)
    mixed = sample_noise(one, one.records, vocabulary, seed=0)
    new = fidelity.coverage_and_novelty(mixed, other, held, vocabulary)
    assert copied["novelty"] == 0
    assert new["novelty"] > 0.3
    assert copied["coverage"] == 1


def test_where_a_basket_is_one_item_no_pair_is_new():
    events = SHOP.interactions()
    single = events.filter(pl.struct("user", pl.col("time").dt.date()).is_first_distinct())
    vocabulary = build_vocabulary(single, SHOP.described(), min_buyers=2)
    known = read_behaviour(single, vocabulary)
    found = fidelity.coverage_and_novelty(known, known, known, vocabulary)
    assert (found["novelty"], found["novelty_real"]) == (0.0, 0.0)


def test_the_order_of_rows_changes_no_number(sides):
    one, other, held, vocabulary = sides
    again = one.take(np.arange(one.records))
    first = fidelity.measure(one, other, held, vocabulary, seed=3)
    assert first == fidelity.measure(again, other, held, vocabulary, seed=3)


def test_an_item_of_too_few_buyers_is_spoken_of_by_nobody():
    bought = two_tastes(60).interactions()
    rare = pl.concat([bought, bought.filter(pl.col("user") == "ann").with_columns(item=pl.lit("secret"))])
    vocabulary = build_vocabulary(rare, SHOP.described(), min_buyers=5)
    assert "secret" not in vocabulary.items
    assert vocabulary.outside > 0


def test_a_kind_of_interaction_of_too_few_is_named_by_nobody():
    bought = two_tastes(60).interactions()
    one, some = bought.filter(pl.col("user") == "ann"), bought.filter(pl.col("user") != "ann")
    rare = pl.concat([bought, one.with_columns(kind=pl.lit("returned")), some.with_columns(kind=pl.lit("cart"))])
    assert build_vocabulary(rare, SHOP.described(), min_buyers=5).kinds == ("purchase", "cart")
