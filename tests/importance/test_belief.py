"""Labels are believed as far as it is likely that they are right; where they are plain, all alike."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from shoploop.importance.belief import FITTED, NONE, SHARES, believe, trust
from shoploop.importance.estimators.weights import WeightConfig, weights_by_belief


def plain(size, flipped, *, steep=6.0, seed=0):
    """Two labels that one number settles nearly everywhere, a share flipped, and what a model of these labels says."""
    rng = np.random.default_rng(seed)
    number = rng.normal(size=size)
    true = rng.random(size) < expit(steep * number)
    wrong = rng.random(size) < flipped
    chance = expit(steep * (1 - 2 * flipped) ** 2 * number)  # wrong labels make a model less steep
    return np.column_stack([1 - chance, chance]), (true ^ wrong).astype(int), wrong


def apart(classes, size, *, gap=6.0, seed=0):
    """What a model says of classes that lie apart by so much, where labels are right, and the labels."""
    rng = np.random.default_rng(seed)
    true = rng.integers(classes, size=size)
    score = gap * np.eye(classes)[true] + rng.normal(size=(size, classes))
    return score, true, rng


def believed(chance, label):
    return believe(chance, label, lambda: (chance, label))


@pytest.mark.parametrize("size", [200, 500, 5_000])
def test_labels_that_features_settle_are_all_believed_alike(size):
    chance, label, _ = plain(size, 0.0)
    found = believed(chance, label)
    share = found.share(chance, label)
    assert (found.rate_C == 0).all() and np.ptp(share) < 1e-9
    assert (weights_by_belief(share, label, WeightConfig()) == 1).all()


@pytest.mark.parametrize("size", [500, 3 * FITTED])
def test_flipped_labels_are_counted_and_believed_less(size):
    chance, label, wrong = plain(size, 0.2)
    found = believed(chance, label)
    assert found.rate_C == pytest.approx([0.2, 0.2], abs=0.06)
    share = found.share(chance, label)
    assert share[wrong].mean() < 0.5 < 1 < share[~wrong].mean()
    weights = weights_by_belief(share, label, WeightConfig())
    assert [weights[label == one].mean() for one in (0, 1)] == pytest.approx([1, 1], abs=1e-3)


def test_classes_that_overlap_are_no_wrong_labels_however_many_samples_there_are():
    rng = np.random.default_rng(0)
    chance = expit(1.2 * rng.normal(size=3 * FITTED))
    label = (rng.random(3 * FITTED) < chance).astype(int)
    both = np.column_stack([1 - chance, chance])
    assert label[np.argsort(chance)[: FITTED // 3]].mean() > 0.1  # what looks least like it is it all the same
    assert (believed(both, label).rate_C == 0).all()


def test_labels_that_may_as_well_be_right_are_spared_less_than_if_they_were_known_to_be_wrong():
    chance, label, wrong = plain(100, 0.2, steep=3.0)
    found = believed(chance, label)
    assert 0.05 < found.rate_C[0] < 0.2 and max(one.weight for one in found.supposed) < NONE
    known = next(one for one in found.supposed if one.rate_C[0] == SHARES[2])
    of_belief, of_known = (one.share(chance, label) for one in (found, known))
    assert of_known[wrong].mean() < of_belief[wrong].mean() < of_belief[~wrong].mean()


def test_of_ten_labels_a_flip_goes_to_each_of_the_nine_others():
    score, label, rng = apart(10, 2_000)
    wrong = rng.random(2_000) < 0.2
    label = np.where(wrong, (label + rng.integers(1, 10, 2_000)) % 10, label)
    chance = softmax(0.6 * score, axis=1)
    found = believed(chance, label)
    assert found.rate_C == pytest.approx(np.full(10, 0.2 / 9), abs=0.006)
    share = found.share(chance, label)
    assert share[wrong].mean() < 0.2 < 1 < share[~wrong].mean()


def test_wrong_labels_of_one_kind_are_counted_there_and_no_other_label_is_blamed():
    score, label, rng = apart(2, 4_000)
    chance = softmax(score, axis=1)
    label[(label == 1) & (rng.random(4_000) < 0.4)] = 0
    seen = softmax(0.5 * score + [0.5, 0], axis=1)
    found = believe(seen, label, lambda: (chance, label))
    of_0, of_1 = found.rate_C
    assert abs(of_0 - 0.4) < 0.08 and of_1 == 0
    share = found.share(seen, label)
    assert np.ptp(share[label == 1]) < 1e-9 and np.ptp(share[label == 0]) > 0.5


def test_of_three_labels_all_have_the_same_noise():
    score, label, rng = apart(3, 2_000)
    label[rng.random(2_000) < 0.3] = 1
    assert np.ptp(believed(0.7 * softmax(score, axis=1) + 0.3 * np.eye(3)[1], label).rate_C) == 0


def test_a_label_that_is_never_unlikely_since_classes_overlap_has_no_noise_of_its_own():
    rng = np.random.default_rng(0)
    chance = expit(rng.uniform(-0.5, 8, 2_000))  # the features speak for label 1, and never clearly for label 0
    label = (rng.random(2_000) < chance).astype(int)
    both = np.column_stack([1 - chance, chance])
    assert label[np.argsort(chance)[:200]].mean() > 0.35
    assert believed(both, label).rate_C.max() < 0.02


def test_where_no_label_hides_more_no_other_model_is_asked():
    chance, label, _ = plain(5_000, 0.0, steep=30.0)

    def asked():
        raise AssertionError

    assert (believe(chance, label, asked).rate_C == 0).all()


def test_what_tells_nothing_speaks_for_no_wrong_labels():
    coin, label = np.full((40, 2), 0.5), np.arange(40) % 2
    assert (believed(coin, label).rate_C == 0).all()


def test_what_is_supposed_adds_up():
    chance, label, _ = plain(500, 0.2)
    found = believed(chance, label)
    assert sum(one.weight for one in found.supposed) == pytest.approx(1)
    assert found.supposed[0].weight < NONE


def test_who_trusts_believes_each_label_alike():
    chance, label, _ = plain(50, 0.2)
    assert np.ptp(trust(2).share(chance, label)) < 1e-9
