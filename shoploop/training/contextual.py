"""α by circumstances: how much the DNN counts for this user and this item, where one α counts it alike for all.

α_n = σ(a + θ · z_n), with z_n of how long the user's history is, whether they ever bought the item, and how well it sells.
a and θ are a maximum a posteriori estimate on visits that the networks have not learned from; before these are asked, θ is 0:
one α for all. It is measured by ``shoploop bench ablation`` and part of no version: whether it pays, the benchmark says.

Legend: B requests, N candidates, C circumstances.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from shoploop.features.contract import Contract
from shoploop.models.fusion import FusedModel
from shoploop.models.inputs import Batch
from shoploop.training.calibration import MOST_LOGIT, PRIOR_LOGIT
from shoploop.training.loop import LabelledBatch, listwise_loss

CIRCUMSTANCES = ("user_days", "own_days", "item_rate_28")
"""Pair features that z is made of; of what was bought, only whether it ever was."""

STEPS = 200


@dataclass(frozen=True, kw_only=True)
class ContextualAlpha:
    """What was found."""

    base: Tensor
    """a, a number."""

    slopes_C: Tensor
    """θ, of circumstances with mean 0 and deviation 1."""

    mean_C: Tensor
    deviation_C: Tensor
    columns_C: tuple[int, ...]

    def alpha(self, features_BNK: Tensor) -> Tensor:
        """The DNN's share, (B, N); between .018 and .982, so that neither network is ever lost."""
        z_BNC = (circumstances(features_BNK, self.columns_C) - self.mean_C) / self.deviation_C
        return torch.sigmoid((self.base + z_BNC @ self.slopes_C).clamp(-MOST_LOGIT, MOST_LOGIT))

    def mixed(self, dnn_BN: Tensor, transformer_BN: Tensor, batch: Batch) -> Tensor:
        """The fused score, (B, N)."""
        alpha_BN = self.alpha(batch.features_BNK)
        return alpha_BN * dnn_BN + (1 - alpha_BN) * transformer_BN


def circumstances(features_BNK: Tensor, columns: tuple[int, ...]) -> Tensor:
    """(B, N, C) of a request's pair features."""
    z_BNC = features_BNK[..., list(columns)].clone()
    bought = CIRCUMSTANCES.index("own_days")
    z_BNC[..., bought] = (z_BNC[..., bought] > 0).float()
    return z_BNC


def learn_alpha(model: FusedModel, contract: Contract, validation: LabelledBatch) -> ContextualAlpha:
    """Finds a and θ; the model stays as it is.

    Args:
        model: Calibrated: both networks on one scale, with one α for all.
        contract: Names the features.
        validation: Visits that it has not learned from, in one batch.
    """
    columns = tuple(contract.pair_features.index(name) for name in CIRCUMSTANCES)
    model.eval()
    with torch.no_grad():
        scores = model(validation.batch)
        mask_BN = validation.batch.mask_BN
        z_RC = circumstances(validation.batch.features_BNK, columns)[mask_BN]
        mean_C, deviation_C = z_RC.mean(dim=0), z_RC.std(dim=0).clamp_min(1e-6)
        expected = float(torch.logit(torch.tensor(model.alpha["items"]), eps=1e-4))
    found = torch.tensor([expected, *[0.0] * len(columns)], requires_grad=True)
    prior = found.detach().clone()
    optimizer = torch.optim.LBFGS([found], max_iter=STEPS, line_search_fn="strong_wolfe")

    def of(found: Tensor) -> ContextualAlpha:
        return ContextualAlpha(
            base=found[0], slopes_C=found[1:], mean_C=mean_C, deviation_C=deviation_C, columns_C=columns
        )

    def doubt() -> Tensor:
        optimizer.zero_grad()
        mixed_BN = of(found).mixed(scores.dnn_BN, scores.transformer_BN, validation.batch)
        loss = listwise_loss(mixed_BN, validation.labels_BN, mask_BN, validation.weights_BN) * len(mixed_BN)
        loss = loss + (((found - prior) / PRIOR_LOGIT) ** 2).sum() / 2
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(doubt)  # type: ignore[no-untyped-call]
    return of(found.detach())
