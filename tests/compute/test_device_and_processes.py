"""Where a training computes, and that several processes learn together what one would."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from script import two_that_meet
from shop import Shop
from shop.samples import OFFERED_FEATURES, offered
from two_processes import learn

from shoploop.compute.device import VARIABLE, asks_for, training_device
from shoploop.compute.parallel import Group
from shoploop.errors import SpecInvalid
from shoploop.training.building import build_model
from shoploop.training.loop import TrainConfig, batches

pytestmark = pytest.mark.usefixtures("one_thread")

LAST_BIAS = "behaviour.layers.6.bias"
SHARED = Path(__file__).parents[1] / "shared"


def torchrun(script: Path, *arguments: str) -> None:
    """Two processes over Gloo that find each other as torchrun's processes do."""
    started = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*started, str(script), *arguments], check=True, timeout=120, cwd=SHARED)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("learned")
    learn(folder / "alone")
    torchrun(SHARED / "two_processes.py", str(folder / "together"))
    names = ("alone.0", "together.0", "together.1")
    return folder, {name: dict(np.load(folder / f"{name}.npz")) for name in names}


def test_two_processes_learn_what_one_learns_from_the_same_batches(learned):
    _, found = learned
    alone, together = dict(found["alone.0"]), dict(found["together.0"])
    assert set(alone) == set(together)
    assert alone.pop("met again") == 1 and together.pop("met again") == 2
    for name, values in alone.items():
        also = together[name]
        if name.endswith("in_proj_bias"):
            # a softmax is unmoved by its keys' bias: the gradient is rounding alone, which Adam makes steps of
            values, also = (np.delete(v, np.arange(64, 128)) for v in (values, also))
        # nor is it moved by what is added to all scores alike, so that this bias too takes steps of rounding, ten at most
        most = 10 * TrainConfig().learning_rate if name.endswith(LAST_BIAS) else 1e-5
        np.testing.assert_allclose(also, values, rtol=2e-3, atol=most, err_msg=name)
    fresh = (
        build_model(OFFERED_FEATURES, Shop().catalog(), offered(10), seed=0)
        .state_dict()["sequence.item_in.weight"]
        .numpy()
    )
    assert np.abs(alone["plain sequence.item_in.weight"] - fresh).max() > 1e-3


def test_every_step_of_two_processes_has_the_loss_of_one(learned):
    _, found = learned
    alone, together = found["alone.0"], found["together.0"]
    steps = [name for name in alone if name.startswith("plain step")]
    assert len(steps) == 10  # five a phase
    for name in steps:
        assert abs(together[name] - alone[name]) < 1e-4, name


def test_processes_that_hold_their_shares_alone_and_were_killed_come_to_the_same_losses(learned):
    """In pieces of three requests, which are added up; what one holds is no part of what the other has."""
    _, found = learned
    alone = found["alone.0"]
    for name in ("alone.0", "together.0"):
        for step in range(10):
            assert abs(found[name][f"shared step {step}"] - alone[f"plain step {step}"]) < 1e-4, (name, step)
    weight = "sequence.item_in.weight"
    np.testing.assert_allclose(found["together.0"][f"shared {weight}"], alone[f"plain {weight}"], rtol=2e-3, atol=1e-5)


def test_processes_that_learn_together_end_with_the_same_numbers(learned):
    _, found = learned
    for name, values in found["together.0"].items():
        assert np.array_equal(found["together.1"][name], values), name


def test_every_step_of_a_generator_that_two_train_has_the_loss_of_one_and_so_from_a_checkpoint(learned):
    """The second of two is told all that it needs by the first, and both drop out what one would."""
    folder, _ = learned
    alone, together = (dict(np.load(folder / f"{name}.generator.npz")) for name in ("alone", "together"))
    for found in (alone, together):
        for name, at in {"whole": range(1, 13), "gone on": range(5, 13)}.items():
            assert [key for key in found if key.startswith(f"{name} step")] == [f"{name} step {step}" for step in at]
            for step in at:
                assert np.abs(found[f"{name} step {step}"] - alone[f"whole step {step}"]).max() < 1e-4, (name, step)
    for name in (key for key in alone if key.startswith("whole") and " step " not in key):
        np.testing.assert_allclose(together[name], alone[name], rtol=2e-3, atol=1e-5, err_msg=name)


def test_of_a_step_that_several_carry_out_the_first_ones_files_count(learned):
    folder, _ = learned
    assert [path.name for path in (folder / "together.step").iterdir()] == ["0.txt"]


def test_a_process_without_a_share_of_the_last_batch_takes_part_with_nothing():
    (whole,) = batches(offered(1), np.arange(1), 8)
    (share,) = batches(offered(1), np.arange(1), 8, Group(rank=1, size=2))
    assert whole.counts() == 1
    assert share.counts() == 0


def test_a_process_that_never_does_its_part_is_lost_by_name_to_the_others_after_a_while(tmp_path):
    waits, hangs = two_that_meet(SHARED / "one_hangs.py", logs=tmp_path)
    try:
        waits.wait(120)
        assert hangs.poll() is None
    finally:
        waits.terminate()
        hangs.terminate()
    said = (tmp_path / "0.log").read_text()
    assert said.startswith("rank 0: Another of 2 processes has ended, or cannot be reached"), said


def test_nobody_who_asks_for_no_gpu_gets_one(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert training_device().type == asks_for(0) == "cpu"


def test_a_gpu_that_is_asked_for_is_taken_and_torchrun_says_which(monkeypatch):
    monkeypatch.setenv(VARIABLE, asks_for(1))
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: None)
    assert training_device() == torch.device("cuda", 1)


def test_without_a_gpu_the_cpu_computes_and_says_why(monkeypatch, caplog):
    monkeypatch.setenv(VARIABLE, asks_for(1))
    with caplog.at_level(logging.WARNING):
        assert training_device().type == "cpu"
    assert "A GPU was asked for, but torch finds none" in caplog.text


def test_a_device_that_there_is_not_is_named(monkeypatch):
    monkeypatch.setenv(VARIABLE, "tpu")
    with pytest.raises(SpecInvalid, match="'tpu'"):
        training_device()


def test_nothing_of_a_training_step_is_left_behind_on_the_cpu():
    """On ``meta``, a device of shapes alone, most operations refuse tensors of the CPU, as a GPU's do."""
    samples = offered(4)
    model = build_model(OFFERED_FEATURES, Shop().catalog(), samples, seed=0).to("meta")
    (labelled,) = batches(samples, np.arange(4), 4)
    scores = model(labelled.to(model.device).batch)
    assert {scores.part(part).device.type for part in ("dnn", "transformer", "fused")} == {"meta"}
    assert scores.fused_BN.shape == labelled.labels_BN.shape
