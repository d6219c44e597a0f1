"""Whether choices hang on the kind of day, told from shops where the answer is plain."""

import numpy as np
import pytest
from own_rows import events, items, log_of
from shop import FIRST

from shoploop.features.contract import Contract, resolve
from shoploop.features.habits import habits, tells

MONDAY = (4 - FIRST) % 7  # 1970-01-05 was one
DAYS, USERS = range(MONDAY, MONDAY + 70), [f"u{n}" for n in range(12)]
END = FIRST + MONDAY + 70
DRINKS = ["tea", "coffee", "juice"]


def log_where(takes):
    """Ten weeks of twelve people who come four days of five; ``takes`` says what, of a day after a Monday and a chance."""
    rng = np.random.default_rng(0)
    came = [(user, day) for user in USERS for day in DAYS if rng.random() < 0.8]
    return log_of([(user, takes(day - MONDAY, rng.random()), day) for user, day in came], [*DRINKS, *"1234567"])


def by_weekend(day, chance):
    return "juice" if day % 7 >= 5 else "tea" if chance < 0.5 else "coffee"


def by_weekday(day, chance):
    return str(1 + day % 7)


def by_chance(day, chance):
    return DRINKS[int(3 * chance)]


def by_week(day, chance):
    return DRINKS[day // 7 % 3]


@pytest.mark.parametrize(
    ("takes", "expected"),
    [(by_weekend, {"weekend", "weekday"}), (by_weekday, {"weekend", "weekday"}), (by_chance, set()), (by_week, set())],
)
def test_a_canteen_has_habits_of_days_and_whoever_takes_this_and_that_has_none(takes, expected):
    assert tells(habits(log_where(takes), before=END)) == expected


def test_what_weekends_alone_tell_is_told_best_by_weekends():
    found = habits(log_where(by_weekend), before=END)
    assert found["weekend"]["gain"] > found["weekday"]["gain"] > 0
    assert found["weekend"]["low"] < found["weekend"]["gain"] < found["weekend"]["high"]


def test_what_comes_later_does_not_choose_features():
    changed = MONDAY + 42

    def log(later):
        return log_where(lambda day, chance: (later if day >= 42 else by_weekend)(day, chance))

    found = [habits(log(later), before=FIRST + changed) for later in (by_weekend, by_chance)]
    assert found[0] == found[1] != {}


def test_of_few_visits_nothing_is_said():
    few = log_of([("anna", by_weekend(day, 0.1), MONDAY + day) for day in range(70)])
    assert habits(few, before=END) == {}


def test_what_one_user_does_is_no_habit_of_a_shop():
    one = log_of([("anna", by_weekend(day, day % 2), MONDAY + day) for day in range(300)], DRINKS)
    assert habits(one, before=END + 300) == {}


def test_the_contract_has_a_feature_of_the_kinds_of_day_that_tell():
    rows = events([("anna", "tea", 1)])
    tables = {"interactions": rows, "items": items(["tea"]), "users": rows.select("user")}
    plain, canteen = resolve(**tables), resolve(**tables, habits={"weekend"})
    assert set(canteen.pair_features) - set(plain.pair_features) == {"own_weekend_rate"}
    assert (plain.habits, canteen.habits) == ((), ("weekend",))
    assert Contract.from_json(canteen.to_json()) == canteen and canteen.hash != plain.hash
