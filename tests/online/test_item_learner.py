"""Item vectors that learn from choices, one at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploop.online.learner import ItemLearner, LearnerConfig
from shoploop.online.rows import Rows

RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(20, 4)).astype(np.float32)
BIAS = np.zeros(20, np.float32)
ANN = RANDOM.normal(size=4).astype(np.float32)


def learner(**config) -> ItemLearner:
    return ItemLearner(VECTORS, BIAS, LearnerConfig(**config))


def test_what_is_chosen_again_and_again_comes_first():
    model = learner(rate=0.1)
    last = int(model.rank(ANN, 20)[-1])
    for offset in range(300):
        model.learn_one(ANN, last, None, offset=offset)
    assert model.rank(ANN, 1).tolist() == [last]


def test_choosing_one_item_of_a_list_moves_the_others_of_the_list_down_and_nothing_else():
    model = learner()
    shown = np.array([3, 5, 8], np.int32)
    before = model.predict_one(ANN, shown)
    model.learn_one(ANN, 5, [3, 5, 8], offset=1)
    after = model.predict_one(ANN, shown)
    assert after[1] > before[1]
    assert (after[[0, 2]] < before[[0, 2]]).all()
    assert model.touched().codes_N.tolist() == [3, 5, 8]
    assert np.array_equal(np.delete(model.vectors_ID, [3, 5, 8], axis=0), np.delete(VECTORS, [3, 5, 8], axis=0))


def test_the_loss_is_the_surprise_before_learning_online_and_frozen():
    model = learner()
    shown = np.array([3, 5], np.int32)
    expected = -np.log(model.predict_one(ANN, shown)[1])
    first = model.learn_one(ANN, 5, [3, 5], offset=1)
    assert first.online == pytest.approx(float(expected), rel=1e-5) == first.frozen
    second = model.learn_one(ANN, 5, [3, 5], offset=2)
    assert second.online < second.frozen == first.frozen


def test_a_list_of_one_teaches_nothing():
    model = learner()
    assert model.learn_one(ANN, 5, [5], offset=1) is None
    assert len(model.touched()) == 0


def test_a_flood_moves_an_item_no_farther_than_allowed():
    model = learner(max_change=0.5, max_bias_change=1.0)
    for offset in range(2000):
        model.learn_one(ANN, 7, None, offset=offset)
    radius = 0.5 * np.linalg.norm(VECTORS, axis=1).mean()
    assert np.linalg.norm(model.vectors_ID - VECTORS, axis=1).max() <= radius * 1.0001
    assert np.abs(model.bias_I).max() <= 1.0


def test_many_at_once_are_the_same_as_one_after_the_other():
    one, many = learner(), learner()
    states = [ANN, -ANN, 2 * ANN]
    losses = [
        one.learn_one(state, code, rivals, offset=at)
        for at, (state, code, rivals) in enumerate(zip(states, [1, 2, 3], [None, [2, 4], None], strict=True))
    ]
    assert many.learn_many(states, [1, 2, 3], [None, [2, 4], None], [0, 1, 2]) == losses
    assert np.array_equal(one.vectors_ID, many.vectors_ID)


def test_rows_bring_a_learner_back_to_the_same_bytes():
    one = learner()
    for offset in range(30):
        one.learn_one(ANN, offset % 20, None, offset=offset)
    other = learner()
    other.reset(one.touched())
    for model in (one, other):
        model.learn_one(ANN, 4, None, offset=99)
    assert np.array_equal(one.vectors_ID, other.vectors_ID)
    assert np.array_equal(one.bias_I, other.bias_I)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-5, 5)), max_size=30))
def test_rows_that_are_laid_over_each_other_are_the_last_of_each_item(writes):
    rows, last = Rows.none(1), {}
    for code, value in writes:
        one = np.full((1, 1), value, np.float32)
        newer = Rows(
            codes_N=np.array([code], np.int32), vectors_ND=one, bias_N=one[0], squares_ND=np.repeat(one, 2, axis=1)
        )
        rows, last = rows.updated(newer), last | {code: float(value)}
    assert dict(zip(rows.codes_N.tolist(), rows.bias_N.tolist(), strict=True)) == last
    assert rows.codes_N.tolist() == sorted(last)
