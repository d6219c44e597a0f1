"""Trees teach the DNN what they know of visits that they have not learned from."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from shop import TRAINING, Shop
from shop.samples import OFFERED_FEATURES, offered, offered_splits, write_folders

from shoploop.compute.parallel import Group
from shoploop.models.fusion import Scores
from shoploop.training import teaching
from shoploop.training.building import build_model
from shoploop.training.loop import TrainConfig, batches, fit, losses
from shoploop.training.step import train_fused
from shoploop.training.teaching import foreign_scores, lesson, taught, teaches, told_lesson

pytestmark = pytest.mark.usefixtures("one_thread", "narrow_network")

CONFIG = TrainConfig(epochs=1, batch_requests=8, seed=3)


@pytest.fixture(autouse=True)
def few_are_enough(monkeypatch):
    monkeypatch.setattr(teaching, "ROUNDS", 5)
    monkeypatch.setattr(teaching, "FEWEST_REQUESTS", 300)


@pytest.fixture
def samples():
    return offered(300)


def fitted(samples, config=CONFIG):
    model = build_model(OFFERED_FEATURES, Shop().catalog(), samples, seed=config.seed)
    fit(model, samples, samples.select([]), config)
    return model.state_dict()


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_what_the_teacher_says_are_chances_and_the_bought_item_has_the_best(samples):
    said = taught(samples, lesson(samples, seed=0))
    sums, best = [], []
    for q in range(len(said)):
        rows = said.rows(q)
        sums.append(said.taught_R[rows].sum())
        best.append(said.labels_R[rows][said.taught_R[rows].argmax()])
    assert np.allclose(sums, 1, atol=1e-5)
    assert np.mean(best) > 0.8


def test_what_a_user_bought_changes_nothing_of_what_the_teacher_says_of_them(samples):
    of_user_Q = samples.users_Q == 2
    of_user_R = np.repeat(of_user_Q, np.diff(samples.offsets_Q1))
    other = replace(samples, labels_R=np.where(of_user_R, ~samples.labels_R, samples.labels_R))
    before, after = foreign_scores(samples, seed=0), foreign_scores(other, seed=0)
    assert np.array_equal(before[of_user_R], after[of_user_R])
    assert not np.array_equal(before, after)


def test_the_same_seed_says_the_same_and_another_one_something_else(samples):
    one, again, other = (foreign_scores(samples, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_only_the_dnn_has_a_teacher(samples):
    (plain,) = batches(samples, np.arange(4), 4)
    (batch,) = batches(taught(samples, lesson(samples, seed=0)), np.arange(4), 4)
    drawn_BN = torch.randn(batch.labels_BN.shape, generator=torch.Generator().manual_seed(0))
    scores = Scores(dnn_BN=drawn_BN, transformer_BN=drawn_BN, fused_BN=drawn_BN)
    without, unheard, heard = losses(scores, plain), losses(scores, batch), losses(scores, batch, taught_share=0.6)
    assert [x.item() for x in without] == [x.item() for x in unheard]
    assert heard[0].item() != without[0].item()
    assert [x.item() for x in heard[1:]] == [x.item() for x in without[1:]]


def test_a_teacher_who_says_what_was_bought_changes_no_loss(samples):
    bought = replace(samples, taught_R=samples.labels_R.astype(np.float32))
    (batch,) = batches(bought, np.arange(4), 4)
    drawn_BN = torch.randn(batch.labels_BN.shape, generator=torch.Generator().manual_seed(0))
    scores = Scores(dnn_BN=drawn_BN, transformer_BN=drawn_BN, fused_BN=drawn_BN)
    assert losses(scores, batch, taught_share=0.6)[0].item() == pytest.approx(losses(scores, batch)[0].item())


def test_a_row_that_counts_nothing_is_not_taught(samples):
    weights_R = np.ones(len(samples.items_R), np.float32)
    weights_R[samples.rows(0).start] = 0
    weighted = replace(samples, weights_R=weights_R)
    said = np.full(len(samples.items_R), 0.1, np.float32)
    other = said.copy()
    other[samples.rows(0).start] = 0.9
    found = []
    for taught_R in (said, other):
        (batch,) = batches(replace(weighted, taught_R=taught_R), np.arange(1), 1)
        drawn_BN = torch.arange(batch.labels_BN.shape[1])[None].float()
        scores = Scores(dnn_BN=drawn_BN, transformer_BN=drawn_BN, fused_BN=drawn_BN)
        found.append(losses(scores, batch, taught_share=0.6)[0].item())
    assert found[0] == found[1]


def test_a_share_of_nothing_is_a_training_without_a_teacher(samples):
    few = samples.select(range(24))
    said = replace(few, taught_R=np.random.default_rng(0).random(len(few.items_R)).astype(np.float32))
    assert same(fitted(few), fitted(said, replace(CONFIG, taught_share=0.0)))
    assert not same(fitted(few), fitted(said))
    assert same(fitted(said), fitted(said))


def test_few_visits_have_no_teacher(samples):
    assert teaches(samples)
    assert lesson(samples.select(range(299)), seed=0) is None
    assert lesson(replace(samples, users_Q=np.zeros_like(samples.users_Q)), seed=0) is None
    assert lesson(replace(samples, labels_R=np.zeros_like(samples.labels_R)), seed=0) is None


def test_of_two_processes_each_hears_of_its_own_visits_what_one_alone_hears(samples):
    whole = lesson(samples, seed=0)

    @dataclass(frozen=True, kw_only=True)
    class Two(Group):
        said: list

        def told(self, words):
            self.said.append(words)
            return self.said[0]

    said = []
    for rank in (0, 1):
        found = told_lesson(Two(rank=rank, size=2, said=said), lambda: (samples, whole))
        own = taught(samples, whole).select(np.arange(rank, len(samples), 2))
        assert np.array_equal(found.taught_R, own.taught_R)
        assert found.temperature == whole.temperature


def test_a_run_whose_visits_are_enough_has_a_teacher_and_the_same_bytes_again(samples, tmp_path, monkeypatch):
    root = write_folders(tmp_path / "shop", splits=offered_splits(samples), contract=OFFERED_FEATURES)
    folders = {name: root / name for name in ("data", "features", "samples")}

    def version(name, fewest):
        monkeypatch.setattr(teaching, "FEWEST_REQUESTS", fewest)
        return train_fused(**folders, out=tmp_path / name, training_spec=TRAINING, cache=tmp_path)

    alone, one, again = version("alone", 301), version("one", 300), version("again", 300)
    assert alone["teacher"] is None
    assert one["teacher"]["folds"] == 2
    assert one["version"] == again["version"] != alone["version"]
    assert not list(tmp_path.glob("*.safetensors")), "what was kept is of no use any more"
