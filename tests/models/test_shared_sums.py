"""The DNN's first layer with what candidates share computed once: the same sums, and the features that are shared are."""

import numpy as np
import pytest
import torch
from shop import FIRST, Shop

from shoploop.features.contract import PAIR_FEATURES, Contract
from shoploop.features.history import History, history_of
from shoploop.features.item import ItemStatistics
from shoploop.features.own_history import BOUGHT, OF_GROUP, OF_KIND, OF_OWN_PURCHASES
from shoploop.features.pairs import OF_ITEM, OF_REQUEST, pair_parts
from shoploop.features.shop import ShopRow
from shoploop.features.user import UserRow, user_rows, user_stats
from shoploop.models.behaviour import Behaviour
from shoploop.models.pieces import quantile_pieces
from shoploop.models.shared_sums import SharedSums

SHOP, DAY = Shop(items=40), FIRST + 55
NAMES = Contract().pair_features
EVERYTHING = np.arange(40, dtype=np.int32)


def parts(who: int, items=EVERYTHING):
    """What is known of a shopper and these items on the day, by what it depends on."""
    log = SHOP.log()
    (user,) = user_rows(user_stats(log), [log.users[who]], [DAY])
    return pair_parts(
        history=history_of(log, who, before=DAY), candidates_N=items, day=DAY, items=ItemStatistics(log).on(DAY),
        catalog=SHOP.catalog(), user=user, shop=ShopRow(visits_28=3.0),
    )  # fmt: skip


def features(who: int, items=EVERYTHING):
    return parts(who, items).whole(Contract())


def for_nobody(items=EVERYTHING):
    """As a predictor makes what is everybody's: of nobody, on no day."""
    return pair_parts(
        history=History.empty(), candidates_N=items, day=0, items=ItemStatistics(SHOP.log()).on(DAY),
        catalog=SHOP.catalog(), user=UserRow(),
    )  # fmt: skip


def in_pieces():
    return [for_nobody(EVERYTHING[first : first + 16]) for first in range(0, len(EVERYTHING), 16)]


@pytest.fixture(scope="module")
def behaviour():
    """A DNN whose every weight counts."""
    torch.manual_seed(0)
    seen_RK = np.concatenate([features(who) for who in range(6)])
    pieces = quantile_pieces(seen_RK, seen_RK[:, NAMES.index(BOUGHT)] > 0, most=6)
    made = Behaviour(Behaviour.Config(features=len(NAMES), pieces=len(pieces), hidden=(8, 4))).eval()
    made.cut(pieces)
    made.standardise(torch.from_numpy(seen_RK.mean(axis=0)), torch.from_numpy(seen_RK.std(axis=0)))
    return made


def columns(names):
    return [NAMES.index(name) for name in names if name in NAMES]


def test_features_of_the_request_are_the_same_for_all_of_its_candidates():
    for who in range(4):
        of_request_NC = features(who)[:, columns(OF_REQUEST)]
        np.testing.assert_array_equal(of_request_NC, of_request_NC[:1].repeat(40, axis=0))


def test_features_of_an_item_are_the_same_for_everybody_and_whatever_the_day():
    for who in range(4):
        np.testing.assert_array_equal(
            features(who)[:, columns(OF_ITEM)], for_nobody().whole(Contract())[:, columns(OF_ITEM)]
        )


def test_what_is_shared_are_features_and_each_is_shared_for_one_reason():
    shared = [*OF_ITEM, *OF_REQUEST, *OF_OWN_PURCHASES, *OF_KIND, *OF_GROUP]
    assert set(shared) <= {feature.name for feature in PAIR_FEATURES}
    assert len(shared) == len(set(shared))


def test_features_of_own_purchases_are_the_same_for_all_that_was_never_bought():
    for who in range(4):
        found_NK = features(who)
        never_RC = found_NK[found_NK[:, NAMES.index(BOUGHT)] == 0][:, columns(OF_OWN_PURCHASES)]
        assert 30 < len(never_RC) < 40
        np.testing.assert_array_equal(never_RC, never_RC[:1].repeat(len(never_RC), axis=0))


