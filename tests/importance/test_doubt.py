"""Labels that can be trusted count alike; doubtful ones do not."""

import numpy as np

from shoploop.importance.doubt import wrong_share
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
