"""Items that nobody has bought get the factors of what they are like."""

import numpy as np
from shop import Shop

from shoploop.features.resemblance import filled, with_resemblance

EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
FACTORS = np.stack([EAST, EAST, NORTH, NORTH, 0 * EAST, 0 * EAST])
LOOKS = np.array([[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1], [0, 0.6, 0.8], [0.96, 0.28, 0], [0, 0, 0]], np.float32)


def test_an_item_without_factors_points_where_what_looks_like_it_points():
    found = filled(FACTORS, LOOKS)
    assert found[4] @ EAST > 0.99
    assert abs(np.linalg.norm(found[4]) - 1) < 1e-6


def test_items_with_factors_keep_theirs_and_what_is_not_described_has_none():
    found = filled(FACTORS, LOOKS)
    assert np.array_equal(found[:4], FACTORS[:4])
    assert not found[5].any()


def test_where_nothing_is_described_nothing_is_copied():
    assert filled(FACTORS, np.zeros_like(LOOKS)) is FACTORS
    assert not filled(np.zeros_like(FACTORS), LOOKS).any()


def test_catalogs_of_all_days_are_filled_and_else_as_they_were():
    catalogs = Shop().catalogs()
    bare = catalogs.training.factors_ID.copy()
    likeness = np.eye(len(bare), dtype=np.float32)
    made = with_resemblance(catalogs, likeness)
    assert made.first_days == catalogs.first_days
    for before, after in zip(catalogs.catalogs, made.catalogs, strict=True):
        known = before.factors_ID.any(axis=1)
        assert np.array_equal(before.factors_ID[known], after.factors_ID[known])
        assert after.kind_I is before.kind_I
