"""Attention of samples on prototypes, in the eyes of the discriminator.

Sample and prototype are looked at through the discriminator's logits and hidden units; a learned map of these says which
differences matter. A sample attends to prototypes of its own label only, and its attention sums to 1 over them.

Legend: E networks, B samples, C classes, M prototypes per class, V units of the view.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shoploop.importance.estimators.gan import TrainedGan
from shoploop.importance.estimators.stacked import Batches
from shoploop.importance.estimators.table import Table


@dataclass(frozen=True, kw_only=True)
class AttentionConfig:
    steps: int = 30
    learning_rate: float = 0.01
    decay: float = 0.1
    """Each step shrinks the learned map towards the discriminator's own view by this share."""

    sharpness: float = 8.0
    """Where the inverse width of the attention begins, in deviations of the view; it is learned."""

    hidden_share: float = 0.2
    """What hidden units count beside logits in the first view."""

    robustness: float = 0.7
    """q of the generalised cross-entropy (Zhang and Sabuncu 2018): at 0 it is the plain one, at 1 the mean absolute error,
    which wrong labels mislead least."""


class View(nn.Module):
    """What the discriminator makes of features, scaled alike for every network: (E, B, K) to (E, B, V)."""

    def __init__(self, gan: TrainedGan, sample_EBK: Tensor, hidden_share: float):
        super().__init__()
        self.judge = gan.discriminator
        logits, hidden = self.judge.embed(sample_EBK)
        self.logit_scale = logits.std((1, 2), keepdim=True).clamp_min(1e-6)
        self.hidden_scale = hidden.std((1, 2), keepdim=True).clamp_min(1e-6) / hidden_share

    def forward(self, x_EBK: Tensor) -> Tensor:
        logits, hidden = self.judge.embed(x_EBK)
        return torch.cat([logits / self.logit_scale, hidden / self.hidden_scale], dim=2)

    def one(self, net: int, x_BK: Tensor) -> Tensor:
        logits, hidden = self.judge.embed_one(net, x_BK)
        return torch.cat([logits / self.logit_scale[net], hidden / self.hidden_scale[net]], dim=1)


class PrototypeAttention(nn.Module):
    """w: softmax of minus the squared distance between mapped views, over the prototypes of one label."""

    def __init__(self, view: View, prototypes_ECMK: Tensor, sharpness: float):
        super().__init__()
        self.view = view
        nets, classes, count, features = prototypes_ECMK.shape
        self.shape = (classes, count)
        with torch.no_grad():
            self.keys_EPV = view(prototypes_ECMK.reshape(nets, classes * count, features))
        units = self.keys_EPV.shape[2]
        self.turn = nn.Parameter(torch.zeros(nets, units, units, device=self.keys_EPV.device))
        self.log_sharpness = nn.Parameter(torch.full((nets, 1, 1), sharpness).log().to(self.keys_EPV.device))
        self.register_buffer("identity", torch.eye(units, device=self.keys_EPV.device), persistent=False)

    def forward(self, view_EBV: Tensor) -> Tensor:
        """Attention on the prototypes of every class, (E, B, C, M); sums to 1 over M."""
        turned = self.identity + self.turn
        distance = _squared(torch.bmm(view_EBV, turned), torch.bmm(self.keys_EPV, turned))
        return (-distance * self.log_sharpness.exp()).unflatten(2, self.shape).softmax(-1)

    def one(self, net: int, label: int, view_BV: Tensor) -> Tensor:
        """Attention of samples of one label by one network, (B, M)."""
        turned = self.identity + self.turn[net]
        count = self.shape[1]
        keys = self.keys_EPV[net, label * count : (label + 1) * count]
        distance = _squared((view_BV @ turned)[None], (keys @ turned)[None])[0]
        return (-distance * self.log_sharpness[net].exp()).softmax(-1)


def _squared(a_EBV: Tensor, b_EPV: Tensor) -> Tensor:
    """Squared distances up to a term that a softmax over P forgets."""
    return b_EPV.square().sum(2)[:, None, :] - 2 * torch.bmm(a_EBV, b_EPV.transpose(1, 2))


def train_attention(
    table: Table,
    gan: TrainedGan,
    prototypes_ECMK: Tensor,
    scores_ECM: Tensor,
    config: AttentionConfig,
    *,
    batch: int,
    jitter: float,
    seed: int,
) -> PrototypeAttention:
    """Learns where to look: the importance under the sample's own label should be high beside that under the others."""
    draws = torch.Generator().manual_seed(seed)
    batches = Batches(gan.folds, table.y_N, size=batch, seed=seed)
    x_NK = torch.from_numpy(table.x_NK).to(gan.device)
    classes = len(table.classes)
    (first_EB, _), *_ = list(batches.draw(1))
    with torch.no_grad():
        view = View(gan, x_NK[torch.from_numpy(first_EB).to(gan.device)], config.hidden_share)
    attention = PrototypeAttention(view, prototypes_ECMK, config.sharpness)
    optimiser = torch.optim.AdamW(
        [
            {"params": [attention.turn], "weight_decay": config.decay / config.learning_rate},
            {"params": [attention.log_sharpness], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
    )
    for rows_EB, weights_EB in batches.draw(config.steps):
        x_EBK = x_NK[torch.from_numpy(rows_EB).to(gan.device)]
        with torch.no_grad():
            view_EBV = view(x_EBK + jitter * torch.randn(x_EBK.shape, generator=draws).to(gan.device))
        importance_EBC = torch.einsum("ebcm,ecm->ebc", attention(view_EBV), scores_ECM)
        own_EBC = F.one_hot(torch.from_numpy(table.y_N[rows_EB]).to(gan.device), classes).float()
        share_EB = (importance_EBC * own_EBC).sum(2) / importance_EBC.sum(2).clamp_min(1e-12)
        loss_EB = (1 - share_EB.clamp_min(1e-12) ** config.robustness) / config.robustness
        optimiser.zero_grad()
        (loss_EB * weights_EB.to(gan.device)).sum().backward()
        optimiser.step()
    return attention
