from dataclasses import replace

import numpy as np
import pytest
from shop import FIRST, Shop

from shoploop.candidates.fetching import CandidateConfig, fetch_candidates
from shoploop.features.history import History
from shoploop.features.item import ItemMatrix, ItemStatistics
from shoploop.ranking.reasons import ago, reason

DAY = FIRST + 50
TITLES = [f"Item {n}" for n in range(Shop().items)]


@pytest.fixture(scope="module")
def known():
    """Statistics in which nothing was sold, and a catalog in which item 0 speaks for item 1, and item 3 follows item 2."""
    catalog = Shop().catalog()
    items = ItemStatistics(Shop().log()).on(DAY)
    nothing = ItemMatrix(day=DAY, values_IS=np.zeros_like(items.values_IS))
    neighbours, weights = np.zeros_like(catalog.neighbours_IM), np.zeros_like(catalog.neighbour_weights_IM)
    neighbours[0, 0], weights[0, 0] = 1, 0.5
    neighbours[1, 0], weights[1, 0] = 0, 0.5
    after, chances = np.zeros((len(catalog), 2), np.int32), np.zeros((len(catalog), 2), np.float32)
    after[2, 0], chances[2, 0] = 3, 0.25
    catalog = replace(catalog, neighbours_IM=neighbours, neighbour_weights_IM=weights, after_IP=after)
    catalog = replace(catalog, after_weights_IP=chances, lately_IP=after, lately_weights_IP=chances)
    return items, nothing, catalog


def bought(*rows):
    """A history of (item, days before DAY)."""
    items, ages = np.array([i for i, _ in rows], np.int32), np.array([a for _, a in rows], np.int32)
    return History.of(items, DAY - ages, np.ones(len(rows), np.float32))


def named(candidates):
    return {int(item): int(bits) for item, bits in zip(candidates.items_N, candidates.sources_N, strict=True)}


def test_each_candidate_says_which_sources_named_it(known):
    items, nothing, catalog = known
    found = fetch_candidates(bought((0, 3), (7, 9)), day=DAY, items=nothing, catalog=catalog)
    assert named(found) == {0: 0b001, 1: 0b100, 7: 0b001}
    found = fetch_candidates(bought((2, 3)), day=DAY, items=nothing, catalog=catalog)
    assert named(found) == {2: 0b001, 3: 0b11000}
    popular = fetch_candidates(bought((0, 3)), day=DAY, items=items, catalog=catalog, config=CandidateConfig(popular=2))
    assert sum(bits & 0b010 > 0 for bits in named(popular).values()) == 2


def test_what_points_where_the_last_purchases_do_is_alike(known):
    _, nothing, catalog = known
    factors = np.zeros_like(catalog.factors_ID)
    factors[[0, 5, 6], 0], factors[8, 1] = (1.0, 1.0, -1.0), 1.0
    sold = replace(nothing, values_IS=nothing.values_IS.copy())
    sold["purchases_total"][:] = 9.0
    config = CandidateConfig(popular=0, neighbours=0, followers=0, lately=0, alike=3)
    turned = replace(catalog, factors_ID=factors)
    found = fetch_candidates(bought((0, 3)), day=DAY, items=sold, catalog=turned, config=config)
    assert named(found) == {0: 0b001, 5: 0b100000}, "not what points elsewhere, nor what was bought"
    assert named(fetch_candidates(History.empty(), day=DAY, items=sold, catalog=turned, config=config)) == {}


def test_the_best_of_the_kinds_that_were_bought_last_come_in_the_order_of_their_sales(known):
    _, nothing, catalog = known
    kinds = np.full_like(catalog.kind_I, 1)
    kinds[[0, 5, 6, 7]] = 0
    sold = replace(nothing, values_IS=nothing.values_IS.copy())
    sold["purchases_28"][:] = np.arange(len(catalog))
    config = CandidateConfig(popular=0, neighbours=0, followers=0, lately=0, kinds=2)
    found = fetch_candidates(bought((0, 3)), day=DAY, items=sold, catalog=replace(catalog, kind_I=kinds), config=config)
    assert named(found) == {0: 0b001, 6: 0b1000000, 7: 0b1000000}


def test_purchases_of_the_request_day_bring_no_candidate(known):
    _, nothing, catalog = known
    assert named(fetch_candidates(bought((7, 0)), day=DAY, items=nothing, catalog=catalog)) == {}


def test_a_stranger_gets_what_is_popular(known):
    items, _, catalog = known
    found = fetch_candidates(History.empty(), day=DAY, items=items, catalog=catalog, config=CandidateConfig(popular=3))
    assert sorted(named(found)) == sorted(items.by_popularity[:3].tolist())


@pytest.mark.parametrize(
    "item, history, sentence",
    [
        (4, ((4, 28), (4, 19), (4, 10)), "you buy this about every 9 days, last 10 days ago"),
        (4, ((4, 3), (4, 2), (4, 1)), "you buy this about every day, last yesterday"),
        (4, ((4, 8),), "you bought this once, last 8 days ago"),
        (4, ((4, 8), (4, 2)), "you bought this twice, last 2 days ago"),
        (1, ((0, 2),), "often bought with Item 0"),
        (3, ((2, 2),), "often bought after Item 2"),
        (4, ((4, 0), (0, 2)), "new to you"),
    ],
)
def test_a_reason_is_true_and_plain(known, item, history, sentence):
    _, nothing, catalog = known
    assert reason(item, history=bought(*history), day=DAY, items=nothing, catalog=catalog, titles=TITLES) == sentence


@pytest.mark.parametrize("days, words", [(0, "today"), (1, "yesterday"), (2, "2 days ago"), (21, "21 days ago")])
def test_how_long_ago_is_said_in_words(days, words):
    assert ago(days) == words


def test_what_the_shop_does_not_list_or_hardly_goes_with_it_is_no_reason(known):
    _, nothing, catalog = known
    nameless = tuple(f"Unlisted item {item}" for item in range(len(TITLES)))
    weak = replace(catalog, neighbour_weights_IM=np.minimum(catalog.neighbour_weights_IM, 0.01))
    for titles, known_pairs in ((nameless, catalog), (TITLES, weak)):
        said = reason(1, history=bought((0, 2)), day=DAY, items=nothing, catalog=known_pairs, titles=titles)
        assert not said.startswith("often bought with")


def test_what_sells_more_this_week_than_this_month_is_popular_this_week(known):
    _, nothing, catalog = known
    items = ItemMatrix(day=DAY, values_IS=nothing.values_IS.copy())
    items["rate_7"][[4, 5]], items["rate_28"][[4, 5]], items["purchases_28"][[4, 5]] = (0.4, 0.1), 0.1, 5

    def said(item):
        return reason(item, history=History.empty(), day=DAY, items=items, catalog=catalog, titles=TITLES)

    assert said(4) == "popular this week" and said(5) == "popular this month"
