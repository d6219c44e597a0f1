"""Distinct numbers by sorting. ``numpy.unique`` and ``numpy.isin`` hash integers, which takes many times as long on arrays
as large as a shop's; what they return is the same.
"""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Number = TypeVar("Number", bound=np.generic)


def distinct(values: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The different values, ascending."""
    ordered = np.sort(values, axis=None)
    return ordered[firsts(ordered)]


def firsts(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Where another value stands than before it: the first of each, where equal ones lie side by side."""
    first = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return first


def ordered(codes: npt.NDArray[np.signedinteger[Any]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The codes ascending, and where each stood: as by a stable sort, of whole numbers from 0 that are no more than some
    billions. Numbers alone are sorted several times as fast as a stable sort finds an order."""
    size = max(len(codes), 1)
    keys = codes.astype(np.int64)
    keys *= size
    keys += np.arange(len(codes))
    keys.sort()
    ascending = keys // size
    keys -= ascending * size
    return ascending, keys


def is_among(values: npt.NDArray[Any], ascending: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which values are in ``ascending``, a sorted array."""
    if not len(ascending):
        return np.zeros(values.shape, bool)
    at = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    return np.asarray(ascending[at] == values)
