"""A training that is killed goes on where it was, and comes to what one comes to that nobody has killed."""

from dataclasses import replace

import pytest
import torch
from shop import Shop
from shop.samples import OFFERED_FEATURES, offered

from shoploop.compute.parallel import Group
from shoploop.training.building import build_model
from shoploop.training.checkpoint import Checkpoint
from shoploop.training.loop import TrainConfig, fit

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = TrainConfig(epochs=2, joint_epochs=2, batch_requests=8, seed=3)
KEY = {"samples": "these", "seed": 3}
STEPS_AN_EPOCH = 3


class Killed(Exception):
    pass


def trained(checkpoint=None, *, killed_at=None, config=CONFIG):
    """The model, the curves without their seconds, and the steps that were taken."""
    samples, steps = offered(20), []

    def after_step(step, loss):
        steps.append(len(steps))
        if killed_at is not None and len(steps) > killed_at:
            raise Killed

    model = build_model(OFFERED_FEATURES, Shop().catalog(), samples, seed=config.seed)
    validation = offered(10, seed=5)
    try:
        curves = fit(model, samples, validation, config, checkpoint=checkpoint, after_step=after_step)
    except Killed:
        return model, [], len(steps)
    return model, [{**row, "seconds": 0} for row in curves.epochs], len(steps)


@pytest.fixture(scope="module")
def unbroken():
    return trained()


@pytest.mark.parametrize("killed_at", [1, 4, 6, 10], ids=lambda step: f"after step {step}")
def test_what_was_killed_comes_to_the_same_bytes(killed_at, unbroken, tmp_path):
    """Also with dropout, in the midst of an epoch, and between the modules alone and both together."""
    kept = Checkpoint(tmp_path / "training", KEY, every_steps=1)
    trained(kept, killed_at=killed_at)
    model, curves, steps = trained(kept)
    assert steps == 4 * STEPS_AN_EPOCH - killed_at
    assert curves == unbroken[1]
    for name, value in unbroken[0].state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_an_epoch_is_said_to_be_over_once_it_is_kept(tmp_path):
    """Who sees it said may kill the training: it is not done again."""
    kept, found = Checkpoint(tmp_path / "training", KEY), []

    def told(done, total, what):
        going_on = kept.load(Group())
        found.append((done, going_on and going_on.epoch))

    model = build_model(OFFERED_FEATURES, Shop().catalog(), offered(20), seed=CONFIG.seed)
    fit(model, offered(20), offered(10, seed=5), CONFIG, checkpoint=kept, progress=told)
    assert found == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_what_is_done_is_not_done_again_until_it_is_cleared(unbroken, tmp_path):
    kept = Checkpoint(tmp_path / "training", KEY)
    trained(kept)
    model, curves, steps = trained(kept)
    assert (steps, curves) == (0, unbroken[1])
    assert torch.equal(model.alpha_logits, unbroken[0].alpha_logits)
    kept.clear()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spoil", ["another", "cut", "text"])
def test_a_file_of_something_else_is_as_if_it_were_not_there(spoil, unbroken, tmp_path):
    path = tmp_path / "training"
    trained(Checkpoint(path, KEY), killed_at=4)
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    if spoil == "text":
        path.write_text("nothing of the kind")
    key = KEY | {"samples": "others"} if spoil == "another" else KEY
    assert Checkpoint(path, key).load(Group()) is None


def test_gradients_that_are_added_up_in_pieces_are_those_of_the_whole_batch():
    config = replace(CONFIG, epochs=1, joint_epochs=1, seed=0)

    def losses(config):
        samples, found = offered(20), []
        model = build_model(OFFERED_FEATURES, Shop().catalog(), samples, seed=0)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # drawn for each piece
        fit(model, samples, samples.select([]), config, after_step=lambda step, loss: found.append(loss))
        return found

    assert losses(replace(config, micro_requests=3)) == pytest.approx(losses(config), abs=1e-5)
