import json
import shutil

import numpy as np
import polars as pl
import pytest
from drawn_shop import FIRST, NAMES, TRAINING, arrays, interactions, samples_of, shop, write_folders

from shoploop.data.splits import TimeSplit
from shoploop.errors import ArtifactCorrupt, ArtifactForeign, TooFewEvents
from shoploop.evaluation.incumbent import on_vocabulary
from shoploop.features.contract import Contract
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.samples.files import read_catalog, read_samples
from shoploop.samples.sample_set import Request
from shoploop.samples.step import choose_requests
from shoploop.samples.weights import WeightsForeign, read_weights, samples_digest, write_weights
from shoploop.training.loop import model_input
from shoploop.training.step import train_fused
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    write_folders(root)
    return root


def train(root, out, **given):
    folders = {name: root / name for name in ("data", "features", "samples")}
    return train_fused(**folders | given, out=out, training_spec=TRAINING)


def test_evaluation_lies_after_training_and_asks_each_user_once():
    log, _ = shop()
    chosen = choose_requests(log, TimeSplit.of(log.last_day, TRAINING), seed=0)
    learned = [r.day for r in chosen.train + chosen.validation]
    assert max(learned) < min(r.day for r in chosen.evaluation) == FIRST + 53
    assert min(learned) >= FIRST + 32
    users = [r.user for r in chosen.evaluation]
    assert len(users) == len(set(users)) == 16


def test_too_few_visits_are_named_and_counted():
    few = interactions().filter(pl.col("user") < "u03")
    log = PurchaseLog.of(purchases(few), Vocabulary(tuple(NAMES)))
    with pytest.raises(TooFewEvents, match=r"3 users bought something in the 7 days of evaluation \(.*\); 20 and 10"):
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


def write_weights_of(folder, path, rows, weight):
    table = rows.select("request", "item", "label", importance=weight.cast(pl.Float32), weight=weight.cast(pl.Float32))
    write_weights(path, table.to_arrow(), method="by hand", samples=samples_digest(folder))


def test_sample_weights_reach_the_loss_by_request_and_item(folders, tmp_path):
    samples, weights = folders / "samples", tmp_path / "weights.parquet"
    rows = pl.read_parquet(samples / "candidates.parquet", columns=["request", "item", "label"])
    write_weights_of(samples, weights, rows.reverse(), pl.when("label").then(1.0).otherwise(9.0))
    read = read_samples(samples, Contract(), "train", read_weights(weights, samples).table)
    assert set(read.weights_R[read.labels_R]) == {1.0} and set(read.weights_R[~read.labels_R]) == {9.0}
    plain, weighted = train(folders, tmp_path / "plain"), train(folders, tmp_path / "weighted", weights=weights)
    assert weighted["weighted"] and weighted["version"] != plain["version"]

    write_weights_of(samples, weights, rows.head(1), pl.lit(0.5))
    few = read_weights(weights, samples).table
    assert read_samples(samples, Contract(), "train", few).weights_R[:2].tolist() == [0.5, 1.0]


def test_weights_below_zero_are_refused(folders, tmp_path):
    samples, weights = folders / "samples", tmp_path / "weights.parquet"
    rows = pl.read_parquet(samples / "candidates.parquet", columns=["request", "item", "label"]).head(1)
    write_weights_of(samples, weights, rows, pl.lit(-1.0))
    with pytest.raises(ArtifactCorrupt, match="negative or not finite"):
        read_weights(weights, samples)


def test_weights_of_other_samples_are_refused(folders, tmp_path):
    samples, weights = folders / "samples", tmp_path / "weights.parquet"
    rows = pl.read_parquet(samples / "candidates.parquet", columns=["request", "item", "label"])
    write_weights_of(samples, weights, rows, pl.lit(1.0))
    others = tmp_path / "others"
    shutil.copytree(samples, others)
    more = pl.read_parquet(samples / "requests.parquet").with_columns(pl.col("day") + 1)
    more.write_parquet(others / "requests.parquet")
    with pytest.raises(WeightsForeign, match="Estimate the importance again"):
        train(folders, tmp_path / "model", samples=others, weights=weights)
    rows.write_parquet(weights)
    with pytest.raises(ArtifactForeign, match="no weights artifact"):
        train(folders, tmp_path / "model", weights=weights)


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
