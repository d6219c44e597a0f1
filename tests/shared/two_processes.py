"""What one process, or torchrun's two, learn from the same batches; each writes it down. A test starts it."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from shop import Shop
from shop.samples import OFFERED_FEATURES, offered
from torch import nn

from shoploop.augmentation.generator.adversary import Adversary, take_part
from shoploop.compute.parallel import group, joined, leave, writing
from shoploop.models.fusion import FusedModel
from shoploop.samples.sample_set import SampleSet
from shoploop.training.building import build_model
from shoploop.training.checkpoint import Checkpoint
from shoploop.training.loop import TrainConfig, fit
from shoploop.training.pretraining import pretrain_for
from shoploop.training.sequence_task import SequenceTask
from shoploop.training.step import told_model

REQUESTS = 33  # of batches of eight the last has one request, and one of two processes none

OF_LOG = SequenceTask(visits=1, epochs=1, learned_items=False, first_day=0, why="")


def samples(requests: int, seed: int) -> SampleSet:
    """Some requests have several purchases and some none: each counts differently in a batch."""
    drawn = offered(requests, seed=seed)
    return replace(drawn, labels_R=np.random.default_rng(seed).random(len(drawn.labels_R)) < 0.2)


def fresh(train: SampleSet) -> FusedModel:
    return build_model(OFFERED_FEATURES, Shop().catalog(), train, seed=0)


def undropped(model: FusedModel) -> FusedModel:
    """Without dropout, of which each process draws its own."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def note(found: dict[str, np.ndarray], name: str) -> Callable[[int, float], None]:
    """Notes the loss of each step under the name and the step's number."""
    return lambda step, loss: found.update({f"{name} {step}": np.array(loss)})


class Killed(Exception):
    """Somebody has ended the training."""


def learn_from_shares(checkpoint: Path) -> dict[str, np.ndarray]:
    """Each process holds what it owns alone, computes three requests at a time, is killed in its third step, and goes on."""
    together, whole = group(), samples(REQUESTS, seed=0)
    own = whole.select([q for q in range(REQUESTS) if q % together.size == together.rank])
    config = TrainConfig(epochs=1, batch_requests=8, micro_requests=3)
    found: dict[str, np.ndarray] = {}
    noted = note(found, "shared step")

    def kill(step: int, loss: float) -> None:
        noted(step, loss)
        if step == 2:
            raise Killed

    for after_step in (kill, noted):
        model = undropped(told_model(together, lambda: fresh(whole)))
        kept = Checkpoint(checkpoint if together.rank == 0 else None, {"seed": 0}, every_steps=2)
        with suppress(Killed):
            fit(
                model, own, samples(10, seed=1), config, requests=REQUESTS, checkpoint=kept, after_step=after_step
            )  # fmt: skip
    found |= {f"shared {key}": value.numpy() for key, value in model.state_dict().items()}
    kept.clear()
    return found


def learn_to_make(folder: Path) -> dict[str, np.ndarray]:
    """A generator, with dropout, and with batches that two cannot share evenly; another goes on from a checkpoint of it."""
    found: dict[str, np.ndarray] = {}
    given = (torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.ones(32, 1), torch.ones(32, 4))
    folder.mkdir()
    early = folder / "early.safetensors"

    def fresh_one() -> Adversary:
        return Adversary(4, 1, Adversary.Config(steps=12, hidden=8, batch=9, dropout=0.3), seed=0)

    def keep(step: int) -> None:
        if step == 4:
            shutil.copy(folder / "generator.safetensors", early)

    def noted(name: str) -> Callable[[int, float, float], None]:
        return lambda step, *losses: found.update({f"{name} step {step}": np.array(losses)})

    adversary = fresh_one()
    adversary.train(
        *given, checkpoint=folder / "generator.safetensors", every=4, progress=keep, after_step=noted("whole")
    )
    found |= {f"whole {key}": value.numpy() for key, value in adversary.averaged.state_dict().items()}
    again = fresh_one()
    again.load(early)
    again.train(*given, after_step=noted("gone on"))
    return found


def learn(out: Path) -> None:
    torch.set_num_threads(1)
    step = out.with_suffix(".step")
    step.mkdir(exist_ok=True)
    with writing(step) as mine:
        rank = group().rank
        (mine / f"{rank}.txt").write_text("a step's output")
        found: dict[str, np.ndarray] = {}
        for name, radius in (("plain", 0.0), ("adversarial", 0.1)):
            train = samples(REQUESTS, seed=0)
            model = undropped(fresh(train))
            config = TrainConfig(epochs=1, batch_requests=8, adversarial_radius=radius)
            curves = fit(model, train, samples(10, seed=1), config, after_step=note(found, f"{name} step"))
            found |= {f"{name} {key}": value.numpy() for key, value in model.state_dict().items()}
            found[f"{name} losses"] = np.array([list(row["train_loss"].values()) for row in curves.epochs])
        found |= learn_from_shares(mine / "checkpoint")
        alone = fresh(samples(REQUESTS, seed=0)).sequence
        pretrain_for(OF_LOG, alone, Shop().log(), seed=0)
        found |= {f"of the log {key}": value.numpy() for key, value in alone.state_dict().items()}
        if rank:
            take_part(group())
        else:
            np.savez(out.with_suffix(".generator.npz"), **learn_to_make(out.with_suffix(".generator")))
            leave()
            assert group().size == 1
        if rank == 0 and "RANK" in os.environ:
            time.sleep(0.5)  # so that the other one is early to meet again
    with joined() as here:
        found["met again"] = here.sum(torch.ones(1)).numpy()
        assert here.told(b"a word") == b"a word"
    np.savez(out.with_suffix(f".{rank}.npz"), **found)


if __name__ == "__main__":
    learn(Path(sys.argv[1]))
