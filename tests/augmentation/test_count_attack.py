"""Who was counted is told by counts, and by bounded counts no more: on shoppers with rare items of their own."""

from dataclasses import replace

import numpy as np
import pytest

from shoploop.augmentation.generator.counts import bounded_shares, counted_shares
from shoploop.augmentation.generator.records import Behaviour, Vocabulary
from shoploop.augmentation.proofs import privacy_attacks as privacy
from shoploop.augmentation.proofs.count_attack import leaning, pairs_of
from shoploop.evaluation.metrics import auc

ITEMS, FAVOURITES = 600, 12


def shoppers(users: int, seed: int) -> Behaviour:
    """Each has a dozen items, drawn from all alike, and buys them at each of two visits."""
    random = np.random.default_rng(seed)
    item = np.concatenate([np.tile(np.sort(random.choice(ITEMS, FAVOURITES, replace=False)), 2) for _ in range(users)])
    baskets = 2 * users
    return Behaviour(
        item=item,
        kind=0 * item,
        basket=np.repeat(np.arange(baskets), FAVOURITES),
        record=np.repeat(np.arange(users), 2),
        day=np.tile([0, 3], users),
        minute=np.zeros(baskets, np.int64),
        user=np.arange(users),
        condition=np.zeros(users, np.int64),
    )


def drawn_by(shares: np.ndarray, like: Behaviour, times: int = 20) -> Behaviour:
    """So many rows of these shares that hardly any of it is luck."""
    random = np.random.default_rng(9)
    many = like.take(np.tile(np.arange(like.records), times))
    return Behaviour(**{**vars(many), "item": random.choice(ITEMS, len(many.item), p=shares / shares.sum())})


MEMBERS, OTHERS = shoppers(300, 1), shoppers(300, 2)
VOCABULARY = Vocabulary(
    items=tuple(map(str, range(ITEMS))),
    category=np.arange(ITEMS) % 5,
    categories=tuple("abcde"),
    kinds=("purchase",),
    dear=np.zeros(ITEMS, np.float32),
    outside=0.0,
)


def attacked(shares) -> float:
    scores = leaning(np.asarray(1e5 * shares / shares.sum()), MEMBERS, OTHERS, np.random.default_rng(0))
    return auc(np.concatenate(scores), np.repeat([True, False], [len(scores[0]), len(scores[1])]))


def test_the_draw_that_tells_the_least_to_some_tells_less_to_others_as_well():
    choosers = shoppers(300, 3)

    def tells(shares) -> float:
        return privacy.count_auc(np.round(1e7 * shares.astype(float)).astype(int), MEMBERS, choosers, seed=0)

    first, chosen = (
        np.mean([attacked(bounded_shares(MEMBERS, VOCABULARY, seed=seed, tells=asked)) for seed in range(5)])
        for asked in (None, tells)
    )
    assert chosen < first - 0.01


def test_shares_counted_exactly_tell_who_was_counted():
    assert attacked(np.bincount(MEMBERS.item, minlength=ITEMS)) > 0.65


def test_bounded_shares_tell_less_than_half_of_it_even_of_items_with_six_buyers():
    exact = attacked(np.bincount(MEMBERS.item, minlength=ITEMS))
    assert attacked(bounded_shares(MEMBERS, VOCABULARY, seed=0)) - 0.5 < (exact - 0.5) / 2


def test_shares_of_other_people_tell_nothing():
    assert abs(attacked(np.bincount(shoppers(300, 3).item, minlength=ITEMS)) - 0.5) < 0.06


def test_pairs_are_of_one_basket_and_of_the_items_that_are_asked_about():
    bought = Behaviour(
        item=np.array([9, 2, 5, 2, 5]),
        kind=np.zeros(5, np.int64),
        basket=np.array([0, 0, 0, 1, 2]),
        record=np.array([0, 0, 1]),
        day=np.array([1, 2, 1]),
        minute=np.zeros(3, np.int64),
        user=np.array([0, 1]),
        condition=np.zeros(2, np.int64),
    )
    random = np.random.default_rng(0)
    pairs = pairs_of(bought, np.array([2, 9]), random)
    assert (pairs.item.tolist(), pairs.basket.tolist()) == ([1], [0])
    assert pairs_of(bought, np.array([2, 5, 9]), random).item.tolist() == [1, 2, 5]
    assert pairs.take(np.array([1])).item.tolist() == []


