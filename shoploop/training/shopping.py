"""The choice of a shop learns last, beside nothing: what it shares it reads and does not change.

The Transformer's user state and baskets are those that recommendations have learned, and search after them. Only the
surface's own weights and its α move, so items and queries are answered as without it, to the bit; what it costs the choice of
a shop that the Transformer learns nothing for it, docs/decisions/0080 tells.
"""

import copy
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from shoploop.compute.cores import one_thread
from shoploop.models.fusion import FusedModel
from shoploop.samples.sample_set import SampleSet
from shoploop.training.loop import Curves, Progress, batches, losses, validation_loss


@dataclass(frozen=True, kw_only=True)
class ShopTraining:
    epochs: int = 4
    """Passes over the visits."""

    batch_visits: int = 64
    learning_rate: float = 1e-3
    alpha_learning_rate: float = 3e-2
    weight_decay: float = 1e-2
    own_loss_share: float = 0.5
    """Weight of each module's own loss beside the fused score's: either is to serve alone."""

    seed: int = 0


@one_thread()
def fit_shops(
    model: FusedModel,
    visits: SampleSet,
    validation: SampleSet,
    config: ShopTraining,
    *,
    progress: Progress = lambda done, total, what: None,
) -> Curves:
    """Trains the choice of a shop of a model whose recommendations have learned; the model is changed in place.

    Args:
        model: With shops as a surface.
        visits: Samples to learn from.
        validation: Visits that decide which epoch is kept; may be empty, then it is the last.
        config: Epochs, step sizes and seed.
        progress: Called with the epochs done, the total, and "epochs of shops".
    """
    torch.manual_seed(config.seed)
    random = np.random.default_rng(config.seed)
    shops = model.shopping()
    optimiser = torch.optim.AdamW(
        [
            {"params": list(shops.parameters()), "lr": config.learning_rate, "weight_decay": config.weight_decay},
            # of the α the others' have no gradient here
            {"params": [model.alpha_logits], "lr": config.alpha_learning_rate, "weight_decay": 0.0},
        ]
    )
    steps = max(config.epochs * -(-len(visits) // config.batch_visits), 1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=config.learning_rate * 0.02)
    curves = Curves()
    best: tuple[float, dict[str, torch.Tensor]] | None = None
    for epoch in range(config.epochs):
        started = time.perf_counter()
        model.eval()
        shops.train()  # what is shared reads without chance, as it will
        sums, done = np.zeros(3), 0
        for labelled in batches(visits, random.permutation(len(visits)), config.batch_visits):
            labelled = labelled.to(model.device)
            found = losses(model(labelled.batch, "shops"), labelled)
            dnn, transformer, fused = found
            optimiser.zero_grad()
            torch.autograd.backward(fused + config.own_loss_share * (dnn + transformer))
            torch.nn.utils.clip_grad_norm_(shops.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            sums += [each.item() for each in found]
            done += 1
        row: dict[str, Any] = {"epoch": epoch + 1, "phase": "shops", "alpha": model.alpha}
        row["train_loss"] = dict(zip(("dnn", "transformer", "fused"), (sums / max(done, 1)).tolist(), strict=True))
        if len(validation):
            row["validation_loss"] = validation_loss(model, validation, surface="shops")
            if best is None or row["validation_loss"]["fused"] < best[0]:
                best = row["validation_loss"]["fused"], copy.deepcopy(model.state_dict())
        row["seconds"] = time.perf_counter() - started
        curves.epochs.append(row)
        progress(epoch + 1, config.epochs, "epochs of shops")
    if best is not None:
        model.load_state_dict(best[1])
    model.eval()
    return curves
