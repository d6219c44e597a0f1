"""Item vectors that learn from choices, one at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploop.online.learner import ItemLearner, LearnerConfig
from shoploop.online.rows import Rows, from_bytes, to_bytes

RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(20, 4)).astype(np.float32)
BIAS = np.zeros(20, np.float32)
ANN = RANDOM.normal(size=4).astype(np.float32)


def learner(**config) -> ItemLearner:
    return ItemLearner(VECTORS, BIAS, LearnerConfig(**config))


def logits(model: ItemLearner, codes) -> np.ndarray:
    return model.vectors_ID[codes] @ ANN + model.bias_I[codes]


def test_what_is_chosen_again_and_again_comes_first():
    model = learner(rate=0.1)
    last = int(model.rank(ANN, 20)[-1])
    for offset in range(300):
        model.learn_one(ANN, last, None, offset=offset)
    assert model.rank(ANN, 1).tolist() == [last]


def test_choosing_one_item_of_a_list_moves_the_others_of_the_list_down_and_nothing_else():
    model = learner()
    shown = np.array([3, 5, 8], np.int32)
    before = logits(model, shown)
    model.learn_one(ANN, 5, [3, 5, 8], offset=1)
    after = logits(model, shown)
    assert after[1] > before[1]
    assert (after[[0, 2]] < before[[0, 2]]).all()
    assert model.touched().codes_N.tolist() == [3, 5, 8]
    assert np.array_equal(np.delete(model.vectors_ID, [3, 5, 8], axis=0), np.delete(VECTORS, [3, 5, 8], axis=0))


def test_a_rival_moves_by_as_much_as_its_chance_was_wrong_from_the_first_lesson_on():
    bias = np.zeros(20, np.float32)
    bias[[3, 5, 8]] = 0.0, -1.0, -6.0
    model = ItemLearner(np.zeros_like(VECTORS), bias)
    likely, _, unlikely = model.predict_one(ANN, np.array([3, 5, 8], np.int32))
    assert likely > 100 * unlikely
    model.learn_one(ANN, 5, [3, 5, 8], offset=1)
    moved = np.linalg.norm(model.vectors_ID[[3, 5, 8]], axis=1)
    assert moved[0] > 50 * moved[2] > 0
    assert moved[1] > 0.5 * moved[0]


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


RULES = pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "ftrl", "newton"])


@RULES
def test_a_batch_of_one_is_one_step(optimizer):
    one, many = learner(optimizer=optimizer), learner(optimizer=optimizer)
    for at, (state, code, rivals) in enumerate(zip([ANN, -ANN, 2 * ANN], [1, 2, 3], [None, [2, 4], None], strict=True)):
        losses = many.learn_many([state], [code], [rivals], [at])
        alone = one.learn_one(state, code, rivals, offset=at)
        assert (alone.online, alone.frozen) == (losses.online_B[0], losses.frozen_B[0])
    assert np.array_equal(one.vectors_ID, many.vectors_ID)
    assert np.array_equal(one.bias_I, many.bias_I)


@RULES
def test_what_is_chosen_is_wanted_more_by_every_rule(optimizer):
    model = learner(optimizer=optimizer)
    shown = np.array([3, 5, 8], np.int32)
    before = model.predict_one(ANN, shown)
    for offset in range(20):
        model.learn_one(ANN, 5, [3, 5, 8], offset=offset)
    after = model.predict_one(ANN, shown)
    assert after[1] > before[1]


@RULES
def test_what_counts_nothing_teaches_nothing_and_what_counts_more_teaches_more(optimizer):
    def bias(weight: float) -> float:
        model = learner(optimizer=optimizer)
        model.learn_one(ANN, 5, [3, 5, 8], offset=1, weight=1.0)
        model.learn_one(ANN, 5, [3, 5, 8], offset=2, weight=weight)
        return float(model.bias_I[5])

    assert bias(0.0) < bias(0.5) < bias(2.0)


@RULES
def test_what_is_learned_tentatively_is_taken_back_to_the_same_bytes(optimizer):
    model, other = learner(optimizer=optimizer), learner(optimizer=optimizer)
    model.learn_one(ANN, 4, None, offset=1), other.learn_one(ANN, 4, None, offset=1)
    with model.tentatively():
        model.learn_many([ANN, -ANN], [4, 7], [None, [7, 9]], [2, 3])
        model.learn_one(ANN, 4, None, offset=4)
        assert 9 in model.touched().codes_N
    one, two = model.touched(), other.touched()
    assert all(np.array_equal(getattr(one, part), getattr(two, part)) for part in ("codes_N", "vectors_ND", "slots_NE"))
    model.learn_one(ANN, 8, None, offset=5), other.learn_one(ANN, 8, None, offset=5)
    assert np.array_equal(model.vectors_ID, other.vectors_ID)
    assert np.array_equal(model._slots_SIP, other._slots_SIP)


def test_a_batch_is_the_sum_of_its_examples_gradients():
    """Of plain descent, whose step is linear in the gradient."""
    model, alone = learner(optimizer="sgd", max_change=1e9), np.zeros_like(VECTORS)
    lists = [[2, 4], [4, 1, 2], [3, 4]]
    for state, chosen, rivals in zip([ANN, -ANN, 2 * ANN], [2, 1, 4], lists, strict=True):
        single = learner(optimizer="sgd", max_change=1e9)
        single.learn_one(state, chosen, rivals, offset=0)
        alone += single.vectors_ID - VECTORS
    model.learn_many([ANN, -ANN, 2 * ANN], [2, 1, 4], lists, [0, 1, 2])
    assert np.allclose(model.vectors_ID - VECTORS, alone, atol=1e-6)


def test_a_batch_predicts_all_of_its_examples_before_it_learns_any():
    model = learner()
    losses = model.learn_many([ANN] * 3, [5] * 3, [[3, 5]] * 3, [1, 2, 3])
    assert losses.online_B.tolist() == losses.frozen_B.tolist()
    assert len(set(losses.online_B.tolist())) == 1


@RULES
def test_rows_bring_a_learner_back_to_the_same_bytes(optimizer):
    one = learner(optimizer=optimizer)
    for offset in range(30):
        one.learn_one(ANN, offset % 20, None, offset=offset)
    other = learner(optimizer=optimizer)
    other.reset(from_bytes(to_bytes(one.touched()), width=4, what="rows"))
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
            codes_N=np.array([code], np.int32), vectors_ND=one, bias_N=one[0], slots_NE=np.repeat(one, 2, axis=1)
        )
        rows, last = rows.updated(newer), last | {code: float(value)}
    assert dict(zip(rows.codes_N.tolist(), rows.bias_N.tolist(), strict=True)) == last
    assert rows.codes_N.tolist() == sorted(last)


def test_auc_is_the_share_of_the_others_that_were_put_behind_what_was_chosen_and_sureness_how_far_off_the_first_chance_was():
    """By biases alone: item 0 is wanted most, 1 and 2 alike, 3 least."""
    bias = np.log(np.array([4.0, 2.0, 2.0, 1.0], np.float32))
    model = ItemLearner(np.zeros((4, 2), np.float32), bias)
    state = np.zeros((4, 2), np.float32)
    lists = [[0, 1, 2, 3], [0, 1, 2, 3], [1, 2], [0, 3]]
    losses = model.learn_many(state, [0, 1, 2, 3], lists, [1, 2, 3, 4], learn=False)
    assert losses.online_auc_B.tolist() == pytest.approx(
        [1.0, 0.5, 0.5, 0.0]
    )  # of three: one before, one beside, one behind
    assert losses.online_sureness_B.tolist() == pytest.approx([4 / 9 - 1, 4 / 9, 0.5 - 1, 0.8])
    assert losses.frozen_auc_B.tolist() == losses.online_auc_B.tolist()
