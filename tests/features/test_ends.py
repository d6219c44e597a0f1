"""Where a log ends, with rows whose date is plainly wrong."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from shoploop.data import span
from shoploop.data.span import Span
from shoploop.features.ends import within_ends

FIRST = 20_000
DAILY = np.repeat(np.arange(FIRST, FIRST + 90), 15)


def ends_of(days):
    return span.ends_of(pl.Series(days))


def test_the_ends_of_a_log_are_its_first_and_last_day():
    assert ends_of(DAILY) == Span(first=FIRST, last=FIRST + 89)


@pytest.mark.parametrize("wrong", [FIRST + 120, FIRST + 27_000, 0, -100_000])
def test_a_row_far_away_moves_no_end(wrong):
    assert ends_of(np.append(DAILY, wrong)) == Span(first=FIRST, last=FIRST + 89)


def test_one_row_in_a_thousand_at_any_time_moves_no_end():
    junk = np.random.default_rng(0).integers(FIRST + 100, FIRST + 20_000, len(DAILY) // 1000 + 1)
    assert ends_of(np.concatenate([DAILY, junk])) == Span(first=FIRST, last=FIRST + 89)


def test_wrong_dates_at_both_ends_do_not_hide_each_other():
    assert ends_of(np.concatenate([DAILY, [0, FIRST + 130]])) == Span(first=FIRST, last=FIRST + 89)


def test_a_few_rows_of_the_days_after_are_the_log_going_on():
    assert ends_of(np.append(DAILY, FIRST + 92)).last == FIRST + 92


def test_a_long_sparse_log_is_whole():
    days = FIRST + np.sort(np.random.default_rng(1).integers(0, 7300, 300))
    assert ends_of(days) == Span(first=int(days[0]), last=int(days[-1]))


def test_a_shop_that_begins_slowly_is_whole():
    assert ends_of(np.concatenate([[FIRST - 60, FIRST - 45, FIRST - 20, FIRST - 9], DAILY])).first == FIRST - 60


def test_of_a_few_rows_nothing_is_left_out():
    assert ends_of(np.array([1, 2, 3, 40_000])) == Span(first=1, last=40_000)


def test_what_is_left_out_is_counted_and_named():
    days = pl.Series(np.append(DAILY, FIRST + 400)).cast(pl.Int32)
    rows = pl.DataFrame(
        {
            "user": [f"u{n}" for n in range(len(days))],
            "item": ["tea"] * len(days),
            "time": [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in days],
        }
    )
    kept, outside = within_ends(rows)
    assert kept.height == rows.height - 1
    assert (outside.before, outside.after) == (0, 1)
    assert "user 'u1350', item 'tea', 2025-11-08" in outside.report()["why"]
    assert within_ends(kept)[1].report() == {"rows": 0, "first_day": "2024-10-04", "last_day": "2025-01-01"}
