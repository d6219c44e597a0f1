"""How much one shopper, and one item, may teach."""

from datetime import UTC, datetime, timedelta

import numpy as np

from shoploop.online.joiner import Example
from shoploop.online.limits import SPAN, LimitConfig, Limits

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SHARES = np.array([0.9, 0.1, 0.0, 0.0], np.float32)
OFF = {"of_user": None, "of_user_a_day": None, "of_user_and_item": None, "of_item": None}


def limits(**config) -> Limits:
    return Limits(SHARES, LimitConfig(**OFF | config))


def allowed(limits: Limits, user: str, code: int, *, offset: int = 1, after: timedelta = timedelta(0)) -> bool:
    example = Example(offset=offset, user=user, time=NOON, chosen=str(code), among=None)
    return limits.allow(example, code, offset=offset, now=NOON + after)


def test_one_user_teaches_so_many_examples_of_a_span_of_the_log_and_again_in_the_next():
    held = limits(of_user=2)
    assert [allowed(held, "ann", code) for code in range(4)] == [True, True, False, False]
    assert allowed(held, "bob", 1)
    assert allowed(held, "ann", 3, offset=SPAN)


def test_one_user_teaches_so_many_examples_of_a_day():
    held = limits(of_user_a_day=2)
    assert [allowed(held, "ann", code, offset=code * SPAN) for code in range(4)] == [True, True, False, False]
    assert allowed(held, "ann", 3, after=timedelta(days=1))


def test_one_user_teaches_an_item_once_a_day():
    held = limits(of_user_and_item=1)
    assert [allowed(held, "ann", 1), allowed(held, "ann", 1), allowed(held, "bob", 1)] == [True, False, True]
    assert allowed(held, "ann", 1, after=timedelta(days=1))


def test_an_item_that_never_sold_teaches_a_little_each_day_whoever_wants_it():
    held = limits(of_item=3, times_its_share=0.0)
    assert sum(allowed(held, f"user {n}", 2) for n in range(100)) == 3
    assert sum(allowed(held, f"user {n}", 2, after=timedelta(days=1)) for n in range(100)) == 3


def test_an_item_that_sells_most_of_all_teaches_most_of_all():
    held = limits(of_item=3, times_its_share=1.0)
    assert all(allowed(held, f"user {n}", 0) for n in range(200))


def test_what_does_not_teach_makes_no_room_for_others():
    held = limits(of_item=1, times_its_share=0.5)
    for n in range(1000):
        allowed(held, f"user {n}", 2)
    assert sum(allowed(held, f"user {n}", 3) for n in range(1000)) <= 2


def test_without_limits_all_may_teach():
    assert all(allowed(limits(), "ann", 1) for _ in range(1000))


def test_what_is_counted_of_a_day_does_not_grow_with_its_users():
    held = Limits(SHARES, LimitConfig(**OFF | {"of_user_a_day": 2, "of_user_and_item": 1}), most=100)
    assert all(allowed(held, f"user {number}", number % 4, offset=number) for number in range(5_000))
    assert (len(held._of_user_a_day), len(held._pairs)) == (100, 100)
    assert not allowed(held, "user 4999", 4999 % 4)  # one of the last is still known
    assert len(held._of_user) <= SPAN
