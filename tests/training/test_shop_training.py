"""A tiny model learns where somebody goes next, and answers all else as before.

The visits: on even days each of eight people goes to the shop that one number names, and the last baskets say the same.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from shop import Shop
from shop.samples import OFFERED_FEATURES, offered

from shoploop.evaluation.scoring import model_scores
from shoploop.samples.files import read_samples
from shoploop.samples.shop_step import SHOPS as FOLDER
from shoploop.samples.shops import SHOP_COLUMNS
from shoploop.training.building import build_model
from shoploop.training.calibration import calibrate
from shoploop.training.loop import TrainConfig, fit, model_input, validation_loss
from shoploop.training.shopping import ShopTraining, fit_shops
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import SHOPS, TrainedModel

pytestmark = pytest.mark.usefixtures("one_thread")

SHOP = Shop()
QUICK = ShopTraining(epochs=6, batch_visits=8, learning_rate=1e-2, seed=3)


def chosen(requests, *, seed=0, told=True):
    """Six of twelve shops are candidates; of each visit the last baskets were bought at the right one, and a number says it
    where ``told``."""
    samples = offered(requests, seed=seed)
    shops_QL = np.full(samples.ages_QL.shape, -1, np.int32)
    shops_QL[:, :2] = samples.truth_T[:, None]
    features_RK = samples.features_RK if told else np.ascontiguousarray(samples.features_RK[:, [1, 1]])
    return replace(samples, features_RK=features_RK, shops_QL=shops_QL)


@pytest.fixture(scope="module")
def before():
    """The model whose recommendations have learned and whose choice of shops has not."""
    visits = offered(64)
    model = build_model(OFFERED_FEATURES, SHOP.catalog(), visits, seed=0, visits=chosen(64), shops=12)
    fit(model, visits, visits.select([]), TrainConfig(epochs=2, batch_requests=8, learning_rate=1e-2))
    return model


@pytest.fixture(scope="module")
def after(before):
    model = copy.deepcopy(before)
    return model, fit_shops(model, chosen(64), chosen(24, seed=5), QUICK)


def first_place(samples, scores):
    """Share of requests whose right shop has the best score."""
    hits = [samples.labels_R[samples.rows(q)][scores[samples.rows(q)].argmax()] for q in range(len(samples))]
    return sum(hits) / len(hits)


def test_both_networks_learn_where_somebody_goes(after):
    unseen = chosen(64, seed=9)
    scores = model_scores(after[0], unseen, surface="shops")
    assert min(first_place(unseen, scores[part]) for part in ("dnn", "transformer", "fused")) > 0.9


def test_the_transformer_alone_knows_the_shop_of_the_last_baskets(after):
    unseen = chosen(64, seed=9, told=False)
    assert first_place(unseen, model_scores(after[0], unseen, surface="shops")["transformer"]) > 0.9
    nowhere = replace(unseen, shops_QL=np.full_like(unseen.shops_QL, -1))
    assert first_place(nowhere, model_scores(after[0], nowhere, surface="shops")["transformer"]) < 0.5


def test_recommendations_are_the_same_to_the_bit(before, after):
    for name, value in before.state_dict().items():
        if name != "alpha_logits" and not name.startswith("shops."):
            assert torch.equal(value, after[0].state_dict()[name]), name
    assert after[0].alpha["items"] == before.alpha["items"]
    visits = offered(16, seed=7)
    for part, values in model_scores(before, visits).items():
        np.testing.assert_array_equal(values, model_scores(after[0], visits)[part])


def test_recommendations_are_those_of_a_model_that_was_never_asked_for_shops(before):
    visits = offered(64)
    plain = build_model(OFFERED_FEATURES, SHOP.catalog(), visits, seed=0)
    fit(plain, visits, visits.select([]), TrainConfig(epochs=2, batch_requests=8, learning_rate=1e-2))
    for name, value in plain.state_dict().items():
        if name != "alpha_logits":
            assert torch.equal(value, before.state_dict()[name]), name


def test_the_same_seed_gives_the_same_weights_and_another_others(before):
    def trained(seed):
        model = copy.deepcopy(before)
        fit_shops(model, chosen(64), chosen(24, seed=5), replace(QUICK, epochs=1, seed=seed))
        return model.state_dict()

    one, other, third = map(trained, (3, 3, 4))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert not torch.equal(one["shops.shop.weight"], third["shops.shop.weight"])


def test_the_epoch_is_kept_whose_validation_loss_is_lowest(after):
    model, curves = after
    best = min(row["validation_loss"]["fused"] for row in curves.epochs)
    found = validation_loss(model, chosen(24, seed=5), surface="shops")["fused"]
    assert found == pytest.approx(best, rel=1e-6)


def test_calibrating_shops_leaves_recommendations_as_they_were(after):
    model, unseen, visits = copy.deepcopy(after[0]), chosen(200, seed=7), offered(16, seed=7)
    scores, before = model_scores(model, visits), model_scores(model, unseen, surface="shops")
    found = calibrate(model, unseen, "shops")
    for part, values in model_scores(model, visits).items():
        np.testing.assert_array_equal(values, scores[part])
    now = model_scores(model, unseen, surface="shops")
    assert model.alpha["shops"] == pytest.approx(found.alpha)
    np.testing.assert_allclose(now["dnn"], found.dnn_times * before["dnn"], rtol=1e-4, atol=1e-4)
    times = found.transformer_times
    np.testing.assert_allclose(now["transformer"], times * before["transformer"], rtol=1e-4, atol=1e-4)


def test_a_visit_to_a_shop_that_is_no_candidate_teaches_nothing_and_breaks_nothing(before):
    samples = chosen(8)
    lost = replace(samples, labels_R=np.zeros_like(samples.labels_R))
    model = copy.deepcopy(before)
    fit_shops(model, lost, lost.select([]), replace(QUICK, epochs=1))
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_a_version_knows_its_shops_and_read_back_scores_as_it_did(searching_shop):
    version = load_version(searching_shop / "model")
    trained = TrainedModel.of_version(version)
    again = TrainedModel.build(
        trained.tensors(), trained.config(), trained.contract.to_json(), version.items, trained.extra_files()
    )
    assert SHOPS in version.extra_files and trained.shops == again.shops == ("north", "south")
    held_out = read_samples(searching_shop / "samples" / FOLDER, SHOP_COLUMNS, "evaluation")
    for q in range(3):
        request = model_input(held_out, q)
        np.testing.assert_array_equal(
            trained.model.score(request, surface="shops"), again.model.score(request, surface="shops")
        )


def test_a_version_that_chooses_no_shops_has_no_file_of_them(trained_shop):
    plain = load_version(trained_shop / "model")
    assert SHOPS not in plain.extra_files and TrainedModel.of_version(plain).shops == ()
