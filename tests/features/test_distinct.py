import numpy as np
import pytest

from shoploop.features.distinct import distinct, is_among, ordered


@pytest.mark.parametrize("values", [[], [3], [5, 3, 5, 5, -1, 3], list(range(9, -1, -1))])
def test_distinct_numbers_are_those_of_numpy(values):
    numbers = np.array(values, np.int64)
    assert np.array_equal(distinct(numbers), np.unique(numbers))
    assert distinct(numbers).dtype == numbers.dtype


@pytest.mark.parametrize("known", [[], [4], [1, 4, 9]])
def test_what_is_among_others_is_what_numpy_says(known):
    values = np.array([0, 4, 9, 10, 4])
    assert is_among(values, np.array(known, np.int64)).tolist() == np.isin(values, known).tolist()


def test_codes_come_ascending_and_equal_ones_in_the_order_in_which_they_stood():
    ascending, places = ordered(np.array([7, 0, 7, 2, 0], np.int32))
    assert ascending.tolist() == [0, 0, 2, 7, 7]
    assert places.tolist() == [1, 4, 3, 0, 2]
    assert [len(found) for found in ordered(np.array([], np.int32))] == [0, 0]
