"""What the checks conclude, on numbers and samples whose answer is plain."""

import numpy as np
import pytest
import torch
from shop import Shop as World
from shop.samples import OFFERED, OFFERED_FEATURES, offered

from shoploop.importance.checks.flips import Shop, prefer, removal
from shoploop.importance.checks.trial import TrialConfig, history_slices, judge, measured, try_weights
from shoploop.importance.estimators.interface import ESTIMATORS, make_estimator
from shoploop.importance.estimators.table import Table
from shoploop.importance.weighing import METHODS, WeighingConfig
from shoploop.training.loop import listwise_loss

SHOP = Shop(catalog=World().catalog(), contract=OFFERED_FEATURES, columns=("pairs", "proxy"))


def compared(difference, low, high, **more):
    return {"difference": difference, "interval": [low, high], "with": 0.5, "without": 0.5, "requests": 9} | more


def trial(overall, **slices):
    return {"margin": 0.002, "judged": 100, "overall": overall, "slices": slices}


@pytest.mark.parametrize(
    "found, used, said",
    [
        (trial(compared(0.01, 0.002, 0.018, bound=0.003)), True, "gain"),
        (trial(compared(0.0, -0.002, 0.002, bound=-0.001)), True, "lose nothing"),
        (trial(compared(0.0, -0.009, 0.009, bound=-0.007)), False, "not ruled out"),
        (trial(compared(-0.02, -0.03, -0.01, bound=-0.028)), False, "not ruled out"),
        (trial(compared(-0.0005, -0.002, 0.001, bound=-0.0018)), False, "rather lose"),
        (
            trial(compared(0.01, 0.002, 0.018, bound=0.003), **{"cold users": compared(-0.1, -0.2, -0.01)}),
            False,
            "Cold users lose",
        ),
    ],
    ids=["a-gain", "no-loss", "too-unsure", "a-loss", "rather-a-loss", "a-slice-loses"],
)
def test_weights_are_kept_only_where_they_do_not_lose(found, used, said):
    verdict = judge(found)
    assert verdict.used is used and said in verdict.reason


def test_uniform_weights_train_the_same_model_to_the_digit():
    found = try_weights(
        offered(40), offered(30, seed=7), SHOP, WeighingConfig(method="uniform"), seed=0, trial=TrialConfig(epochs=1)
    )
    assert found["overall"]["difference"] == 0 and found["nothing"]


def test_where_all_weights_are_1_there_is_nothing_to_weigh():
    verdict = judge(trial(compared(0.0, 0.0, 0.0, bound=0.0)) | {"nothing": True})
    assert not verdict.used and "Nothing to weigh" in verdict.reason


def test_the_self_check_prefers_the_method_that_finds_more():
    asked = [0.7, 0.6, 0.8, 0.7]
    more, even, unknown = [0.8, 0.7, 0.9, 0.7], [0.9, 0.4, 0.9, 0.7], [float("nan")] * 4
    assert prefer("gan_attention", {"gan_attention": asked, "loss": more, "knn_shapley": even}) == "loss"
    assert prefer("gan_attention", {"gan_attention": asked, "loss": even}) == "gan_attention"
    assert prefer("loss", {"loss": unknown, "knn_shapley": unknown}) == "loss"


@pytest.fixture(scope="module")
def once_and_eightfold():
    """A visit of each of five users, and the same eight times over."""
    once = offered(5, seed=7, noise=1.0)
    return once, once.select(np.repeat(np.arange(5), 8))


def test_what_is_judged_by_five_users_is_as_unsure_however_often_they_come(once_and_eightfold):
    without_U, with_U = np.zeros(5), np.array([0.3, 0.2, -0.1, 0.1, 0.0])
    for judged in once_and_eightfold:
        found = measured(with_U[judged.users_Q], without_U[judged.users_Q], judged, SHOP, seed=0)
        # the worst and the best that five draws bring now and then: eight visits of each would say .05 to .15
        assert found["overall"]["difference"] == pytest.approx(0.1)
        assert found["overall"]["interval"] == pytest.approx([-0.02, 0.22], abs=0.011)
        assert found["overall"]["bound"] == pytest.approx(0.0, abs=0.011)
        assert found["slices"]["long histories"]["interval"] == found["overall"]["interval"]


def test_what_suits_one_user_alone_shows_nothing(once_and_eightfold):
    alone = once_and_eightfold[1].select(np.arange(8))
    found = measured(np.ones(8), np.zeros(8), alone, SHOP, seed=0)
    verdict = judge(found)
    assert found["overall"]["interval"] is None and found["overall"]["difference"] == 1
    assert not verdict.used and "not ruled out" in verdict.reason


