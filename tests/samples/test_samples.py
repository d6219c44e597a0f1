import json
import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from shop import FIRST, TRAINING, Shop
from shop.samples import split_visits, visits

from shoploop.errors import ArtifactCorrupt, ArtifactForeign, TooFewEvents
from shoploop.features.contract import Contract
from shoploop.features.log import Vocabulary
from shoploop.models.fusion import FusedModel
from shoploop.samples.files import SampleWriter, read_catalog, read_catalogs, read_items, read_samples
from shoploop.samples.ratings import read_ratings
from shoploop.samples.sample_set import Request, SampleSet
from shoploop.samples.step import choose_requests
from shoploop.samples.weights import WeightsForeign, read_weights, samples_digest, write_weights
from shoploop.training import sequence_task
from shoploop.training.loop import model_input
from shoploop.training.step import LOG_CHECKPOINT, train_fused
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel
from shoploop.versions.vocabulary import on_vocabulary

pytestmark = pytest.mark.usefixtures("one_thread")


SHOP = Shop()


def train(root, out, **given):
    folders = {name: root / name for name in ("data", "features", "samples")}
    return train_fused(**folders | given, out=out, training_spec=TRAINING)


def test_evaluation_lies_after_training_and_asks_each_user_once():
    chosen = choose_requests(SHOP.log(), SHOP.split, seed=0)
    learned = [r.day for r in chosen.train + chosen.validation]
    assert max(learned) < min(r.day for r in chosen.evaluation) == FIRST + 53
    assert min(learned) >= FIRST + 32
    users = [r.user for r in chosen.evaluation]
    assert len(users) == len(set(users)) == 15


def test_where_nobody_buys_again_what_was_learned_is_held_against_later_visits():
    def days(log, seed=0):
        chosen = choose_requests(log, SHOP.split, seed=seed)
        return [r.day for r in chosen.train], [r.day for r in chosen.validation]

    log = SHOP.log()
    train, held = days(log)
    assert min(held) < max(train), "where everybody buys what they have bought, they lie between them"
    codes = np.arange(len(log), dtype=np.int32)
    names = Vocabulary(tuple(f"{code:04}" for code in codes))
    train, held = days(replace(log, item_R=codes, vocabulary=names))  # nobody buys anything twice
    assert max(train) <= min(held)
    assert train != sorted(train) and train != days(replace(log, item_R=codes, vocabulary=names), seed=1)[0]


def test_too_few_visits_are_named_and_counted():
    few = Shop(users=3)
    with pytest.raises(TooFewEvents, match=r"3 users bought something in the 7 days of evaluation \(.*\); 20 and 10"):
        choose_requests(few.log(), few.split, seed=0)


def test_labels_are_what_was_bought_on_the_day_and_features_know_nothing_of_it():
    log, dora, day = SHOP.log(), 3, FIRST + 54
    request = Request(user=dora, day=day)
    samples = visits(SHOP, [request])
    bought = log.item_R[(log.user_R == dora) & (log.day_R == day)]
    assert [SHOP.names[item] for item in bought] == ["nuts", "soap"]
    np.testing.assert_array_equal(samples.truth(0), bought)
    np.testing.assert_array_equal(samples.items_R[samples.labels_R], bought)
    earlier = log.where((log.day_R < day) | (log.user_R != dora))
    again = visits(SHOP, [request], log=earlier)
    np.testing.assert_array_equal(samples.features_RK, again.features_RK)
    np.testing.assert_array_equal(samples.event_items_E, again.event_items_E)


def test_drawn_negatives_keep_every_purchase():
    requests = [Request(user=user, day=FIRST + 57) for user in range(0, 15, 3)]
    whole, drawn = visits(SHOP, requests), visits(SHOP, requests, negatives=2)
    assert drawn.labels_R.sum() == whole.labels_R.sum()
    assert (~drawn.labels_R).sum() == 2 * len(requests)


def test_of_requests_without_candidates_nothing_is_learned():
    samples = split_visits(SHOP)["train"]
    empty = replace(
        samples.select([0]),
        offsets_Q1=np.zeros(2, np.int64),
        **{name: getattr(samples, name)[:0] for name in ("items_R", "labels_R", "sources_R", "features_RK")},
    )
    both = SampleSet.concat([samples.select([0, 1]), empty, samples.select([2])])
    assert both.with_candidates().users_Q.tolist() == samples.users_Q[:3].tolist()
    assert samples.with_candidates() is samples
    assert len(empty.with_candidates()) == 0


