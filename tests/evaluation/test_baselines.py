import numpy as np

from shoploop.evaluation.baselines import Decay, Personal, Popular
from shoploop.evaluation.diagnostics import calibration, candidate_recall, coverage
from shoploop.evaluation.metrics import top
from shoploop.features.baskets import BASKETS
from shoploop.features.contract import Contract
from shoploop.samples.sample_set import SampleSet

CONTRACT = Contract(pair_features=("own_days", "own_decay_days_90", "item_rate_28"))


def one_request(own_days, decay, rate, bought=(), sources=None):
    """Candidates 0, 1, 2, ... of one user with these numbers of purchases, decayed purchases and popularity."""
    size = len(own_days)
    return SampleSet(
        users_Q=np.zeros(1, np.int32),
        days_Q=np.zeros(1, np.int32),
        offsets_Q1=np.array([0, size]),
        items_R=np.arange(size, dtype=np.int32),
        labels_R=np.isin(np.arange(size), bought),
        sources_R=np.array(sources or [1] * size, np.uint8),
        features_RK=np.stack([np.log1p(own_days), decay, np.log(rate)], axis=1).astype(np.float32),
        truth_offsets_Q1=np.array([0, len(bought)]),
        truth_T=np.array(bought, np.int32),
        event_offsets_Q1=np.zeros(2, np.int64),
        event_items_E=np.empty(0, np.int32),
        event_baskets_E=np.empty(0, np.int32),
        ages_QL=np.full((1, BASKETS), -1, np.int32),
    )


OLD_FAVOURITE, NEW_FAVOURITE, BESTSELLER, SHELF_WARMER = range(4)


def ranking(scorer):
    samples = one_request([5, 3, 0, 0], [0.2, 2.9, 0, 0], [0.01, 0.01, 0.3, 0.02])
    return top(samples.items_R, scorer.scores(samples)).tolist()


def test_popular_ranks_by_what_everybody_buys():
    assert ranking(Popular(CONTRACT))[:2] == [BESTSELLER, SHELF_WARMER]


def test_personal_ranks_own_purchases_first_and_then_what_is_popular():
    assert ranking(Personal(CONTRACT)) == [OLD_FAVOURITE, NEW_FAVOURITE, BESTSELLER, SHELF_WARMER]


def test_decay_forgets_old_favourites():
    assert ranking(Decay(CONTRACT)) == [NEW_FAVOURITE, OLD_FAVOURITE, BESTSELLER, SHELF_WARMER]


def test_recall_of_candidates_counts_each_source():
    samples = one_request([1, 0, 0], [0, 0, 0], [0.1] * 3, bought=(0, 1, 77, 78), sources=[0b011, 0b010, 0b100])
    assert candidate_recall(samples) == {
        "recall": 0.5,
        "by_source": {"history": 0.25, "popular": 0.5, "neighbours": 0.0, "followers": 0.0, "lately": 0.0}
        | dict.fromkeys(("alike", "kinds"), 0.0),
        "mean_count": 3.0,
    }


def test_coverage_is_the_share_of_items_shown():
    samples = one_request([0] * 12, [0] * 12, [0.1] * 12)
    assert coverage(samples, np.arange(12.0), 20) == 0.5


def test_a_certain_and_right_prediction_is_calibrated():
    samples = one_request([0, 0], [0, 0], [0.1, 0.1], bought=(0,))
    rows = calibration(samples, np.array([20.0, 0.0]), np.array([1.0]))
    assert [(round(r["predicted"], 3), r["observed"], r["count"]) for r in rows] == [(0.0, 0.0, 1), (1.0, 1.0, 1)]
