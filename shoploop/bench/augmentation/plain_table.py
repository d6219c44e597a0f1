"""The same adversary on a plain table, where others' numbers are known: train on synthetic, test on real.

Shape suffixes: B batch, X columns, C classes, Z width of a code.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor, nn
from torch.nn import functional as F

from shoploop.augmentation.generator.adversary import Adversary, Generator

Table = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Normaliser:
    """Each column to a Gaussian by its quantiles, and back."""

    sorted: Table
    """(rows, columns) values of the training rows, each column sorted."""

    def forward(self, table: Table, random: np.random.Generator) -> Tensor:
        rows = len(self.sorted)
        out = np.empty_like(table)
        for i, knots in enumerate(self.sorted.T):
            low, high = (np.searchsorted(knots, table[:, i], side=side) for side in ("left", "right"))
            out[:, i] = ndtri(
                np.clip((low + (high - low) * random.random(len(table))) / rows, 0.5 / rows, 1 - 0.5 / rows)
            )
        return torch.from_numpy(out.astype(np.float32))

    def backward(self, vectors_BX: Tensor) -> Table:
        level = ndtr(vectors_BX.numpy().astype(np.float64)) * len(self.sorted) - 0.5
        places = np.arange(len(self.sorted))
        return np.stack([np.interp(level[:, i], places, knots) for i, knots in enumerate(self.sorted.T)], 1)


class AutoEncoder(nn.Module):
    """A conditional variational auto-encoder (Kingma & Welling 2014), its decoder as deep and wide as the adversary's
    generator."""

    def __init__(self, width: int, classes: int, *, hidden: int, code: int):
        super().__init__()
        self.code = code
        self.encoder = nn.Sequential(
            nn.Linear(width + classes, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2)
        )
        self.encoded = nn.Linear(hidden, 2 * code)
        self.decoder = nn.Sequential(
            nn.Linear(code + classes, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, width),
        )
        self.log_scale = nn.Parameter(torch.zeros(width))

    def loss(self, real_BX: Tensor, condition_BC: Tensor, random: torch.Generator) -> Tensor:
        """Negative evidence lower bound per row."""
        mean_BZ, log_variance_BZ = self.encoded(self.encoder(torch.cat([real_BX, condition_BC], 1))).chunk(2, 1)
        noise_BZ = torch.randn(mean_BZ.shape, generator=random)
        code_BZ = mean_BZ + noise_BZ * (log_variance_BZ / 2).exp()
        made_BX = self.decoder(torch.cat([code_BZ, condition_BC], 1))
        misfit = F.gaussian_nll_loss(made_BX, real_BX, (2 * self.log_scale).exp().expand_as(made_BX)) * real_BX.shape[1]
        divergence = (mean_BZ**2 + log_variance_BZ.exp() - 1 - log_variance_BZ).sum(1).mean() / 2
        return misfit + divergence

    @torch.no_grad()
    def sample(self, condition_BC: Tensor, random: torch.Generator) -> Tensor:
        code_BZ = torch.randn(len(condition_BC), self.code, generator=random)
        made_BX: Tensor = self.decoder(torch.cat([code_BZ, condition_BC], 1))
        noisy_BX: Tensor = made_BX + torch.randn(made_BX.shape, generator=random) * self.log_scale.exp()
        return noisy_BX


def train_on_synthetic(table: Table, label: npt.NDArray[np.int64], *, seed: int, steps: int = 600) -> dict[str, Any]:
    """AUC on real rows of a classifier that was trained on real, on the adversary's and on the auto-encoder's rows.

    Args:
        table: (rows, columns) of numbers.
        label: 0 or 1 per row.

    Returns:
        ``auc`` by source, ``parameters`` of both generators, ``test_rows``.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    learn, test, learn_label, test_label = train_test_split(
        table, label, test_size=0.3, random_state=seed, stratify=label
    )
    random = np.random.default_rng(seed)
    normal = Normaliser(sorted=np.sort(learn, axis=0))
    vectors = normal.forward(learn, random)
    condition = F.one_hot(torch.from_numpy(learn_label), 2).float()
    asked_label = random.permutation(learn_label)
    asked = F.one_hot(torch.from_numpy(asked_label), 2).float()

    config = Adversary.Config(hidden=128, steps=steps, batch=64, noise=0.0, dropout=0.0)
    adversary = Adversary(vectors.shape[1], 2, config, seed=seed)
    adversary.train(vectors, condition, torch.ones_like(vectors))
    made = {"adversary": adversary.sample(asked, torch.ones(len(asked), vectors.shape[1]), seed=seed)}

    noise = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rival = AutoEncoder(vectors.shape[1], 2, hidden=128, code=vectors.shape[1])
    optimiser = torch.optim.Adam(rival.parameters(), lr=1e-3)
    for _ in range(steps * (1 + config.discriminator_steps)):  # as many looks at real rows, and one more
        at = torch.randint(len(vectors), (config.batch,), generator=noise)
        optimiser.zero_grad()
        torch.autograd.backward(rival.loss(vectors[at], condition[at], noise))
        optimiser.step()
    made["auto_encoder"] = rival.sample(asked, noise)

    def auc(rows: Table, labels: npt.NDArray[np.int64]) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(rows, labels)
        return float(roc_auc_score(test_label, model.predict_proba(test)[:, 1]))

    return {
        "auc": {"real": auc(learn, learn_label)}
        | {name: auc(normal.backward(vectors), asked_label) for name, vectors in made.items()},
        "parameters": {
            "adversary": _count(Generator(vectors.shape[1], 2, config)),
            "auto_encoder": _count(rival.decoder),
        },
        "test_rows": len(test),
    }


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
