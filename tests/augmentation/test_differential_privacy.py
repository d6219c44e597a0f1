"""Differentially private training: what it costs, what it refuses, and that what it says stands in the reports."""

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError
from shop import two_tastes
from tiny_effort import TINY

from shoploop.api.v1alpha1 import AugmentationSpec
from shoploop.augmentation import study
from shoploop.augmentation.generator.adversary import Adversary, GeneratorDiverged
from shoploop.augmentation.generator.dp_sgd import Budget, _Records, plan, train_privately
from shoploop.augmentation.generator.kept import kept_generator
from shoploop.augmentation.generator.keyed import Release
from shoploop.augmentation.generator.ledger import SHARES, Ledger
from shoploop.augmentation.step import augment_samples
from shoploop.errors import ShoploopError, SpecInvalid, TooFewEvents

CONFIG = Adversary.Config(steps=20, hidden=8, batch=32, discriminator_steps=1)
KEY = b"a key that is kept outside of the data"
MILK = pl.DataFrame({"user": ["ann", "bob"], "item": ["milk", "milk"]})


def release(key=KEY, seen=MILK, settings="ε 4"):
    return Release.of(key, [seen], settings)


OTHERS = {
    "another key": {"key": b"another key of some length"},
    "one shopper more": {"seen": pl.concat([MILK, pl.DataFrame({"user": ["eve"], "item": ["milk"]})])},
    "another item": {"seen": MILK.with_columns(item=pl.Series(["milk", "rum"]))},
    "other settings": {"settings": "ε 8"},
}


def learned(budget, *, by=None, real=None, users=None):
    random = torch.Generator().manual_seed(0)
    real = torch.randn(200, 4, generator=random) if real is None else real
    adversary = Adversary(4, 2, CONFIG, seed=0)
    condition = torch.tensor([[1.0, 0.0]]).repeat(len(real), 1)
    users = np.arange(len(real)) if users is None else users
    masks = torch.ones_like(real)
    return adversary, train_privately(adversary, real, condition, masks, users, budget, release=by or release())


@pytest.mark.parametrize("epsilon", [0, -1, float("nan"), float("inf")])
def test_an_epsilon_that_promises_nothing_is_an_error(epsilon):
    with pytest.raises(SpecInvalid, match="ε is"):
        Budget(epsilon=epsilon)
    with pytest.raises(ValidationError, match="epsilon"):
        AugmentationSpec.model_validate({"differentialPrivacy": {"epsilon": epsilon}})


@pytest.mark.parametrize("delta", [0, 1, -0.1])
def test_a_delta_outside_of_0_and_1_is_an_error(delta):
    with pytest.raises(SpecInvalid, match="δ is"):
        Budget(epsilon=1, delta=delta)
    with pytest.raises(ValidationError, match="delta"):
        AugmentationSpec.model_validate({"differentialPrivacy": {"epsilon": 1, "delta": delta}})


@pytest.mark.parametrize(("shoppers", "doubtful"), [(99_999, False), (100_000, True), (200_000, True)])
def test_a_delta_that_could_tell_one_shopper_whole_is_doubtful(shoppers, doubtful):
    doubt = Budget(epsilon=8).doubt(shoppers)
    assert (doubt is not None) == doubtful
    assert doubt is None or f"{shoppers:,} shoppers" in doubt


def test_less_epsilon_means_more_noise_and_no_more_is_spent_than_was_allowed():
    strict, loose = (plan(1000, CONFIG, Budget(epsilon=epsilon)) for epsilon in (0.5, 8))
    assert strict.noise_multiplier > loose.noise_multiplier
    assert 0.4 < strict.epsilon <= 0.5
    assert 7 < loose.epsilon <= 8


def test_a_promise_that_no_noise_can_keep_is_refused_by_name():
    with pytest.raises(SpecInvalid, match="No noise keeps 20 steps on 400 shoppers within ε"):
        plan(400, CONFIG, Budget(epsilon=0.01))


