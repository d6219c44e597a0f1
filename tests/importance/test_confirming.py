"""How many labels are wrong is held against labels that were held out."""

import numpy as np
import pytest
from scipy.special import expit

from shoploop.importance.confirming import confirmed
from shoploop.importance.estimators.table import Table
from shoploop.importance.estimators.weights import WeightConfig

BOUNDS = WeightConfig(sharpness=1.0)


def shop(*, steep, flipped, size=800, seed=0):
    """Rows whose label a logistic curve draws, of which some are flipped, and the chance of the label that each carries."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 2))
    wanted = expit(steep * x[:, 0])
    label = (rng.random(size) < wanted) ^ (rng.random(size) < flipped)
    chance = flipped + (1 - 2 * flipped) * wanted
    return Table.of(x, label.astype(int)), np.where(label, chance, 1 - chance)


@pytest.mark.parametrize("seed", range(3))
def test_of_classes_that_overlap_hardly_a_label_is_wrong(seed):
    table, own = shop(steep=1.5, flipped=0.0, size=3_000, seed=seed)
    assert confirmed(np.array([0.3, 0.3]), own, table, BOUNDS, seed=0).max() <= 0.15


def test_where_features_settle_the_label_the_count_has_the_word():
    rng = np.random.default_rng(0)
    red = np.repeat([0.0, 1.0], 150)
    label = (red == 1) ^ (rng.random(300) < 0.2)
    own = np.where(label == (red == 1), 0.8, 0.2)
    rate = np.array([0.2, 0.2])
    assert np.array_equal(confirmed(rate, own, Table.of(red[:, None], label.astype(int)), BOUNDS, seed=0), rate)


@pytest.mark.parametrize("seed", range(3))
def test_flipped_labels_stay_counted(seed):
    table, own = shop(steep=8.0, flipped=0.2, seed=seed)
    found = confirmed(np.array([0.2, 0.2]), own, table, BOUNDS, seed=0)
    assert found.min() >= 0.15


@pytest.mark.parametrize("seed", range(3))
def test_too_high_a_count_comes_down(seed):
    table, own = shop(steep=8.0, flipped=0.1, seed=seed)
    assert 0 < confirmed(np.array([0.4, 0.4]), own, table, BOUNDS, seed=0).max() <= 0.2


def test_of_labels_too_rare_to_hold_any_out_the_count_is_all_there_is():
    table = Table.of(np.arange(20.0)[:, None], np.repeat([0, 1], [17, 3]))
    rate = np.array([0.1, 0.1])
    assert confirmed(rate, np.full(20, 0.5), table, BOUNDS, seed=0) is rate


def test_the_same_seed_confirms_the_same():
    table, own = shop(steep=8.0, flipped=0.2)
    first, again = (confirmed(np.array([0.3, 0.2]), own, table, BOUNDS, seed=4) for _ in range(2))
    assert first.tobytes() == again.tobytes()