def test_samples_read_back_are_those_that_were_written(trained_shop):
    written = split_visits(SHOP)["evaluation"]
    read = read_samples(trained_shop / "samples", Contract(), "evaluation")
    assert read.weights_R is written.weights_R is None
    for name, value in vars(written).items():
        if name != "weights_R":
            np.testing.assert_array_equal(value, getattr(read, name), err_msg=name)
    stored = read_catalogs(trained_shop / "samples")
    assert stored.first_days == SHOP.catalogs().first_days
    for day in stored.first_days:
        for name, value in vars(SHOP.catalogs()(day)).items():
            np.testing.assert_array_equal(value, getattr(stored(day), name), err_msg=name)
            np.testing.assert_array_equal(
                value, getattr(read_catalog(trained_shop / "samples", day), name), err_msg=name
            )
    items = read_items(trained_shop / "samples")
    assert items["title"].to_pylist()[0] == "Apples"


def test_the_same_samples_and_seed_train_the_same_version(trained_shop, tmp_path):
    one, other = trained_shop / "model", tmp_path / "other"
    assert train(trained_shop, other)["version"] == load_version(one).id
    assert (one / "weights.safetensors").read_bytes() == (other / "weights.safetensors").read_bytes()
    assert json.loads((other / "training.json").read_text())["epochs"][0]["epoch"] == 1


@pytest.fixture
def all_is_new(monkeypatch):
    """The rules take the shop's log for one of which a Transformer learns alone first."""
    monkeypatch.setattr(sequence_task, "FEWEST_VISITS", 1)
    monkeypatch.setattr(sequence_task, "MOST_REPEATS", 1.1)
    monkeypatch.setattr(sequence_task, "FEWEST_PURCHASES", 0.0)
    monkeypatch.setattr(sequence_task, "MOST_EPOCHS", 3)


def test_a_training_that_is_killed_while_it_learns_from_the_log_goes_on_to_the_same_version(
    trained_shop, all_is_new, tmp_path, monkeypatch
):
    at_once = train(trained_shop, tmp_path / "at-once")
    assert [row["epoch"] for row in at_once["pretraining"]["epochs"]] == [1, 2, 3]
    assert at_once["version"] != load_version(trained_shop / "model").id

    def kill(done, total, what):
        if what == "epochs of the log" and done == 2:
            raise KeyboardInterrupt

    cache = tmp_path / "cache"
    cache.mkdir()
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr("shoploop.training.step.progress.report", kill)
        train(trained_shop, tmp_path / "killed", cache=cache)
    assert [path.name for path in cache.iterdir()] == [LOG_CHECKPOINT]
    gone_on = train(trained_shop, tmp_path / "gone-on", cache=cache)
    assert gone_on["version"] == at_once["version"] and not list(cache.iterdir())
    assert gone_on["pretraining"]["epochs"][:2] != at_once["pretraining"]["epochs"][:2], "seconds of the killed one"

    model = TrainedModel.of_version(load_version(tmp_path / "gone-on")).model
    assert model.config.sequence.learned_items and model.sequence.own_ID.abs().sum() > 0
    vectors_ID, bias_I = model.items()
    request = model_input(read_samples(trained_shop / "samples", Contract(), "evaluation"), 0)
    learned_on = model.with_items(vectors_ID + 1, bias_I)
    assert not np.allclose(learned_on.score(request, part="transformer"), model.score(request, part="transformer"))


def write_weights_of(folder, path, rows, weight):
    table = rows.select("request", "item", "label", importance=weight.cast(pl.Float32), weight=weight.cast(pl.Float32))
    write_weights(path, table.to_arrow(), method="by hand", samples=samples_digest(folder))


def test_sample_weights_reach_the_loss_by_request_and_item(trained_shop, tmp_path):
    samples, weights = trained_shop / "samples", tmp_path / "weights.parquet"
    rows = pl.read_parquet(samples / "candidates.parquet", columns=["request", "item", "label"])
    write_weights_of(samples, weights, rows.reverse(), pl.when("label").then(1.0).otherwise(9.0))
    read = read_samples(samples, Contract(), "train", read_weights(weights, samples).table)
    assert set(read.weights_R[read.labels_R]) == {1.0} and set(read.weights_R[~read.labels_R]) == {9.0}
    weighted = train(trained_shop, tmp_path / "weighted", weights=weights)
    assert weighted["weighted"] and weighted["version"] != load_version(trained_shop / "model").id

    write_weights_of(samples, weights, rows.head(1), pl.lit(0.5))
    few = read_weights(weights, samples).table
    assert read_samples(samples, Contract(), "train", few).weights_R[:2].tolist() == [0.5, 1.0]


