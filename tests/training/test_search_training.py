"""A tiny model learns that a word means an item, and forgets nothing of its recommendations.

The asked samples: over the offered ones, which a pair's first feature answers, a query names what is taken by a word that
no name has: only the Transformer can learn what it means, and the features of the query say nothing.
"""

import copy
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from shop import Shop
from shop.samples import OFFERED_FEATURES, offered
from shop.searches import COLUMNS

from shoploop.evaluation.scoring import model_scores
from shoploop.features.log import Vocabulary
from shoploop.samples.files import read_samples
from shoploop.samples.search_step import SEARCH
from shoploop.training.building import build_model
from shoploop.training.calibration import calibrate
from shoploop.training.loop import TrainConfig, fit, model_input, validation_loss
from shoploop.training.searching import SearchTraining, fit_search
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import SEARCHES, TrainedModel
from shoploop.versions.vocabulary import on_vocabulary

pytestmark = pytest.mark.usefixtures("one_thread")

SHOP = Shop()
MEANS = ("uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", "once", "doce")
"""The word for each item."""

OFFERED_WIDTH = len(OFFERED_FEATURES.pair_features)

QUERIES = 72
QUICK = SearchTraining(epochs=5, batch_requests=8, learning_rate=1e-2, text_learning_rate=5e-2, seed=3)


def asked(requests, *, seed=0):
    """Offered items, of which the one is taken that the query names; a pair's features say nothing of it."""
    samples = offered(requests, seed=seed)
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((len(samples.items_R), OFFERED_WIDTH + 3)).astype(np.float32)
    queries = tuple(MEANS[samples.truth(q)[0]] for q in range(requests))
    return replace(samples, features_RK=noise, queries=queries)


def built(queries):
    visits = offered(64)
    model = build_model(OFFERED_FEATURES, SHOP.catalog(), visits, seed=0, queries=queries, texts=SHOP.names)
    fit(model, visits, visits.select([]), TrainConfig(epochs=4, batch_requests=8, learning_rate=1e-2))
    return model


@pytest.fixture(scope="module")
def before():
    """The model whose recommendations have learned and whose search has not."""
    return built(asked(QUERIES))


def searched(before, config=QUICK, validation=None):
    model = copy.deepcopy(before)
    curves = fit_search(
        model,
        asked(QUERIES),
        asked(24, seed=5) if validation is None else validation,
        offered(64),
        offered(24, seed=5),
        config,
    )
    return model, curves


@pytest.fixture(scope="module")
def after(before):
    return searched(before)


def first_place(samples, scores):
    """Share of requests whose right item has the best score."""
    hits = [samples.labels_R[samples.rows(q)][scores[samples.rows(q)].argmax()] for q in range(len(samples))]
    return sum(hits) / len(hits)


def test_a_word_comes_to_mean_an_item(before, after):
    unseen = asked(64, seed=9)
    model, curves = after
    assert first_place(unseen, model_scores(before, unseen, surface="search")["transformer"]) < 0.5
    scores = model_scores(model, unseen, surface="search")
    assert first_place(unseen, scores["transformer"]) > 0.9
    assert first_place(unseen, scores["fused"]) > 0.9
    assert curves.epochs[-1]["train_loss"]["fused"] < curves.epochs[0]["train_loss"]["fused"]


def test_recommendations_are_not_forgotten(before, after):
    unseen = offered(64, seed=9)
    model, _ = after
    assert validation_loss(model, unseen)["fused"] < validation_loss(before, unseen)["fused"] + 0.05
    assert first_place(unseen, model_scores(model, unseen)["fused"]) > 0.9


def test_alpha_of_search_goes_to_the_network_that_reads_words(before, after):
    assert before.alpha["search"] == 0.5 > after[0].alpha["search"]


def test_the_same_seed_gives_the_same_weights_and_another_others(before, after):
    short = replace(QUICK, epochs=1)
    one, other, third = (searched(before, replace(short, seed=seed))[0].state_dict() for seed in (3, 3, 4))
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
    assert not torch.equal(one["search.text.weight"], third["search.text.weight"])


def test_the_epoch_is_kept_whose_two_losses_together_are_lowest(after):
    model, curves = after
    best = min(curves.epochs, key=lambda row: row["validation_loss"]["fused"] + row["items_validation_loss"]["fused"])
    found = validation_loss(model, asked(24, seed=5), surface="search")["fused"]
    assert found == pytest.approx(best["validation_loss"]["fused"], rel=1e-6)


