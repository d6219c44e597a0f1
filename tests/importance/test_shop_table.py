from dataclasses import replace

import numpy as np
import pytest
import torch
from shop import Shop
from shop.samples import OFFERED, OFFERED_FEATURES, offered

from shoploop.evaluation.scoring import model_scores
from shoploop.importance.estimators.errors import FeaturesNotFinite, OneClassOnly, SamplesEqual
from shoploop.importance.shop import shop_columns, shop_table
from shoploop.importance.shop_proxy import look, train_shop_proxy


@pytest.fixture(scope="module")
def samples():
    return offered(40)


@pytest.fixture(scope="module")
def view(samples):
    return look(train_shop_proxy(samples, Shop().catalog(), OFFERED_FEATURES, seed=0), samples)


def test_the_proxy_sees_every_row_with_the_scores_of_the_model(samples):
    model = train_shop_proxy(samples, Shop().catalog(), OFFERED_FEATURES, seed=0)
    view, scores = look(model, samples), model_scores(model, samples)
    assert np.allclose(view.dnn_R, scores["dnn"], atol=1e-5)
    assert np.allclose(view.transformer_R, scores["transformer"], atol=1e-5)
    chance_QN = np.exp(view.chance_R.reshape(-1, OFFERED))
    assert np.allclose(chance_QN.sum(axis=1), 1, atol=1e-5)
    last = model.behaviour.layers[-1]
    again_R = view.hidden_RH @ last.weight.detach().numpy()[0] + last.bias.item()
    assert np.allclose(again_R, view.dnn_R, atol=1e-4)


def test_the_same_seed_gives_the_same_proxy(samples):
    one, other = (train_shop_proxy(samples, Shop().catalog(), OFFERED_FEATURES, seed=3) for _ in range(2))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_a_table_has_the_pair_features_and_what_the_proxy_says(samples, view):
    table = shop_table(samples, view, OFFERED_FEATURES, seed=0)
    assert table.names == (*OFFERED_FEATURES.pair_features, "proxy_dnn", "proxy_transformer", "proxy_log_chance")
    assert table.x_NK.shape == (240, 5)
    assert (table.classes[table.y_N] == samples.labels_R).all()
    hidden, names = shop_columns(samples, view, OFFERED_FEATURES, ("hidden",))
    assert hidden.shape == (240, len(names)) and names[0].startswith("proxy_hidden_")


def test_a_feature_that_never_varies_is_left_out(samples, view):
    flat = replace(samples, features_RK=samples.features_RK * np.float32([1, 0]))
    assert shop_table(flat, view, OFFERED_FEATURES, columns=("pairs",), seed=0).names == ("own_days",)


def test_samples_that_cannot_be_told_apart_are_named(samples, view):
    with pytest.raises(SamplesEqual, match="own_days"):
        same = replace(samples, features_RK=np.ones_like(samples.features_RK))
        shop_table(same, view, OFFERED_FEATURES, columns=("pairs",), seed=0)
    with pytest.raises(OneClassOnly, match="label False"):
        shop_table(replace(samples, labels_R=np.zeros_like(samples.labels_R)), view, OFFERED_FEATURES, seed=0)
    spoilt = samples.features_RK.copy()
    spoilt[7, 1] = np.nan
    with pytest.raises(FeaturesNotFinite, match=r"item_rate_28 \(1 of 240\)"):
        shop_table(replace(samples, features_RK=spoilt), view, OFFERED_FEATURES, seed=0)
