"""What must be refused is refused: a generator that memorises, one of noise, and settings that make no sense."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError
from shop import Shop

from shoploop.api.v1alpha1 import AugmentationSpec
from shoploop.augmentation.generator.adversary import Adversary, GeneratorDiverged
from shoploop.augmentation.generator.records import build_vocabulary, read_behaviour, split_users
from shoploop.augmentation.proofs import privacy_attacks as privacy
from shoploop.augmentation.proofs.controls import Memoriser
from shoploop.augmentation.trials.decision import choose, judge
from shoploop.errors import ArtifactForeign, TooFewEvents


def bought(users: int) -> pl.DataFrame:
    """Eight visits of each, at which five of thirty items of a taste are drawn."""
    return Shop(users=users, days=24, items=60, drawn=5).interactions()


def halves(users: int):
    seen, hidden = split_users(bought(users), share=0.5, random=np.random.default_rng(0))
    items = pl.DataFrame({"item": seen["item"].unique().sort()})
    vocabulary = build_vocabulary(seen, items, min_buyers=2)
    return read_behaviour(seen, vocabulary), read_behaviour(hidden, vocabulary), vocabulary


def test_a_generator_that_memorises_is_caught_and_refused():
    real, held, vocabulary = halves(100)
    made = Memoriser(real, vocabulary, seed=0).sample(4 * real.records, seed=0)
    found = privacy.attack(made, real, held, vocabulary, seed=0)
    assert found.membership_auc >= 0.8
    assert any("membership" in reason for reason in found.reasons(k=2))


def test_shoppers_whom_nobody_learned_from_are_not_found():
    real, held, vocabulary = halves(200)
    others, held = (held.take(np.arange(a, held.records, 2)) for a in (0, 1))
    found = privacy.attack(replace(others, user=np.arange(others.records)), real, held, vocabulary, seed=0)
    assert abs(found.membership_auc - 0.5) < 0.15


def test_noise_that_costs_accuracy_is_refused():
    without = np.random.default_rng(0).random(500)
    verdict = judge(
        "noise",
        {"cold": [without * 0.9], "overall": [without * 0.9]},
        {"cold": [without], "overall": [without]},
        leaks=[],
        seed=0,
    )
    assert not verdict.admitted
    assert choose([verdict], "Auto", []).variant is None


def test_a_gain_is_admitted_unless_it_leaks():
    without = np.random.default_rng(0).random(500)
    better = {"cold": [without * 1.1], "overall": [without]}
    same = {"cold": [without], "overall": [without]}
    assert judge("gan", better, same, leaks=[], seed=0).admitted
    assert not judge("gan", better, same, leaks=["copies"], seed=0).admitted


def test_fewer_than_fifty_histories_are_too_few():
    with pytest.raises(TooFewEvents, match="49 users"):
        split_users(bought(49), share=0.3, random=np.random.default_rng(0))


def test_a_single_item_is_no_behaviour():
    one = bought(60).with_columns(item=pl.lit("only"))
    with pytest.raises(TooFewEvents, match="Only 1 of 1 items"):
        build_vocabulary(one, pl.DataFrame({"item": ["only"]}), min_buyers=2)


@pytest.mark.parametrize("ratio", [0, -1, 1.5])
def test_a_ratio_outside_the_cap_is_an_error(ratio):
    with pytest.raises(ValidationError, match="ratio"):
        AugmentationSpec(ratio=ratio)


def test_a_checkpoint_of_another_schema_is_refused_and_the_same_goes_on(tmp_path):
    config = Adversary.Config(steps=4, hidden=8, batch=8)
    real, condition = torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.ones(32, 1)
    whole = Adversary(4, 1, config, seed=0)
    whole.train(real, condition, torch.ones_like(real))
    killed = Adversary(4, 1, config, seed=0)
    killed.train(real, condition, torch.ones_like(real), checkpoint=tmp_path / "c.safetensors", every=2)
    resumed = Adversary(4, 1, config, seed=0)
    resumed.load(tmp_path / "c.safetensors")
    assert resumed.step == 4
    ask = (torch.ones(3, 1), torch.ones(3, 4))
    assert torch.equal(resumed.sample(*ask, seed=1), whole.sample(*ask, seed=1))
    with pytest.raises(ArtifactForeign, match="width"):
        Adversary(5, 1, config, seed=0).load(tmp_path / "c.safetensors")


def test_a_training_that_was_broken_off_ends_with_the_bytes_of_an_unbroken_one(tmp_path, monkeypatch):
    config = Adversary.Config(steps=8, hidden=8, batch=8, dropout=0.5)
    given = (torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.ones(32, 1), torch.ones(32, 4))
    whole = Adversary(4, 1, config, seed=0)
    whole.train(*given)
    broken, step = Adversary(4, 1, config, seed=0), Adversary._generator_step

    def breaks_off(self, *tensors):
        if self.step == 6:
            raise KeyboardInterrupt
        return step(self, *tensors)

    monkeypatch.setattr(Adversary, "_generator_step", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        broken.train(*given, checkpoint=tmp_path / "c.safetensors", every=4)
    monkeypatch.undo()
    resumed = Adversary(4, 1, config, seed=0)
    resumed.load(tmp_path / "c.safetensors")
    assert resumed.step == 4
    resumed.train(*given)
    for name, tensor in whole.state().items():
        assert name == "dropout_cpu" or torch.equal(tensor, resumed.state()[name]), name


def test_a_loss_that_is_no_number_ends_by_name():
    real = torch.full((16, 4), float("nan"))
    with pytest.raises(GeneratorDiverged):
        Adversary(4, 1, Adversary.Config(steps=2, hidden=8, batch=8), seed=0).train(
            real, torch.ones(16, 1), torch.ones_like(real)
        )


def test_one_copied_basket_more_than_among_real_shoppers_is_chance_and_many_are_not():
    def share(copied: int) -> tuple[float, float]:
        made_B, held_B = np.arange(5_000) < copied, np.arange(3_000) < 1
        return float(made_B.mean()), privacy._by_chance(made_B, held_B)

    copies, allowed = share(3)
    assert copies <= allowed
    copies, allowed = share(15)
    assert copies > allowed
    assert privacy._by_chance(np.zeros(5, bool), np.zeros(0, bool)) == 0.0
