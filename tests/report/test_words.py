"""Numbers as the report writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploop.report import words


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (words.seconds(0.42), "0.4 s"),
        (words.seconds(59.6), "1 min 0 s"),
        (words.seconds(352.8), "5 min 53 s"),
        (words.seconds(7320), "2 h 2 min"),
        (words.size(3_489_660_928), "3.2 GiB"),
        (words.size(512), "512 B"),
        (words.percent(0.6367), "63.7%"),
        (words.percent(0.00001), "<0.1%"),
        (words.percent(0), "0.0%"),
        (words.signed(-0.0004), "−0.0004"),
        (words.signed(-0.00001), "0.0000"),
        (words.count(1469307), "1,469,307"),
        (words.day("2017-12-03"), "3 Dec 2017"),
        (words.moment("2026-11-23T10:15:00+01:00"), "23 Nov 2026, 09:15 UTC"),
        (words.moment("0001-01-01T00:00:00+01:00"), "0001-01-01T00:00:00+01:00"),
        (words.decimal(None), "–"),
        (words.interval([0.1, 0.2], 1), "0.1 to 0.2"),
    ],
)
def test_numbers_are_written_with_their_unit(written, expected):
    assert written == expected


@given(st.one_of(st.none(), st.booleans(), st.floats(), st.text(), st.lists(st.integers(), max_size=3)))
def test_nothing_that_a_document_may_hold_breaks_the_page(value):
    for write in (words.count, words.decimal, words.signed, words.percent, words.seconds, words.size, words.interval):
        assert isinstance(write(value), str)
    assert isinstance(words.day(value), str)
    assert isinstance(words.moment(value), str)