def test_removal_is_as_unsure_however_often_the_same_users_come(once_and_eightfold):
    sample, once = offered(100, noise=1.0), once_and_eightfold[0]
    rng = np.random.default_rng(0)
    x_RK, x_SK = (rng.standard_normal((len(s.labels_R), 20)).astype(np.float32) for s in (sample, once))
    observed, importance = sample.labels_R.astype(np.int64), rng.random(len(sample.labels_R))
    intervals = [
        removal(x_RK, observed, importance, judged_SK, judged, seed=0)["lowest"]["0.3"]["interval"]
        for judged, judged_SK in zip(
            once_and_eightfold, (x_SK, np.repeat(x_SK.reshape(5, OFFERED, 20), 8, axis=0).reshape(-1, 20)), strict=True
        )
    ]
    assert intervals[0][0] < intervals[0][1]
    assert intervals[1] == pytest.approx(intervals[0], abs=1e-6)


def test_users_are_told_apart_by_the_length_of_their_history():
    found = history_slices(offered(6), SHOP)  # a contract without the feature knows no history: all are long ones
    assert found["long histories"].all() and not found["cold users"].any()


def test_removing_what_was_flipped_helps_and_removing_the_rest_does_not():
    sample, judged = offered(100, noise=1.0), offered(200, seed=5, noise=1.0)
    rng = np.random.default_rng(0)
    flipped = rng.random(len(sample.labels_R)) < 0.2
    observed = (sample.labels_R ^ flipped).astype(np.int64)
    known = np.where(flipped, 0.0, 1.0) + 1e-6 * np.arange(len(observed))
    # among many columns that say nothing, wrong labels lead astray
    x_RK, x_SK = (
        np.hstack([s.features_RK, rng.standard_normal((len(s.labels_R), 60))]).astype(np.float32)
        for s in (sample, judged)
    )
    found = removal(x_RK, observed, known, x_SK, judged, seed=0)
    assert found["lowest"]["0.2"]["interval"][0] > 0
    assert found["highest"]["0.3"]["interval"][1] < 0
    assert set(found["random"]) == {"0.1", "0.2", "0.3"}


def test_a_sample_of_weight_0_teaches_nothing():
    scores = torch.tensor([[2.0, 1.0, -1.0, 0.5]], requires_grad=True)
    labels = torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    mask = torch.ones(1, 4, dtype=torch.bool)
    without = listwise_loss(scores[:, :2], labels[:, :2], mask[:, :2], torch.ones(1, 2))
    zeroed = listwise_loss(scores, labels, mask, torch.tensor([[1.0, 1.0, 0.0, 0.0]]))
    assert zeroed.item() == pytest.approx(without.item(), rel=1e-6)
    zeroed.backward()
    assert scores.grad[0, 2:].tolist() == [0.0, 0.0] and scores.grad[0, :2].abs().sum() > 0


def test_a_request_whose_samples_all_weigh_0_leaves_the_others_as_they_are():
    scores = torch.tensor([[2.0, 1.0], [3.0, -1.0]], requires_grad=True)
    labels, mask = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.ones(2, 2, dtype=torch.bool)
    alone = listwise_loss(scores[:1], labels[:1], mask[:1], torch.ones(1, 2))
    both = listwise_loss(scores, labels, mask, torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    assert both.item() == pytest.approx(alone.item(), rel=1e-6)
    both.backward()
    assert scores.grad[1].tolist() == [0.0, 0.0] and scores.grad.isfinite().all()


def test_a_weight_of_2_is_as_good_as_the_sample_twice():
    scores, labels = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    twice = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    heavy = listwise_loss(scores, labels, torch.ones(1, 2, dtype=torch.bool), torch.tensor([[1.0, 2.0]]))
    assert heavy.item() == pytest.approx(
        listwise_loss(*twice, torch.ones(1, 3, dtype=torch.bool), torch.ones(1, 3)).item(), rel=1e-6
    )


def test_a_bought_item_that_counts_twice_is_no_rival_of_itself():
    labels, mask = torch.tensor([[1.0, 0.0]]), torch.ones(1, 2, dtype=torch.bool)
    scores = torch.tensor([[1.0, 0.0]])
    heavy = listwise_loss(scores, labels, mask, torch.tensor([[2.0, 1.0]]))
    # alone in its request it is all that is wanted, whatever it counts
    assert heavy.item() == pytest.approx(listwise_loss(scores, labels, mask, torch.ones(1, 2)).item(), rel=1e-6)


def test_every_estimator_of_the_spec_is_there_and_no_other_but_uniform():
    assert set(METHODS.values()) == set(ESTIMATORS) - {"uniform"}


@pytest.mark.parametrize("method", [m for m in ESTIMATORS if m != "uniform"])
def test_the_order_of_the_rows_decides_nothing_that_matters(method):
    """Folds and batches are drawn by place, so ranks agree closely instead of exactly."""
    from scipy.stats import spearmanr

    sample = offered(60, noise=0.6)
    order = np.random.default_rng(1).permutation(60 * OFFERED)
    tables = [Table.of(sample.features_RK[rows], sample.labels_R[rows]) for rows in (np.arange(len(order)), order)]
    one, other = (make_estimator(method).score(table, seed=0).importance_N for table in tables)
    assert spearmanr(one[order], other).statistic > 0.6