def test_more_shoppers_need_less_noise_for_the_same_promise():
    few, many = (plan(users, CONFIG, Budget(epsilon=2)) for users in (100, 10_000))
    assert many.noise_multiplier < few.noise_multiplier


def test_the_generator_learns_nothing_where_the_noise_drowns_everything_and_something_where_it_does_not():
    shifted = torch.full((400, 4), 3.0)
    means = []
    for epsilon in (0.3, 100):
        adversary, _ = learned(Budget(epsilon=epsilon), real=shifted)
        made = adversary.sample(torch.tensor([[1.0, 0.0]]).repeat(500, 1), torch.ones(500, 4), seed=1)
        means.append(float(made.mean()))
    assert abs(means[0]) < means[1]


@pytest.mark.parametrize("other", OTHERS)
def test_the_same_release_gives_the_same_weights_and_another_one_other_noise(other):
    first, again, differs = (learned(Budget(epsilon=4), by=release(**by))[0] for by in ({}, {}, OTHERS[other]))
    weights = [adversary.discriminator.state_dict()["body.0.weight"] for adversary in (first, again, differs)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_shopper_of_many_records_is_drawn_no_oftener_than_one_of_a_single():
    index = np.array([0] * 50 + [1])
    records = _Records(index, 2)
    random = torch.Generator().manual_seed(0)
    drawn = torch.cat([records.draw(0.5, random) for _ in range(1000)]).numpy()
    assert abs((index[drawn] == 0).sum() - 500) < 60
    assert abs((index[drawn] == 1).sum() - 500) < 60
    assert len(np.unique(drawn)) > 45


def test_the_discriminator_is_itself_again_after_training():
    adversary, _ = learned(Budget(epsilon=4))
    assert set(adversary.state()) >= {"discriminator.body.0.weight"}
    assert not any("_module" in name for name in adversary.discriminator.state_dict())
    assert np.isfinite(adversary.score(torch.zeros(3, 4), torch.zeros(3, 2)).numpy()).all()


def test_a_checkpoint_does_not_tell_what_was_drawn_for_whom():
    adversary, _ = learned(Budget(epsilon=4))
    assert torch.equal(adversary.random.get_state(), torch.Generator().manual_seed(adversary.seed).get_state())


def test_values_that_are_no_numbers_end_by_name():
    with pytest.raises(GeneratorDiverged):
        learned(Budget(epsilon=4), real=torch.full((100, 4), float("nan")))


@pytest.fixture(scope="module")
def private(ninety, tmp_path_factory, narrow_network):
    """What the step makes of ninety shoppers within a budget wide enough for so few, and its report."""
    out = tmp_path_factory.mktemp("private") / "out"
    asked = AugmentationSpec.model_validate({"mode": "Always", "differentialPrivacy": {"epsilon": 90, "delta": 1e-4}})
    folders = {name: ninety / name for name in ("data", "features", "samples")}
    return out, augment_samples(**folders, out=out, augmentation_spec=asked, seed=0, effort=TINY)


def test_the_sheet_says_what_every_statistic_and_the_training_cost_together(private):
    told = private[1]["privacy"]["differential_privacy"]
    assert 80 < told["epsilon"] <= 90
    assert told["delta"] == 1e-4
    assert "adds up" in told["releases"]
    assert {one["what"] for one in told["counts"]} == set(SHARES)
    shares = sum(told["counts_noise"] ** 2 / one["noise_multiplier"] ** 2 for one in told["counts"])
    assert shares == pytest.approx(1), "together they are one mechanism of that noise"


def test_statistics_take_from_what_the_training_may_spend():
    from opacus.accountants import RDPAccountant

    together = plan(1000, CONFIG, Budget(epsilon=4))
    accountant = RDPAccountant()
    accountant.history = [(together.noise_multiplier, together.sample_rate, together.steps)]
    assert accountant.get_epsilon(together.delta) < 0.9 * together.epsilon


def test_epsilon_and_delta_stand_in_the_verdict_that_the_manifest_carries(private):
    assert private[1]["verdict"]["privacy"]["differential_privacy"]["epsilon"] <= 90
    assert private[1]["verdict"]["privacy"]["differential_privacy"]["delta"] == 1e-4


def test_a_private_table_says_nothing_that_no_budget_covers(private):
    rows = pl.read_parquet(private[0] / "synthetic.parquet")
    assert rows.height > 0
    assert rows["price"].is_null().all()
    assert rows["shop"].is_null().all()
    assert (rows["quantity"] == 1).all()


def test_no_loss_of_real_records_stands_in_the_report_of_a_private_training(private):
    assert all(set(row) == {"step", "generator"} for row in private[1]["generator"]["curve"])


def test_a_budget_that_names_no_item_of_so_few_shoppers_is_refused_by_name():
    shop = two_tastes(90)
    with pytest.raises(
        TooFewEvents, match=r"surely have 20 buyers.*Raise spec.augmentation.differentialPrivacy.epsilon"
    ):
        study.learn(shop.interactions(), shop.described(), config=TINY.generator, seed=0, budget=Budget(epsilon=1))


def test_a_delta_too_large_for_so_many_shoppers_is_told_before_anything_is_learned(caplog):
    shop = two_tastes(90)
    with pytest.raises(ShoploopError):
        budget = Budget(epsilon=0.1, delta=0.02)
        study.learn(shop.interactions(), shop.described(), config=TINY.generator, seed=0, budget=budget)
    assert "δ is 0.02 and there are 90 shoppers" in caplog.text


def test_a_shopper_moves_no_sum_by_more_than_the_norm_and_noise_is_as_wide_as_is_written_down():
    ledger = Ledger(2.0, release=release())
    glutton = np.array([[3000.0] + [0.0] * 4999])
    found = ledger.sum("weeks", glutton, norm=1.0)
    wide = 2.0 / np.sqrt(SHARES["weeks"])
    assert ledger.told == [{"what": "weeks", "norm": 1.0, "noise_multiplier": pytest.approx(wide)}]
    assert found.std() == pytest.approx(wide, rel=0.1)
    assert found[0] < 6 * wide, "three thousand would stand out"


def test_a_statistic_is_told_once_and_the_shares_are_all_there_is():
    ledger = Ledger(1.0, release=release())
    ledger.noisy("weeks", np.zeros(3), norm=1.0)
    with pytest.raises(ValueError, match="told already"):
        ledger.noisy("weeks", np.zeros(3), norm=1.0)
    assert sum(SHARES.values()) == pytest.approx(1)


@pytest.mark.parametrize("other", OTHERS)
def test_noise_is_the_same_of_the_same_release_and_other_where_anything_differs(other):
    """Were it the same for other data, two sums would differ by the shopper who came alone."""
    drawn = [Ledger(1.0, release=release(**by)).noisy("weeks", np.zeros(3), norm=1.0) for by in ({}, {}, OTHERS[other])]
    assert drawn[0].tolist() == drawn[1].tolist()
    assert np.abs(drawn[0] - drawn[2]).min() > 0.01


def test_less_noise_of_the_same_statistic_is_not_the_same_draw_on_a_smaller_scale():
    wide, narrow = (Ledger(noise, release=release()).noisy("weeks", np.zeros(3), norm=1.0) for noise in (2.0, 1.0))
    assert np.abs(wide - 2 * narrow).min() > 0.01


def test_a_kept_private_generator_is_not_found_under_another_key_and_a_public_one_under_any(tmp_path):
    settings = {"config": TINY.generator, "most_shoppers": None, "seed": 0}

    def kept(key, budget):
        return kept_generator(tmp_path, MILK, MILK, **settings, budget=budget, key=key).name

    budget = Budget(epsilon=4)
    assert kept(KEY, budget) == kept(KEY, budget) != kept(b"another key of some length", budget)
    assert kept(KEY, None) == kept(b"another key of some length", None) == kept(None, None)
    assert kept_generator(tmp_path, MILK, MILK, **settings).name == kept(KEY, None)
