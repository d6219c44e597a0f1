"""Labels that can be trusted count alike; doubtful ones do not."""

import numpy as np
from scipy.special import expit, softmax

from shoploop.importance.doubt import noise_by_label, noise_rate, wrong_share
from shoploop.importance.weighing import WeighingConfig

CLEAN = np.repeat([True, False], [10, 90])
"""The bought rows first, which the importance finds credible."""


def importance(marked, *, likely=CLEAN):
    """What is likely bought and was, or is not and was not, is credible."""
    return np.where(marked == likely, 0.9, 0.05) + 0.001 * np.arange(len(marked)) / len(marked)


def test_labels_that_nothing_speaks_against_are_not_in_doubt():
    assert wrong_share(importance(CLEAN), CLEAN) == 0


def test_flipped_labels_are_counted_where_the_features_speak_against_them():
    rng = np.random.default_rng(0)
    likely = rng.random(20_000) < 0.05
    flipped = rng.random(20_000) < 0.2
    marked = likely ^ flipped
    chance = np.where(likely, 0.8, 0.2) + 0.01 * rng.random(20_000)
    found = wrong_share(np.where(marked, chance, 1 - chance), marked)
    assert abs(found - (flipped & marked).sum() / marked.sum()) < 0.1


def test_rows_without_the_label_leave_nothing_to_doubt():
    assert wrong_share(np.ones(4), np.zeros(4, bool)) == 0


def test_trusted_labels_count_alike_and_doubtful_ones_do_not():
    trusted = WeighingConfig().weights_of(importance(CLEAN), CLEAN)
    assert (trusted == 1).all()
    noisy = CLEAN.copy()
    noisy[50:60] = True  # bought, though the features say otherwise
    weights = WeighingConfig().weights_of(importance(noisy), noisy)
    assert weights[:10].min() > 1 > weights[50:60].max()
    assert (weights[~noisy] == 1).all()


def two_labels(size, flipped, *, clear=True, seed=0):
    """A good judge's chances, and labels of which this share is flipped; unclear ones are a coin's half the time."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(0.2, 0.2, size) if clear else np.where(rng.random(size) < 0.5, 0.5, 0.02)
    true = rng.random(size) < chance
    wrong = rng.random(size) < flipped
    seen = chance * (1 - 2 * flipped) + flipped
    return np.column_stack([1 - seen, seen]), (true ^ wrong).astype(int)


def test_clean_labels_have_no_noise_even_where_one_of_them_is_never_clear():
    for clear in (True, False):
        assert noise_rate(*two_labels(500, 0.0, clear=clear)) < 0.02


def test_flipped_labels_are_counted_and_few_rows_say_less():
    assert abs(noise_rate(*two_labels(5_000, 0.2)) - 0.2) < 0.03
    assert noise_rate(*two_labels(100, 0.05, seed=1)) < 0.05


def test_of_ten_labels_a_flip_goes_to_each_of_the_nine_others():
    rng = np.random.default_rng(0)
    true = rng.integers(10, size=4_000)
    observed = np.where(rng.random(4_000) < 0.2, (true + rng.integers(1, 10, 4_000)) % 10, true)
    chance = np.full((4_000, 10), 0.2 / 9)
    chance[np.arange(4_000), true] = 0.8
    assert abs(noise_rate(chance, observed) - 0.2 / 9) < 0.008


def apart(classes, size, *, gap=6.0, seed=0):
    """What a model says of classes that lie apart by so much, where labels are right, and the labels."""
    rng = np.random.default_rng(seed)
    true = rng.integers(classes, size=size)
    score = gap * np.eye(classes)[true] + rng.normal(size=(size, classes))
    return softmax(score, axis=1), true, rng


def test_wrong_labels_of_one_kind_are_counted_there_and_no_other_label_is_blamed():
    chance, label, rng = apart(2, 4_000)
    label[(label == 1) & (rng.random(4_000) < 0.4)] = 0
    seen = np.column_stack([1 - 0.6 * chance[:, 1], 0.6 * chance[:, 1]])
    assert noise_rate(seen, label) < 0.01
    of_0, of_1 = noise_by_label(seen, label, lambda: (chance, label))
    assert abs(of_0 - 0.4) < 0.08 and of_1 < 0.01


def test_of_three_labels_all_have_the_noise_that_the_clearest_show():
    chance, label, rng = apart(3, 2_000)
    label[rng.random(2_000) < 0.3] = 1
    seen = 0.7 * chance + 0.3 * np.eye(3)[1]
    assert noise_by_label(seen, label, lambda: (chance, label)).tolist() == [noise_rate(seen, label)] * 3


def test_a_label_that_is_never_unlikely_since_classes_overlap_has_no_noise_of_its_own():
    rng = np.random.default_rng(0)
    chance = expit(rng.uniform(-0.5, 8, 2_000))  # the features speak for label 1, and never clearly for label 0
    label = (rng.random(2_000) < chance).astype(int)
    both = np.column_stack([1 - chance, chance])
    assert label[np.argsort(chance)[:200]].mean() > 0.35
    assert noise_by_label(both, label, lambda: (both, label)).max() < 0.02


def test_where_labels_are_wrong_alike_no_other_model_is_asked():
    chance, label = two_labels(5_000, 0.0)

    def asked():
        raise AssertionError

    assert (noise_by_label(chance, label, asked) == noise_rate(chance, label)).all()
