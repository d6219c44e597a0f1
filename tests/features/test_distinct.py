import numpy as np
import pytest

from shoploop.features.distinct import distinct, is_among


@pytest.mark.parametrize("values", [[], [3], [5, 3, 5, 5, -1, 3], list(range(9, -1, -1))])
def test_distinct_numbers_are_those_of_numpy(values):
    numbers = np.array(values, np.int64)
    assert np.array_equal(distinct(numbers), np.unique(numbers))
    assert distinct(numbers).dtype == numbers.dtype


@pytest.mark.parametrize("known", [[], [4], [1, 4, 9]])
def test_what_is_among_others_is_what_numpy_says(known):
    values = np.array([0, 4, 9, 10, 4])
    assert is_among(values, np.array(known, np.int64)).tolist() == np.isin(values, known).tolist()