def test_of_a_basket_of_hundreds_of_common_items_only_a_few_are_paired():
    rows = np.arange(300)
    one = replace(MEMBERS.take(np.array([0])), item=rows, kind=0 * rows, basket=rows // 299)
    assert len(pairs_of(one, rows, np.random.default_rng(0)).item) == 190


def test_one_who_buys_an_item_thousands_of_times_makes_it_hardly_more_common():
    item = MEMBERS.item.copy()
    item[::FAVOURITES] = 7
    usual = Behaviour(**{**vars(MEMBERS), "item": item})
    rows = np.concatenate([item, np.full(5000, 7)])
    basket = np.concatenate([MEMBERS.basket, np.full(5000, MEMBERS.basket[-1])])
    glutton = Behaviour(**{**vars(usual), "item": rows, "basket": basket, "kind": 0 * rows})
    before, after = (
        np.mean([bounded_shares(side, VOCABULARY, seed=seed)[7] for seed in range(200)]) for side in (usual, glutton)
    )
    assert after < 1.3 * before < counted_shares(glutton, ITEMS)[7]


def test_items_of_few_buyers_are_told_alike_but_for_noise_that_only_who_has_the_counts_can_draw_again():
    item = MEMBERS.item.copy()
    item[item == 10] = 5  # of one category, and with their dozen buyers still of few
    other = Behaviour(**{**vars(MEMBERS), "item": item})
    one, moved = (
        np.stack([bounded_shares(side, VOCABULARY, seed=seed) for seed in range(200)]) for side in (MEMBERS, other)
    )
    assert moved[:, 5].mean() == pytest.approx(one[:, 5].mean(), rel=0.3)
    assert abs(np.corrcoef(np.log(one[0]), np.log(moved[0]))[0, 1]) < 0.2
    assert bounded_shares(MEMBERS, VOCABULARY, seed=0).tolist() == one[0].tolist()


def test_noise_leaves_each_category_its_rows_and_common_items_their_place():
    item = MEMBERS.item.copy()
    item[::2] = 7
    side = Behaviour(**{**vars(MEMBERS), "item": item})
    shares = bounded_shares(side, VOCABULARY, seed=0)
    told, rows = (np.bincount(VOCABULARY.category, values) for values in (shares, np.bincount(item, minlength=ITEMS)))
    assert told == pytest.approx(rows / rows.sum(), rel=1e-3)
    assert shares.argmax() == 7
    assert shares.min() > 0


def test_a_shopper_of_many_records_counts_in_shares_as_much_as_one_of_a_single():
    many = MEMBERS.take(np.concatenate([np.zeros(400, np.int64), np.arange(MEMBERS.records)]))
    one, told = counted_shares(MEMBERS, ITEMS), counted_shares(many, ITEMS)
    assert told == pytest.approx(one, rel=0.2, abs=1e-4)


def test_how_common_what_is_bought_is_stays_about_as_it_was_however_wide_the_noise():
    """What is thinned instead makes all rarer, and what selects by rarity then drops the baskets that show it best."""
    sixty = replace(VOCABULARY, items=VOCABULARY.items[:60], category=VOCABULARY.category[:60])
    bought = 1 / (np.arange(60) + 1)  # the rarest some twenty-five times
    item = np.random.default_rng(4).choice(60, len(MEMBERS.item), p=bought / bought.sum())
    side = Behaviour(**{**vars(MEMBERS), "item": item})
    exact = counted_shares(side, 60)
    told = np.mean([bounded_shares(side, sixty, seed=seed) for seed in range(50)], 0)
    common = [(shares * np.log(exact)).sum() for shares in (exact, told)]
    assert common[1] == pytest.approx(common[0], abs=0.15)


def test_every_attack_succeeds_on_its_control_and_a_significant_one_is_a_reason_by_name():
    counted = drawn_by(np.bincount(MEMBERS.item, minlength=ITEMS).astype(float), MEMBERS, times=2)
    found = privacy.attack(counted, MEMBERS, OTHERS, VOCABULARY, seed=0, losses={"loss": lambda side: side.user})
    told = found.told()
    assert set(told) == {"closest record", "closest basket", "loss", "item counts", "pair counts"}
    assert {name: attack["control"] for name, attack in told.items() if attack["control"] < 0.8} == {}
    assert found.to_json()["blind"] == []
    assert told["item counts"]["auc"] > 0.6
    assert any(reason.startswith("membership can be inferred by item counts") for reason in found.reasons(k=1))


def test_an_attack_that_found_nothing_among_too_few_is_told_as_not_ruled_out():
    reason = privacy.refusal("item counts", (0.52, 0.44, 0.61))
    assert reason is not None
    assert reason.startswith("of too few shoppers it is not ruled out that membership can be inferred by item counts")
    assert privacy.refusal("item counts", (0.52, 0.48, 0.56)) is None