@pytest.mark.parametrize(("of", "codes"), [(OF_KIND, "kind_I"), (OF_GROUP, "group_I")])
def test_features_of_a_kind_are_the_same_for_all_of_the_kind_and_one_where_nothing_of_it_was_bought(of, codes):
    code_I = getattr(SHOP.catalog(), codes)
    for who in range(4):
        log, found_NC = SHOP.log(), features(who)[:, columns(of)]
        bought = {int(code_I[item]) for item in history_of(log, who, before=DAY).items_H}
        for code in set(code_I.tolist()):
            of_code_NC = found_NC[code_I == code]
            wanted_C = of_code_NC[0] if code in bought else np.array([of[name] for name in of], np.float32)
            np.testing.assert_array_equal(of_code_NC, np.tile(wanted_C, (len(of_code_NC), 1)))


def test_of_nobody_the_sums_are_those_of_all_features_at_once(behaviour):
    with torch.no_grad():
        wanted_NH = behaviour.sums(torch.from_numpy(for_nobody().whole(Contract()).copy())).numpy()
    np.testing.assert_allclose(SharedSums(behaviour, NAMES, in_pieces())(for_nobody()), wanted_NH, atol=2e-5)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("items", [EVERYTHING, EVERYTHING[::3], np.array([5], np.int32)])
def test_the_sums_are_those_of_all_features_at_once(behaviour, items, kept):
    shared = SharedSums(behaviour, NAMES, in_pieces() if kept else None)
    for who in range(6):
        found_NK = features(who, items)
        with torch.no_grad():
            wanted_NH = behaviour.sums(torch.from_numpy(found_NK.copy())).numpy()
        np.testing.assert_allclose(shared(parts(who, items)), wanted_NH, atol=2e-5)


def test_somebody_who_has_bought_all_that_is_asked_for_shares_nothing_of_their_own_purchases(behaviour):
    shared = SharedSums(behaviour, NAMES, None)
    found_NK = features(0)
    bought = EVERYTHING[found_NK[:, NAMES.index(BOUGHT)] > 0]
    with torch.no_grad():
        wanted_NH = behaviour.sums(torch.from_numpy(features(0, bought).copy())).numpy()
    np.testing.assert_allclose(shared(parts(0, bought)), wanted_NH, atol=2e-5)


def test_a_contract_without_ones_own_days_is_summed_all_the_same():
    names = tuple(name for name in NAMES if name != BOUGHT)
    torch.manual_seed(1)
    made = Behaviour(Behaviour.Config(features=len(names), hidden=(8,))).eval()
    found_NK = np.ascontiguousarray(features(0)[:, [NAMES.index(name) for name in names]])
    with torch.no_grad():
        wanted_NH = made.sums(torch.from_numpy(found_NK)).numpy()
    np.testing.assert_allclose(SharedSums(made, names, None)(parts(0)), wanted_NH, atol=2e-5)


@pytest.mark.parametrize(
    "of",
    [OF_ITEM, OF_REQUEST, OF_OWN_PURCHASES, OF_KIND, OF_GROUP],
    ids=["item", "request", "own purchases", "kind", "group"],
)
def test_a_contract_without_one_kind_of_features_is_summed_all_the_same(of):
    names = tuple(name for name in NAMES if name not in of)
    torch.manual_seed(1)
    made = Behaviour(Behaviour.Config(features=len(names), hidden=(8,))).eval()
    found_NK = np.ascontiguousarray(features(0)[:, [NAMES.index(name) for name in names]])
    with torch.no_grad():
        wanted_NH = made.sums(torch.from_numpy(found_NK)).numpy()
    for kept in (in_pieces(), None):
        np.testing.assert_allclose(SharedSums(made, names, kept)(parts(0)), wanted_NH, atol=2e-5)


def test_a_line_has_no_layer_to_share():
    with pytest.raises(ValueError, match="without a hidden layer"):
        SharedSums(Behaviour(Behaviour.Config(features=len(NAMES), hidden=())), NAMES, None)
