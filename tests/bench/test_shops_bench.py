"""The benchmark of which shop is next."""

import numpy as np
import pytest

from shoploop.bench.shops.contest import contest
from shoploop.bench.shops.problems import ShopProblem, problem_of
from shoploop.errors import SpecInvalid, TooFewEvents
from shoploop.evaluation.shopping import visit_metrics
from shoploop.samples.shops import assemble_shops
from shoploop.surfaces.shops.memory import ShopMemory
from shoploop.surfaces.shops.visits import Visits

DAYS, TEST = 84, 70
EAST, WEST = 0, 1


def a_town(users: int = 16) -> Visits:
    """Each goes every other day: to the west on Saturdays and Sundays, to the east else."""
    days = np.arange(0, DAYS, 2)
    day_V = np.tile(days, users) + 17_999
    return Visits(
        users=tuple(str(user) for user in range(users)),
        shops=("east", "west"),
        user_V=np.repeat(np.arange(users, dtype=np.int32), len(days)),
        day_V=day_V.astype(np.int32),
        shop_V=np.where((day_V + 3) % 7 > 4, WEST, EAST).astype(np.int32),
        size_V=np.ones(len(day_V), np.int32),
        offsets_U1=np.arange(users + 1, dtype=np.int64) * len(days),
    )


@pytest.fixture(scope="module")
def measured():
    return contest(ShopProblem.of("a-town", a_town(), test=17_999 + TEST))


def test_every_method_is_measured_with_an_interval_and_the_learned_ones_held_against_it(measured):
    names = ["last", "most_frequent", "half_life_30", "half_life_weekday", "lambdamart", "dnn"]
    assert list(measured["methods"]) == names
    assert all(len(row["interval"]["hit@1"]) == 2 for row in measured["methods"].values())
    assert {(row["better"], row["than"]) for row in measured["comparisons"]} == {
        (better, than) for better in ("lambdamart", "dnn") for than in names if better != than
    }
    assert measured["judged"] == 16 * 7


def test_what_a_weekday_tells_is_learned_and_the_most_frequent_shop_misses_it(measured):
    hits = {name: row["hit@1"] for name, row in measured["methods"].items()}
    assert min(hits["lambdamart"], hits["dnn"]) > 0.95
    assert hits["most_frequent"] < 0.8


def test_a_visit_at_another_shop_than_the_last_is_never_found_by_the_last(measured):
    changed = measured["slices"]["changed"]
    assert 0 < changed["visits"] < measured["judged"]
    assert changed["methods"]["last"]["hit@1"] == 0
    assert changed["methods"]["dnn"]["hit@1"] > 0.9


def test_a_sample_does_not_know_the_visit_it_is_to_foresee():
    town = a_town(3)
    memory = ShopMemory(town)
    other = Visits(
        **{**vars(town), "shop_V": np.where(town.day_V >= 17_999 + TEST, EAST, town.shop_V).astype(np.int32)}
    )
    first = np.flatnonzero(town.day_V == 17_999 + TEST)
    known, changed = (assemble_shops(each, first, ShopMemory(each)) for each in (town, other))
    assert memory.as_of(0).lately_P.sum() == 0
    np.testing.assert_array_equal(known.features_RK, changed.features_RK)


def test_of_equal_scores_the_first_shop_is_first_and_what_is_no_candidate_is_missed():
    town = a_town(1)
    samples = assemble_shops(town, np.arange(5), ShopMemory(town))
    found = visit_metrics(samples, np.zeros(len(samples.items_R)))
    assert samples.truth_T.tolist() == [WEST, EAST, EAST, EAST, WEST]
    assert found["hit@1"].tolist() == [0, 0, 1, 1, 0], "the first day knows no shop, the second not the east"
    assert found["mrr"].tolist() == [0, 0, 1, 1, 0.5]


def test_a_dataset_without_shops_and_one_without_days_are_refused_by_name():
    with pytest.raises(SpecInvalid, match="amazon-beauty"):
        problem_of("amazon-beauty")
    with pytest.raises(TooFewEvents, match="0 to judge"):
        ShopProblem.of("a-town", a_town(1), test=99_999)
