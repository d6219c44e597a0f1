"""The offered samples: one feature tells what is bought, the history tells nothing."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from shop import Shop
from shop.samples import OFFERED, OFFERED_FEATURES, offered

from shoploop.evaluation.scoring import model_scores
from shoploop.training import calibration
from shoploop.training.building import build_model
from shoploop.training.calibration import FEWEST_REQUESTS, MOST_TIMES, SCORED_AT_ONCE, calibrate
from shoploop.training.loop import TrainConfig, fit, validation_loss

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained():
    samples = offered(64)
    model = build_model(OFFERED_FEATURES, Shop().catalog(), samples, seed=0)
    fit(model, samples, samples.select([]), TrainConfig(epochs=4, batch_requests=8, learning_rate=1e-2))
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.fixture
def model(trained):
    model = build_model(OFFERED_FEATURES, Shop().catalog(), offered(64), seed=0)
    model.load_state_dict(trained)
    return model


def test_scores_that_are_too_sure_shrink_and_the_loss_on_unseen_visits_falls(model):
    unseen = offered(64, noise=1.0, seed=5)
    with torch.no_grad():
        model.behaviour.multiply_scores(30.0)
    before, scores = validation_loss(model, unseen), model_scores(model, unseen)
    found = calibrate(model, unseen)
    after = validation_loss(model, unseen)
    assert found.dnn_times == pytest.approx(1 / MOST_TIMES, rel=0.1)
    assert all(after[part] <= before[part] + 1e-6 for part in ("dnn", "transformer", "fused"))
    np.testing.assert_allclose(
        model_scores(model, unseen)["dnn"], found.dnn_times * scores["dnn"], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        model_scores(model, unseen)["transformer"],
        found.transformer_times * scores["transformer"],
        rtol=1e-4,
        atol=1e-4,
    )


def test_alpha_goes_to_the_network_that_knows_what_is_bought(model):
    with torch.no_grad():
        model.alpha_logits.fill_(-1.0)
    found = calibrate(model, offered(200, seed=5))
    assert found.alpha > found.alpha_before
    assert model.alpha["items"] == pytest.approx(found.alpha)


def test_alpha_leaves_a_network_that_knows_nothing(model):
    with torch.no_grad():
        model.behaviour.multiply_scores(0.0)
        model.sequence.multiply_scores(0.0)
        model.sequence.item_bias_I.copy_(torch.linspace(-1, 1, len(model.sequence.item_bias_I)))
    unseen = offered(200, seed=5)
    biased = unseen.items_R.max() == unseen.items_R
    found = calibrate(model, replace(unseen, labels_R=biased))
    assert found.alpha < found.alpha_before


def test_a_few_visits_move_alpha_less_than_many(model, trained):
    alphas = []
    for visits in (FEWEST_REQUESTS, 200):
        model.load_state_dict(trained)
        with torch.no_grad():
            model.alpha_logits.fill_(-1.0)
        alphas.append(calibrate(model, offered(visits, seed=5)).alpha)
    assert alphas[0] < alphas[1]


def test_the_other_network_is_never_lost(model):
    with torch.no_grad():
        model.sequence.multiply_scores(0.0)
    assert calibrate(model, offered(64, noise=0.0, seed=5)).alpha <= 0.983


def test_visits_are_scored_a_few_at_a_time_as_if_all_were_scored_at_once(model, trained, monkeypatch):
    """Of some visits there are fewer candidates, so that parts of them are padded to different widths."""
    unseen = offered(70, noise=1.0, seed=5)
    kept_R = (np.arange(len(unseen.items_R)) // OFFERED >= 64) | (np.arange(len(unseen.items_R)) % OFFERED < 4)
    unseen = replace(
        unseen,
        offsets_Q1=np.concatenate([[0], np.cumsum(kept_R.reshape(-1, OFFERED).sum(axis=1))]),
        items_R=unseen.items_R[kept_R],
        labels_R=unseen.labels_R[kept_R],
        sources_R=unseen.sources_R[kept_R],
        features_RK=unseen.features_RK[kept_R],
    )
    widest, score = [], model.forward

    def forward(batch, *more):
        widest.append(len(batch.mask_BN))
        return score(batch, *more)

    monkeypatch.setattr(model, "forward", forward)
    found, sizes = [], []
    for at_once in (SCORED_AT_ONCE, 70):
        monkeypatch.setattr(calibration, "SCORED_AT_ONCE", at_once)
        model.load_state_dict(trained)
        found.append(asdict(calibrate(model, unseen)))
        sizes.append(max(widest))
    assert sizes[0] <= SCORED_AT_ONCE < sizes[1]
    assert found[0] == pytest.approx(found[1], rel=1e-3)


def test_too_few_visits_change_nothing(model, trained):
    assert calibrate(model, offered(FEWEST_REQUESTS - 1, seed=5)) is None
    assert all(torch.equal(value, trained[name]) for name, value in model.state_dict().items())
