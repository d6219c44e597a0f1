from dataclasses import replace

import numpy as np
import pytest
import torch
from shop import Shop
from shop.samples import OFFERED_FEATURES, offered

from shoploop.evaluation.baselines import Popular, Shuffle
from shoploop.evaluation.intervals import mean
from shoploop.evaluation.scoring import model_scores, request_metrics
from shoploop.training.building import build_model
from shoploop.training.loop import TrainConfig, fit
from shoploop.training.trees import LambdaMart

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = TrainConfig(epochs=6, joint_epochs=2, batch_requests=8, learning_rate=1e-2, behaviour_rate=1.0, seed=3)


def trained(samples, config=QUICK, validation=None):
    model = build_model(OFFERED_FEATURES, Shop().catalog(), samples, seed=config.seed)
    curves = fit(model, samples, validation or samples.select([]), config)
    return model, curves


def first_place(samples, scores):
    """Share of requests whose bought item has the best score."""
    hits = [samples.labels_R[samples.rows(q)][scores[samples.rows(q)].argmax()] for q in range(len(samples))]
    return sum(hits) / len(hits)


def test_a_model_learns_what_one_feature_says():
    samples = offered(64)
    model, curves = trained(samples)
    unseen = offered(64, seed=9)
    scores = model_scores(model, unseen)
    assert first_place(unseen, scores["dnn"]) > 0.9
    assert first_place(unseen, scores["fused"]) > 0.9
    assert first_place(unseen, Shuffle().scores(unseen)) < 0.5
    assert curves.epochs[-1]["train_loss"]["fused"] < curves.epochs[0]["train_loss"]["fused"]
    assert model.alpha["items"] > 0.5  # the feature is the DNN's, the history says nothing


def test_the_same_seed_gives_the_same_bytes():
    one, _ = trained(offered(24))
    other, _ = trained(offered(24))
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_alpha_rests_until_both_modules_can_stand_alone():
    _, curves = trained(offered(16))
    assert {row["alpha"]["items"] for row in curves.epochs if row["phase"] == "alone"} == {0.5}
    assert curves.epochs[-1]["alpha"]["items"] != 0.5


def test_the_best_epoch_together_is_kept():
    samples, validation = offered(24), offered(24, seed=5)
    model, curves = trained(samples, validation=validation)
    from shoploop.training.loop import validation_loss

    best = min(row["validation_loss"]["fused"] for row in curves.epochs if row["phase"] == "together")
    assert validation_loss(model, validation)["fused"] == best


def test_weights_of_one_change_nothing_and_other_weights_do():
    samples = offered(24)
    plain, _ = trained(samples)
    ones, _ = trained(replace(samples, weights_R=np.ones(len(samples.items_R), np.float32)))
    heavy = np.where(samples.labels_R, 1.0, 5.0).astype(np.float32)
    weighted, _ = trained(replace(samples, weights_R=heavy))
    weight = "behaviour.layers.0.weight"
    assert torch.equal(plain.state_dict()[weight], ones.state_dict()[weight])
    assert not torch.equal(plain.state_dict()[weight], weighted.state_dict()[weight])


def test_every_scorer_gives_one_finite_score_per_row():
    samples = offered(32)
    model, _ = trained(samples)
    everything = model_scores(model, samples) | {
        "popular": Popular(OFFERED_FEATURES).scores(samples),
        "shuffle": Shuffle(1).scores(samples),
        "lambdamart": LambdaMart(rounds=2, threads=1).fit(samples).scores(samples),
    }
    for name, scores in everything.items():
        assert scores.shape == samples.items_R.shape and np.isfinite(scores).all(), name
        assert 0 <= mean(request_metrics(samples, scores)["ndcg@10"]) <= 1
