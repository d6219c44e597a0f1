import math

import pytest
from own_rows import MILK_EVERY_WEEK, catalog_of, features_at, log_of
from shop import FIRST

from shoploop.features.contract import PAIR_FEATURES

NAMES = [feature.name for feature in PAIR_FEATURES]


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


@pytest.mark.parametrize("away", [10, 2_000, 7_000])
def test_what_was_in_every_basket_was_in_every_basket_however_long_ago_that_is(away):
    log = log_of(MILK_EVERY_WEEK)
    features = features_at(log, catalog_of(log), "anna", 21 + away)
    assert value(features, log, "milk", "own_decay_rate_90") == pytest.approx(1.0)
    assert 0 < value(features, log, "bread", "own_decay_rate_90") < 0.5
    assert value(features, log, "salt", "own_decay_rate_90") == 0
