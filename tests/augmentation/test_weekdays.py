"""Weekdays of virtual visits, in shops that are closed on Sundays, that have one day a week, or none that is told."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from shop import two_tastes
from tiny_effort import TINY

from shoploop.augmentation.generator.conditions import fit_conditions
from shoploop.augmentation.generator.fitting import fit_generator
from shoploop.augmentation.generator.records import Behaviour, build_vocabulary, read_behaviour
from shoploop.augmentation.generator.weekdays import log_shares, on_open_days, shifted, weekday

CLOSED_ON_SUNDAYS = np.array([-np.log(6)] * 6 + [-np.inf], np.float32)
MONDAY = 18_400 - int(weekday(np.int64(18_400)))
"""A Monday of 2020, in days since 1970."""


def visits(*days: list[int]) -> Behaviour:
    """A shopper of each list, who comes on these days."""
    rows = np.arange(sum(map(len, days)))
    people = np.arange(len(days))
    return Behaviour(
        item=0 * rows,
        kind=0 * rows,
        basket=rows,
        record=np.repeat(people, [len(one) for one in days]),
        day=np.concatenate(days).astype(np.int64),
        minute=0 * rows,
        user=people,
        condition=0 * people,
    )


def moved(day, log_share, wanted=False, seed=0):
    day = np.asarray(day)
    return shifted(
        day, np.full(day.shape, wanted), np.ones(day.shape, np.float32), log_share, np.random.default_rng(seed)
    )


def test_1970_began_with_a_thursday():
    assert weekday(np.arange(5)).tolist() == [3, 4, 5, 6, 0]


def test_a_weekday_of_fewer_than_k_shoppers_has_no_share_and_the_others_have_theirs():
    """Twenty come on a Monday and twice on a Tuesday, nineteen on a Sunday, one of them five times."""
    people = [[MONDAY, MONDAY + 1, MONDAY + 8]] * 20 + [[MONDAY + 6]] * 18 + [[MONDAY + 6 + 7 * n for n in range(5)]]
    shares = np.exp(log_shares(visits(*people), min_users=20))
    assert shares == pytest.approx([1 / 3, 2 / 3, 0, 0, 0, 0, 0])
    assert log_shares(visits(*people), min_users=50).tolist() == [0] * 7, "of so few nothing is told"


def test_where_a_shop_is_closed_on_wednesdays_who_would_come_on_one_comes_on_any_other_workday():
    day = MONDAY + np.arange(4900)[:, None] % 5 + 7 * np.arange(4900)[:, None]
    found = moved(day, np.roll(CLOSED_ON_SUNDAYS, 3))
    stays = weekday(day) != 2
    assert (found[stays] == day[stays]).all(), "no other is likelier"
    instead = np.bincount(weekday(found)[~stays], minlength=7) / (~stays).sum()
    assert instead == pytest.approx([0.25, 0.25, 0, 0.25, 0.25, 0, 0], abs=0.06)


def test_where_all_weekdays_are_alike_a_record_stays_where_it_was():
    day = MONDAY + np.arange(70)[:, None] + np.array([0, 2, 9])
    wanted = weekday(day) >= 5
    found = shifted(day, wanted, np.ones(day.shape, np.float32), np.zeros(7, np.float32), np.random.default_rng(0))
    assert (found == day).all()


def test_a_weekly_visit_of_thursdays_is_on_a_thursday_and_weekdays_are_as_common_as_they_should_be():
    weekly = MONDAY + np.arange(7000)[:, None] % 7 + 7 * np.arange(8)
    thursdays = np.full(7, -np.inf, np.float32)
    thursdays[3] = 0
    assert (weekday(moved(weekly, thursdays)) == 3).all()
    shares = np.array([0.4, 0.2, 0.2, 0.1, 0.1, 0, 0])
    with np.errstate(divide="ignore"):
        found = np.bincount(weekday(moved(weekly, np.log(shares).astype(np.float32))).ravel(), minlength=7)
    assert found / weekly.size == pytest.approx(shares, abs=0.03)


def test_a_record_goes_to_a_weekend_where_it_is_asked_to_and_the_shop_is_open():
    day = MONDAY + np.arange(70)[:, None]
    assert set(weekday(moved(day, np.zeros(7, np.float32), wanted=True)).ravel()) == {5, 6}
    assert set(weekday(moved(day, CLOSED_ON_SUNDAYS, wanted=True)).ravel()) == {5}


def test_who_comes_on_eight_days_running_passes_over_the_sunday_and_stays_within_the_days():
    made = visits([MONDAY + n for n in range(8)], [MONDAY + n for n in range(6, 14)], [MONDAY, MONDAY + 2])
    found = on_open_days(made, CLOSED_ON_SUNDAYS, MONDAY, MONDAY + 13)
    assert (found.day - MONDAY).tolist() == [
        *(0, 1, 2, 3, 4, 5, 7, 8),
        *(4, 5, 7, 8, 9, 10, 11, 12),  # the last day is a Sunday
        *(0, 2),
    ]
    assert on_open_days(made, np.zeros(7, np.float32), MONDAY, MONDAY + 13) is made
    narrow = on_open_days(made, CLOSED_ON_SUNDAYS, MONDAY + 6, MONDAY + 8)
    assert set((narrow.day[:16] - MONDAY).tolist()) <= {7, 8}


@pytest.mark.parametrize("weekly", [False, True], ids=["closed on Sundays", "Thursdays alone"])
def test_what_is_made_of_a_shop_falls_on_its_days(weekly):
    shop = two_tastes(60)
    bought, day = shop.interactions(), pl.col("time").dt.epoch("d")
    if weekly:
        to = 7 * (day - 20_000) + 19_999 - int(weekday(np.int64(19_999))) + 3
        bought = bought.with_columns(time=to.cast(pl.Date).cast(pl.Datetime("us", "UTC")))
    else:
        bought = bought.filter(pl.col("time").dt.weekday() < 7)
    vocabulary = build_vocabulary(bought, shop.described(), min_buyers=2)
    conditions, known = fit_conditions(read_behaviour(bought, vocabulary), vocabulary, segments=2, min_users=20, seed=0)
    config = replace(TINY.generator, proposals=1, calibrations=0)
    made, _ = fit_generator(known, vocabulary, conditions, config, seed=0).propose(400, seed=1)
    assert set(weekday(made.day).tolist()) == ({3} if weekly else {0, 1, 2, 3, 4, 5})