def test_ratings_weigh_what_was_bought_in_proportion_and_by_one_on_the_mean(tmp_path):
    turn = pl.int_range(pl.len()) % 3
    rating = pl.when(turn == 0).then(5.0).when(turn == 1).then(3.0)
    SHOP.interactions().with_columns(rating=rating).write_parquet(tmp_path / "interactions.parquet")
    part = split_visits(SHOP)["train"]
    ratings_R = read_ratings(tmp_path, SHOP.log()).of(part)
    with SampleWriter(tmp_path, Contract(), SHOP.log()) as writer:
        writer.write(part, "train", ratings_R)
    read = read_samples(tmp_path, Contract(), "train")
    rated_R = np.isfinite(ratings_R)
    assert part.labels_R[rated_R].all() and 0 < rated_R.sum() < part.labels_R.sum()
    assert set(read.weights_R[~rated_R]) == {1.0}
    assert read.weights_R[rated_R].mean() == pytest.approx(1)
    five, three = (read.weights_R[ratings_R == rating] for rating in (5, 3))
    assert np.unique(five) / np.unique(three) == pytest.approx(5 / 3)


def test_a_weight_and_a_rating_count_together(tmp_path):
    part = split_visits(SHOP)["train"]
    with SampleWriter(tmp_path, Contract(), SHOP.log()) as writer:
        writer.write(part, "train", np.where(part.labels_R, np.arange(len(part.labels_R)) % 2 * 2 + 1, np.nan))
    alone = read_samples(tmp_path, Contract(), "train").weights_R
    rows = pl.read_parquet(tmp_path / "candidates.parquet", columns=["request", "item"]).with_columns(weight=0.5)
    both = read_samples(tmp_path, Contract(), "train", rows.to_arrow()).weights_R
    np.testing.assert_allclose(both, alone / 2)


def test_weights_below_zero_are_refused(trained_shop, tmp_path):
    samples, weights = trained_shop / "samples", tmp_path / "weights.parquet"
    rows = pl.read_parquet(samples / "candidates.parquet", columns=["request", "item", "label"]).head(1)
    write_weights_of(samples, weights, rows, pl.lit(-1.0))
    with pytest.raises(ArtifactCorrupt, match="negative or not finite"):
        read_weights(weights, samples)


def test_weights_of_other_samples_are_refused(trained_shop, tmp_path):
    samples, weights = trained_shop / "samples", tmp_path / "weights.parquet"
    rows = pl.read_parquet(samples / "candidates.parquet", columns=["request", "item", "label"])
    write_weights_of(samples, weights, rows, pl.lit(1.0))
    others = tmp_path / "others"
    shutil.copytree(samples, others)
    more = pl.read_parquet(samples / "requests.parquet").with_columns(pl.col("day") + 1)
    more.write_parquet(others / "requests.parquet")
    with pytest.raises(WeightsForeign, match="Estimate the importance again"):
        train(trained_shop, tmp_path / "model", samples=others, weights=weights)
    rows.write_parquet(weights)
    with pytest.raises(ArtifactForeign, match="no weights artifact"):
        train(trained_shop, tmp_path / "model", weights=weights)


def with_learned_items(trained):
    """The same version, but each item is something of its own beside its factors."""
    config = trained.model.config
    model = FusedModel(replace(config, sequence=replace(config.sequence, learned_items=True)))
    model.load_state_dict(trained.model.state_dict(), strict=False)
    with torch.no_grad():
        model.sequence.own_ID.normal_(generator=torch.Generator().manual_seed(0))
    return replace(trained, model=model.prepare())


@pytest.mark.parametrize(
    "changed", [lambda trained: trained, with_learned_items], ids=["factors alone", "learned items"]
)
def test_a_version_scores_alike_under_another_vocabulary(trained_shop, changed):
    trained = changed(TrainedModel.of_version(load_version(trained_shop / "model")))
    moved = on_vocabulary(trained, Vocabulary(("a-new-one", *SHOP.names)))
    request = model_input(read_samples(trained_shop / "samples", Contract(), "evaluation"), 0)
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
