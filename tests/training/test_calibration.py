"""The offered samples: one feature tells what is bought, the history tells nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from shop import Shop
from shop.samples import OFFERED_FEATURES, offered

from shoploop.evaluation.scoring import model_scores
from shoploop.training.building import build_model
from shoploop.training.calibration import FEWEST_REQUESTS, MOST_TIMES, calibrate
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


def test_too_few_visits_change_nothing(model, trained):
    assert calibrate(model, offered(FEWEST_REQUESTS - 1, seed=5)) is None
    assert all(torch.equal(value, trained[name]) for name, value in model.state_dict().items())
