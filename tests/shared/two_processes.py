"""What one process, or torchrun's two, learn from the same batches; each writes it down. A test starts it."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from shop import Shop
from shop.samples import OFFERED_FEATURES, offered
from torch import nn

from shoploop.augmentation.generator.adversary import Adversary
from shoploop.compute.parallel import group, writing
from shoploop.samples.sample_set import SampleSet
from shoploop.training.building import build_model
from shoploop.training.loop import TrainConfig, fit

REQUESTS = 33  # of batches of eight the last has one request, and one of two processes none


def samples(requests: int, seed: int) -> SampleSet:
    """Some requests have several purchases and some none: each counts differently in a batch."""
    drawn = offered(requests, seed=seed)
    return replace(drawn, labels_R=np.random.default_rng(seed).random(len(drawn.labels_R)) < 0.2)


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
            model = build_model(OFFERED_FEATURES, Shop().catalog(), train, seed=0)
            for module in model.modules():
                if isinstance(module, nn.Dropout):
                    module.p = 0.0  # each process draws its own
            config = TrainConfig(epochs=1, batch_requests=8, adversarial_radius=radius)
            curves = fit(model, train, samples(10, seed=1), config)
            found |= {f"{name} {key}": value.numpy() for key, value in model.state_dict().items()}
            found[f"{name} losses"] = np.array([list(row["train_loss"].values()) for row in curves.epochs])
        adversary = Adversary(4, 1, Adversary.Config(steps=8, hidden=8, batch=8, dropout=0.0), seed=0)
        given = (torch.randn(32, 4, generator=torch.Generator().manual_seed(0)), torch.ones(32, 1), torch.ones(32, 4))
        adversary.train(*given, checkpoint=out.with_suffix(f".{rank}.safetensors"))
        found |= {f"gan {key}": value.numpy() for key, value in adversary.averaged.state_dict().items()}
        found["gan curve"] = np.array([adversary.curve[-1]["distance"]])
        np.savez(out.with_suffix(f".{rank}.npz"), **found)


if __name__ == "__main__":
    learn(Path(sys.argv[1]))
