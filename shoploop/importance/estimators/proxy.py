"""A small network trained briefly on the samples, for the estimators that look into a training.

It stands in for the model that comes after: the weights must be there before it is trained.

Legend: E initialisations, N samples, K features, H hidden units, C classes, T checkpoints.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shoploop.compute.device import training_device
from shoploop.importance.estimators.stacked import StackedLinear
from shoploop.importance.estimators.table import Float32, Table


@dataclass(frozen=True, kw_only=True)
class ProxyConfig:
    initialisations: int = 3
    hidden: int = 32
    epochs: int = 10
    """Of a table of up to ``small`` samples; a larger one has 2."""

    small: int = 50_000
    batch: int = 64
    large_batch: int = 1024
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2


class Proxy(nn.Module):
    def __init__(self, nets: int, features: int, hidden: int, classes: int, generator: torch.Generator):
        super().__init__()
        self.first = StackedLinear(nets, features, hidden, generator)
        self.last = StackedLinear(nets, hidden, classes, generator)

    def embed(self, x_EBK: Tensor) -> Tensor:
        return F.relu(self.first(x_EBK))

    def forward(self, x_EBK: Tensor) -> Tensor:
        return self.last(self.embed(x_EBK))


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """All samples as the networks see them after one epoch."""

    epoch: int
    """From 1."""

    learning_rate: float
    hidden_ENH: Float32
    chance_ENC: Float32


def train_proxy(table: Table, config: ProxyConfig, *, seed: int) -> Iterator[Checkpoint]:
    """Trains E networks on all samples and yields what they see after each epoch; class-balanced cross-entropy."""
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng(seed)
    classes = len(table.classes)
    device = training_device()
    proxy = Proxy(config.initialisations, table.x_NK.shape[1], config.hidden, classes, generator).to(device)
    large = len(table) > config.small
    optimiser = torch.optim.AdamW(proxy.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    x_NK, y_N = torch.from_numpy(table.x_NK).to(device), torch.from_numpy(table.y_N).to(device)
    counts_C = torch.bincount(y_N, minlength=classes)
    weight_N = (len(table) / (classes * counts_C.clamp_min(1)).float())[y_N]
    size = config.large_batch if large else config.batch
    for epoch in range(2 if large else config.epochs):
        order = torch.from_numpy(rng.permutation(len(table))).to(device)
        for rows in order.split(size):
            logits_EBC = proxy(x_NK[rows].expand(config.initialisations, -1, -1))
            wanted = y_N[rows].expand(config.initialisations, -1)
            loss_EB = F.cross_entropy(logits_EBC.flatten(0, 1), wanted.flatten(), reduction="none")
            optimiser.zero_grad()
            (loss_EB * weight_N[rows].repeat(config.initialisations)).mean().mul(config.initialisations).backward()
            optimiser.step()
        yield _look(proxy, x_NK, config, epoch + 1)


def _look(proxy: Proxy, x_NK: Tensor, config: ProxyConfig, epoch: int, chunk: int = 65_536) -> Checkpoint:
    hidden, chance = [], []
    with torch.inference_mode():
        for part in x_NK.split(chunk):
            seen = proxy.embed(part.expand(config.initialisations, -1, -1))
            hidden.append(seen.cpu())
            chance.append(proxy.last(seen).softmax(-1).cpu())
    return Checkpoint(
        epoch=epoch,
        learning_rate=config.learning_rate,
        hidden_ENH=torch.cat(hidden, 1).numpy(),
        chance_ENC=torch.cat(chance, 1).numpy(),
    )


def errors(checkpoint: Checkpoint, table: Table) -> Float32:
    """p - onehot(y), (E, N, C)."""
    error_ENC: Float32 = checkpoint.chance_ENC.copy()
    error_ENC[:, np.arange(len(table)), table.y_N] -= 1
    return error_ENC
