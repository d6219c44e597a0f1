"""The curve and the confusion of a classifier, on scores whose answer is plain."""

import numpy as np
import pytest

from shoploop.evaluation import curves
from shoploop.evaluation.metrics import auc

FOUND = np.array([False, False, True, True])


def points(roc):
    return list(zip(roc["false_positive_rate"], roc["true_positive_rate"], strict=True))


def test_who_finds_all_first_goes_straight_up_and_then_right():
    roc = curves.roc(np.array([0.1, 0.2, 0.8, 0.9]), FOUND)
    assert points(roc) == [(0, 0), (0, 0.5), (0, 1), (0.5, 1), (1, 1)]
    assert roc["threshold"] == [0.9, 0.9, 0.8, 0.2, 0.1]


def test_equal_scores_are_called_alike():
    assert points(curves.roc(np.zeros(4), FOUND)) == [(0, 0), (1, 1)]


def test_a_thinned_curve_has_its_ends_and_about_the_same_area():
    rng = np.random.default_rng(0)
    found = rng.random(5000) < 0.3
    scores = rng.standard_normal(5000) + found
    roc = curves.roc(scores, found)
    assert len(roc["threshold"]) <= curves.POINTS + 1 and points(roc)[-1] == (1, 1)
    assert np.trapezoid(roc["true_positive_rate"], roc["false_positive_rate"]) == pytest.approx(
        auc(scores, found), abs=0.01
    )


def test_one_kind_alone_has_no_curve():
    assert curves.roc(np.ones(3), np.ones(3, bool)) is None


def test_the_confusion_calls_as_many_found_as_there_are():
    assert curves.confusion(np.array([0.9, 0.1, 0.8, 0.2]), FOUND) == [[1, 1], [1, 1]]
    assert curves.confusion(np.array([0.1, 0.2, 0.8, 0.9]), FOUND) == [[2, 0], [0, 2]]
