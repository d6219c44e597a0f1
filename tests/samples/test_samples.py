import json

import numpy as np
import polars as pl
import pytest
import torch
from drawn_shop import FIRST, NAMES, TRAINING, arrays, interactions, samples_of, shop, write_folders

from shoploop.artifacts import load_version
from shoploop.data.splits import TimeSplit
from shoploop.errors import ArtifactCorrupt, TooFewEvents
from shoploop.evaluation.incumbent import on_vocabulary
from shoploop.features.contract import Contract
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.models.trained import TrainedModel
from shoploop.sample_files import read_catalog, read_samples
from shoploop.sample_set import Request
from shoploop.samples import choose_requests
from shoploop.training import train_fused
from shoploop.training.loop import model_input


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    write_folders(root)
    return root


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def train(root, out, **kwargs):
    return train_fused(root / "samples", root / "features", root / "data", out, TRAINING, **kwargs)


def test_evaluation_lies_after_training_and_asks_each_user_once():
    log, _ = shop()
    chosen = choose_requests(log, TimeSplit.of(log.last_day, TRAINING), seed=0)
    learned = [r.day for r in chosen.train + chosen.validation]
    assert max(learned) < min(r.day for r in chosen.evaluation) == FIRST + 53
    assert min(learned) >= chosen.training_first == FIRST + 32
    users = [r.user for r in chosen.evaluation]
    assert len(users) == len(set(users)) == 16


def test_short_data_keeps_its_first_third_as_history():
    log, _ = shop()
    chosen = choose_requests(
        log, TimeSplit.of(log.last_day, TRAINING.model_copy(update={"training_days": 900})), seed=0
    )
    assert chosen.training_first == FIRST + 53 // 3


def test_too_few_visits_are_named_and_counted():
    few = interactions().filter(pl.col("user") < "u03")
    log = PurchaseLog.of(purchases(few), Vocabulary(tuple(NAMES)))
    with pytest.raises(
        TooFewEvents, match="3 users bought something in the 7 days of evaluation; 20 and 10 are needed"
    ):
        choose_requests(log, TimeSplit.of(log.last_day, TRAINING), seed=0)


def test_labels_are_what_was_bought_on_the_day_and_features_know_nothing_of_it():
    log, catalog = shop()
    request = Request(user=3, day=FIRST + 57)
    samples = samples_of(log, catalog, [request])
    bought = log.item_R[(log.user_R == 3) & (log.day_R == FIRST + 57)]
    np.testing.assert_array_equal(samples.truth(0), bought)
    np.testing.assert_array_equal(samples.items_R[samples.labels_R], bought)
    earlier = log.where((log.day_R < FIRST + 57) | (log.user_R != 3))
    again = samples_of(earlier, catalog, [request])
    np.testing.assert_array_equal(samples.features_RK, again.features_RK)
    np.testing.assert_array_equal(samples.event_items_E, again.event_items_E)


def test_drawn_negatives_keep_every_purchase():
    log, catalog = shop()
    requests = [Request(user=u, day=FIRST + 57) for u in range(16) if (57 + u) % 3 == 0]
    whole, drawn = samples_of(log, catalog, requests), samples_of(log, catalog, requests, negatives=2)
    assert drawn.labels_R.sum() == whole.labels_R.sum()
    assert (~drawn.labels_R).sum() == 2 * len(requests)


def test_samples_read_back_are_those_that_were_written(folders):
    log, catalog = shop()
    chosen = choose_requests(log, TimeSplit.of(log.last_day, TRAINING), seed=0)
    written = samples_of(log, catalog, chosen.evaluation)
    read = read_samples(folders / "samples", Contract(), "evaluation")
    for name, value in arrays(written).items():
        np.testing.assert_array_equal(value, getattr(read, name), err_msg=name)
    stored, items = read_catalog(folders / "samples")
    for name, value in vars(catalog).items():
        np.testing.assert_array_equal(value, getattr(stored, name), err_msg=name)
    assert items["title"].to_pylist()[0] == "Item 0"


def test_the_same_samples_and_seed_train_the_same_version(folders, tmp_path):
    one, other = train(folders, tmp_path / "one"), train(folders, tmp_path / "other")
    assert one["version"] == other["version"]
    assert (tmp_path / "one" / "weights.safetensors").read_bytes() == (
        tmp_path / "other" / "weights.safetensors"
    ).read_bytes()
    assert json.loads((tmp_path / "one" / "training.json").read_text())["epochs"][0]["epoch"] == 1


def test_sample_weights_reach_the_loss_by_request_and_item(folders, tmp_path):
    rows = pl.read_parquet(folders / "samples" / "candidates.parquet", columns=["request", "item", "label"])
    weights = tmp_path / "weights.parquet"
    rows.select(
        "request", "item", weight=pl.when("label").then(1.0).otherwise(9.0).cast(pl.Float32)
    ).reverse().write_parquet(weights)
    read = read_samples(folders / "samples", Contract(), "train", weights)
    assert set(read.weights_R[read.labels_R]) == {1.0} and set(read.weights_R[~read.labels_R]) == {9.0}
    plain, weighted = train(folders, tmp_path / "plain"), train(folders, tmp_path / "weighted", weights=weights)
    assert weighted["weighted"] and weighted["version"] != plain["version"]

    rows.head(1).select("request", "item", weight=pl.lit(0.5, pl.Float32)).write_parquet(weights)
    assert read_samples(folders / "samples", Contract(), "train", weights).weights_R[:2].tolist() == [0.5, 1.0]


def test_weights_below_zero_are_refused(folders, tmp_path):
    rows = pl.read_parquet(folders / "samples" / "candidates.parquet", columns=["request", "item"]).head(1)
    rows.with_columns(weight=pl.lit(-1.0, pl.Float32)).write_parquet(tmp_path / "weights.parquet")
    with pytest.raises(ArtifactCorrupt, match="negative or not finite"):
        read_samples(folders / "samples", Contract(), "train", tmp_path / "weights.parquet")


def test_a_version_scores_alike_under_another_vocabulary(folders, tmp_path):
    train(folders, tmp_path / "model")
    trained = TrainedModel.of_version(load_version(tmp_path / "model"))
    moved = on_vocabulary(trained, Vocabulary(("a-new-one", *NAMES)))
    request = model_input(read_samples(folders / "samples", Contract(), "evaluation"), 0)
    shifted = type(request)(
        items_N=request.items_N + 1,
        features_NK=request.features_NK,
        sequence=type(request.sequence)(
            items_E=request.sequence.items_E + 1,
            baskets_E=request.sequence.baskets_E,
            ages_L=request.sequence.ages_L,
        ),
    )
    np.testing.assert_allclose(trained.model.score(request), moved.model.score(shifted), rtol=1e-5)
    assert (moved.catalog.factors_ID[0] == 0).all()
    np.testing.assert_array_equal(moved.catalog.neighbours_IM[1:], trained.catalog.neighbours_IM + 1)