def test_without_validation_the_last_epoch_is_kept(before):
    last, curves = searched(before, replace(QUICK, epochs=1), validation=asked(1).select([]))
    only, _ = searched(before, replace(QUICK, epochs=1))
    assert "validation_loss" not in curves.epochs[0]
    for name, value in only.state_dict().items():
        assert torch.equal(value, last.state_dict()[name]), name


def test_a_query_whose_right_item_is_no_candidate_teaches_nothing_and_breaks_nothing(before):
    samples = asked(8)
    lost = replace(samples, labels_R=np.zeros_like(samples.labels_R))
    model = copy.deepcopy(before)
    fit_search(model, lost, lost.select([]), offered(8), offered(1).select([]), replace(QUICK, epochs=1))
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_calibrating_search_leaves_recommendations_as_they_were(after):
    model, unseen, visits = copy.deepcopy(after[0]), asked(200, seed=7), offered(32, seed=7)
    alpha, scores = model.alpha["items"], model_scores(model, visits)
    before = model_scores(model, unseen, surface="search")
    found = calibrate(model, unseen, "search")
    assert model.alpha["items"] == alpha and model.alpha["search"] == pytest.approx(found.alpha)
    for part, values in model_scores(model, visits).items():
        np.testing.assert_array_equal(values, scores[part])
    now = model_scores(model, unseen, surface="search")
    np.testing.assert_allclose(now["dnn"], found.dnn_times * before["dnn"], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        now["transformer"], found.transformer_times * before["transformer"], rtol=1e-4, atol=1e-4
    )


def test_calibrating_recommendations_leaves_alpha_of_search(after):
    model = copy.deepcopy(after[0])
    alpha = model.alpha["search"]
    calibrate(model, offered(200, seed=7))
    assert model.alpha["search"] == alpha


@pytest.fixture(scope="module")
def version(searching_shop):
    return load_version(searching_shop / "model")


def test_a_version_remembers_queries_and_what_items_are_called(version, searching_shop):
    trained = TrainedModel.of_version(version)
    assert SEARCHES in version.extra_files
    written = pl.read_parquet(searching_shop / "samples" / SEARCH / "searches.parquet")
    assert trained.searches.equals(written)
    assert trained.texts[SHOP.names.index("milk")].split() == ["Milk", "sweet"]
    assert trained.model.alpha.keys() == {"items", "search", "shops"}


def test_a_version_read_back_scores_as_it_did(version, searching_shop):
    trained = TrainedModel.of_version(version)
    again = TrainedModel.build(
        trained.tensors(), trained.config(), trained.contract.to_json(), version.items, trained.extra_files()
    )
    held_out = read_samples(searching_shop / "samples" / SEARCH, COLUMNS, "evaluation")
    for q in range(3):
        request = model_input(held_out, q)
        np.testing.assert_array_equal(
            trained.model.score(request, surface="search"), again.model.score(request, surface="search")
        )
    assert again.searches.equals(trained.searches) and again.texts == trained.texts


def test_a_version_that_does_not_search_has_no_file_of_it(trained_shop):
    plain = load_version(trained_shop / "model")
    trained = TrainedModel.of_version(plain)
    assert SEARCHES not in plain.extra_files and trained.extra_files() == {}
    assert trained.searches is None and trained.model.search is None and len(trained.texts) == SHOP.items


def test_what_is_asked_for_comes_first_in_the_days_of_evaluation(version, searching_shop):
    held_out = read_samples(searching_shop / "samples" / SEARCH, COLUMNS, "evaluation")
    model = TrainedModel.of_version(version).model
    assert first_place(held_out, model_scores(model, held_out, surface="search")["fused"]) > 0.9


def test_a_version_that_searches_scores_alike_under_another_vocabulary(version, searching_shop):
    """As the incumbent of a run whose shop sells other things."""
    trained = TrainedModel.of_version(version)
    moved = on_vocabulary(trained, Vocabulary(("a-new-one", *SHOP.names)))
    request = model_input(read_samples(searching_shop / "samples" / SEARCH, COLUMNS, "evaluation"), 0)
    sequence = replace(request.sequence, items_E=request.sequence.items_E + 1)
    shifted = replace(request, items_N=request.items_N + 1, sequence=sequence)
    np.testing.assert_allclose(
        trained.model.score(request, surface="search"), moved.model.score(shifted, surface="search"), rtol=1e-5
    )
    assert moved.texts == ("", *trained.texts)
