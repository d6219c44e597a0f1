import numpy as np
import pytest

from shoploop.evaluation.intervals import Bootstrap, mean
from shoploop.evaluation.metrics import NAMES, auc, list_metrics, top
from shoploop.evaluation.scoring import measured_beside


def test_metrics_of_a_list_worked_out_by_hand():
    # right at places 1 and 3 of ten, four items bought
    found = list_metrics(np.array([7, 1, 8, 2, 3, 4, 5, 6, 9, 10]), np.array([7, 8, 50, 60]))
    assert found["recall@10"] == 0.5
    assert found["precision@10"] == 0.2
    assert found["f1@10"] == pytest.approx(2 * 0.5 * 0.2 / 0.7)
    ideal = 1 + 1 / np.log2(3) + 1 / np.log2(4) + 1 / np.log2(5)
    assert found["ndcg@10"] == pytest.approx((1 + 1 / np.log2(4)) / ideal)
    assert found["hit@10"] == 1


def test_the_ideal_list_of_ndcg_has_at_most_ten_places():
    everything = np.arange(30)
    assert list_metrics(everything[:10], everything)["ndcg@10"] == pytest.approx(1)
    assert list_metrics(everything[:1], everything[:1])["ndcg@10"] == pytest.approx(1)


def test_a_list_without_a_right_item_has_zeros():
    assert set(list_metrics(np.array([1, 2]), np.array([3])).values()) == {0.0}


def test_equal_scores_are_ranked_by_code():
    assert top(np.array([9, 4, 7]), np.array([1.0, 1.0, 2.0]), 3).tolist() == [7, 4, 9]


def test_auc_counts_pairs_and_half_of_ties():
    labels = np.array([True, False, True, False])
    assert auc(np.array([3.0, 2.0, 1.0, 0.0]), labels) == 0.75
    assert auc(np.zeros(4), labels) == 0.5
    assert auc(np.zeros(2), np.array([True, True])) is None


def test_an_interval_holds_the_mean_and_narrows_with_users():
    few, many = np.arange(10) % 2.0, np.arange(1000) % 2.0
    wide = Bootstrap(10).interval(few)
    narrow = Bootstrap(1000).interval(many)
    assert wide[0] < 0.5 < wide[1] and narrow[0] < 0.5 < narrow[1]
    assert narrow[1] - narrow[0] < wide[1] - wide[0]


def test_a_constant_difference_is_certain_because_users_are_paired():
    noise = np.random.default_rng(0).random(50)
    low, high = Bootstrap(50).interval((noise + 0.1) - noise)
    assert low == pytest.approx(0.1, abs=1e-6) and high == pytest.approx(0.1, abs=1e-6)


def test_users_without_a_value_have_no_part():
    values = np.array([1.0, np.nan, 1.0])
    assert Bootstrap(3).interval(values) == (1.0, 1.0)
    assert mean(values) == 1.0
    assert Bootstrap(2).interval(np.array([np.nan, np.nan])) is None


def test_beside_a_version_that_was_measured_on_the_easier_days_alone_stands_what_ours_did_on_these():
    """Ours is better by .02 on each visit that both were measured on, and worse by its mean over all."""
    ours, theirs = np.r_[np.full(50, 0.10), np.full(50, 0.30)], np.r_[np.full(50, np.nan), np.full(50, 0.28)]
    assert mean(ours) < mean(theirs)

    def of(values):
        return dict.fromkeys((*NAMES, "auc"), values)

    found = measured_beside(of(ours), of(theirs), Bootstrap(100))
    assert found["visits"] == 50
    assert found["fused"]["ndcg@10"] == found["fused"]["recall@10"] == pytest.approx(0.30)
    assert measured_beside(of(ours), of(ours - 0.02), Bootstrap(100)) == {}
