import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_rows import catalog_of, features_at, log_of
from shop import FIRST

from shoploop.features.contract import PAIR_FEATURES, Contract
from shoploop.features.history import History
from shoploop.features.log import Vocabulary

NAMES = [feature.name for feature in PAIR_FEATURES]
MILK_EVERY_WEEK = [("anna", "milk", day) for day in (0, 7, 14, 21)] + [("anna", "bread", 21), ("bob", "salt", 3)]


def value(features, log, item, name):
    return float(features[log.vocabulary.code(item), NAMES.index(name)])


def test_a_weekly_purchase_is_due_after_a_week():
    log = log_of(MILK_EVERY_WEEK)
    features = features_at(log, catalog_of(log), "anna", 28)
    assert value(features, log, "milk", "own_due") == pytest.approx(1.0)
    assert value(features, log, "milk", "own_days") == pytest.approx(math.log(5))
    assert value(features, log, "milk", "own_share") == pytest.approx(1.0)
    assert value(features, log, "milk", "own_gap_days") == pytest.approx(math.log(8))
    assert value(features, log, "milk", "own_gap_spread") == pytest.approx(0.0)
    assert value(features, log, "milk", "own_weekday_share") == pytest.approx(1.0)
    assert value(features, log, "milk", "own_focus") == pytest.approx(3.5)
    assert value(features, log, "bread", "own_due") == 0
    assert value(features, log, "bread", "own_in_last") == 1
    assert value(features, log, "salt", "own_days") == 0
    assert value(features, log, "salt", "own_since_days") == pytest.approx(math.log(401))


def test_what_is_bought_at_weekends_alone_is_told_from_what_is_bought_on_workdays():
    monday = (4 - FIRST) % 7  # 1970-01-05 was one
    log = log_of([("anna", "tea" if day < 5 else "buns", monday + day) for day in range(7)])
    catalog = catalog_of(log)

    def rates(name, day):
        features = features_at(log, catalog, "anna", monday + day)
        return [value(features, log, item, name) for item in ("tea", "buns")]

    # what is usual, five and two of seven visits, counts as much as two visits: 5 + 2 * 5/7 of 5 + 2
    assert rates("own_weekend_rate", 7) == pytest.approx([6.43 / 7, 0.57 / 7], abs=0.02)
    assert rates("own_weekend_rate", 12) == pytest.approx([1.43 / 4, 2.57 / 4], abs=0.02)
    assert rates("own_weekday_rate", 7) == pytest.approx([2.43 / 3, 0.57 / 3], abs=0.02)
    assert rates("own_weekday_rate", 13) == pytest.approx([1.43 / 3, 1.57 / 3], abs=0.02)


def test_decays_count_days_and_baskets():
    log = log_of(MILK_EVERY_WEEK)
    features = features_at(log, catalog_of(log), "anna", 28)
    assert value(features, log, "milk", "own_decay_days_90") == pytest.approx(
        sum(math.exp(-age / 90) for age in (7, 14, 21, 28)), rel=1e-5
    )
    assert value(features, log, "milk", "own_decay_baskets_90") == pytest.approx(1 + 0.9 + 0.81 + 0.729)


def test_every_feature_is_finite_for_a_stranger_in_an_empty_shop():
    log = log_of(MILK_EVERY_WEEK)
    catalog = catalog_of(log)
    assert np.isfinite(features_at(log, catalog, "bob", 0)).all()
    assert np.isfinite(features_at(log, catalog, "anna", 5000)).all()


def test_the_contract_picks_and_orders_the_columns():
    log = log_of(MILK_EVERY_WEEK)
    catalog = catalog_of(log)
    whole = features_at(log, catalog, "anna", 28)
    two = features_at(log, catalog, "anna", 28, Contract(pair_features=("item_rate_7", "own_days")))
    assert two[:, 0].tolist() == whole[:, NAMES.index("item_rate_7")].tolist()
    assert two[:, 1].tolist() == whole[:, NAMES.index("own_days")].tolist()


rows = st.lists(
    st.tuples(st.sampled_from(["u0", "u1", "u2"]), st.sampled_from(["a", "b", "c", "d", "e"]), st.integers(0, 40)),
    min_size=3,
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(past=rows, future=rows, moved=rows, request=st.integers(1, 39))
def test_rows_of_the_request_day_and_later_change_no_feature(past, future, moved, request):
    def shop(later):
        kept = [(u, i, d) for u, i, d in past if d < request] + [("u0", "a", 0)]
        return log_of(kept + [(u, i, d + request) for u, i, d in later], ["a", "b", "c", "d", "e"])

    before = catalog_of(log_of([("u0", "a", 0), ("u0", "b", 0), ("u1", "a", 1)], ["a", "b", "c", "d", "e"]))
    one, other = shop(future), shop(moved)
    np.testing.assert_array_equal(features_at(one, before, "u0", request), features_at(other, before, "u0", request))


@settings(max_examples=40, deadline=None)
@given(rows=rows)
def test_a_history_read_back_from_item_ids_is_the_same_history(rows):
    vocabulary = Vocabulary(("a", "b", "c", "d"))  # e is unknown
    items, days = [i for _, i, _ in rows], [d for _, _, d in rows]
    history = History.from_names(vocabulary, items, days, [1.0] * len(rows))
    again = History.from_names(
        vocabulary,
        [vocabulary.items[code] for code in history.items_H][::-1],
        history.days_H[::-1].tolist(),
        history.quantities_H[::-1].tolist(),
    )
    for name in ("items_H", "days_H", "sizes_H", "quantities_H"):
        np.testing.assert_array_equal(getattr(history, name), getattr(again, name))
    assert sum(history.quantities_H) == sum(item != "e" for item in items)


def test_todays_events_join_a_history():
    history = History.of(np.array([0], np.int32), np.array([1], np.int32), np.array([1.0], np.float32))
    today = history.with_events(np.array([2, 0], np.int32), np.array([5, 5], np.int32), np.ones(2, np.float32))
    assert today.items_H.tolist() == [0, 0, 2]
    assert today.sizes_H.tolist() == [1, 2, 2]
    assert today.before(5).items_H.tolist() == [0]


@pytest.mark.parametrize("away", [10, 2_000, 7_000])
def test_what_was_in_every_basket_was_in_every_basket_however_long_ago_that_is(away):
    log = log_of(MILK_EVERY_WEEK)
    features = features_at(log, catalog_of(log), "anna", 21 + away)
    assert value(features, log, "milk", "own_decay_rate_90") == pytest.approx(1.0)
    assert 0 < value(features, log, "bread", "own_decay_rate_90") < 0.5
    assert value(features, log, "salt", "own_decay_rate_90") == 0
