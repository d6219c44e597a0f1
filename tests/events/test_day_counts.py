"""Counting what was seen today, without keeping what it was."""

from datetime import UTC, datetime, timedelta

from shoploop.events.day_counts import DayCounts

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_what_was_seen_is_counted_until_the_day_ends():
    now = [NOON]
    counts = DayCounts(lambda: now[0])
    for _ in range(3):
        counts.add(("ann", "milk"))
    counts.add(("ann", "tea"))
    seen = [counts.seen(about) for about in (("ann", "milk"), ("ann", "tea"), ("annmilk",), ("bob", "milk"))]
    assert seen == [3, 1, 0, 0]
    now[0] = NOON + timedelta(hours=11)
    assert counts.seen(("ann", "milk")) == 3
    now[0] = NOON + timedelta(hours=12)
    assert counts.seen(("ann", "milk")) == 0


def test_a_clock_that_was_a_year_ahead_does_not_keep_its_counts_for_a_year():
    now = [NOON + timedelta(days=365)]
    counts = DayCounts(lambda: now[0])
    counts.add(("ann", "milk"))
    now[0] = NOON
    assert counts.seen(("ann", "milk")) == 0
    counts.add(("ann", "milk"))
    now[0] = NOON + timedelta(days=1)
    assert counts.seen(("ann", "milk")) == 0


def test_a_clock_that_goes_back_by_a_day_forgets_nothing():
    now = [NOON]
    counts = DayCounts(lambda: now[0])
    counts.add(("ann", "milk"))
    now[0] = NOON - timedelta(days=1)
    assert counts.seen(("ann", "milk")) == 1


def test_of_many_different_things_hardly_one_is_counted_too_often():
    counts = DayCounts(lambda: NOON)
    for number in range(30_000):
        counts.add((str(number),))
    assert [counts.seen((str(number),)) for number in range(30_000)].count(1) >= 29_990
    assert sum(counts.seen(("not", str(number))) for number in range(1_000)) == 0
