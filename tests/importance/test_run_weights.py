"""What rows of a run count, by methods that speak of chances and by those that only put samples in order."""

from dataclasses import dataclass

import numpy as np
import pytest
from shop import Shop
from shop.samples import OFFERED_FEATURES, offered

from shoploop.bench.importance.shop import with_noise
from shoploop.importance.estimators.interface import ESTIMATORS
from shoploop.importance.estimators.weights import Scores
from shoploop.importance.shop_proxy import look, train_shop_proxy
from shoploop.importance.weighing import WeighingConfig, weigh

pytestmark = pytest.mark.usefixtures("one_thread")
REQUESTS = 60


@dataclass(frozen=True)
class Ranked:
    """A method that puts rows in the order that it was told, and says nothing of chances."""

    importance_N: np.ndarray
    name = "ranked"
    paper = "none"

    def score(self, table, *, seed):
        return Scores(importance_N=self.importance_N)


@pytest.fixture
def weighed(monkeypatch):
    """Samples weighed by a method of this order."""

    def make(samples, importance):
        monkeypatch.setitem(ESTIMATORS, "ranked", lambda: Ranked(importance))
        view = look(train_shop_proxy(samples, Shop().catalog(), OFFERED_FEATURES, seed=0), samples)
        return weigh(samples, view, OFFERED_FEATURES, WeighingConfig(method="ranked"), seed=0)

    return make


def test_ranks_find_no_doubt_where_labels_can_be_trusted(weighed):
    clean = offered(REQUESTS)
    ranks = np.random.default_rng(0).permutation(len(clean.labels_R)) / len(clean.labels_R)
    assert (weighed(clean, ranks).weights_R == 1).all()


def test_the_order_of_ranks_is_that_of_the_weights_where_labels_are_in_doubt(weighed):
    noisy = with_noise(offered(REQUESTS), 0.2, seed=0)
    ranks = np.random.default_rng(0).permutation(len(noisy.labels_R)) / len(noisy.labels_R)
    found = weighed(noisy, ranks)
    bought = np.flatnonzero(noisy.labels_R)
    weights = found.weights_R[bought][np.argsort(ranks[bought])]
    assert weights[0] < 0.9 < 1 < weights[-1] and (np.diff(weights) >= 0).all()
    assert (found.importance_R == ranks).all()


def test_a_method_that_tells_no_row_from_another_weighs_none(weighed):
    noisy = with_noise(offered(REQUESTS), 0.2, seed=0)
    assert (weighed(noisy, np.ones(len(noisy.labels_R))).weights_R == 1).all()
