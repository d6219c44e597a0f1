"""The choice of a shop learns last, beside nothing: what it shares it reads and does not change.

The Transformer's user state and baskets are those that recommendations have learned, and search after them. Only the
surface's own weights and its α move, so items and queries are answered as without it, to the bit; what it costs the choice of
a shop that the Transformer learns nothing for it, docs/decisions/0080 tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shoploop.compute.cores import one_thread
from shoploop.models.fusion import FusedModel
from shoploop.samples.sample_set import SampleSet
from shoploop.training.loop import Curves, LabelledBatch, Progress, batches, validation_loss
from shoploop.training.surface_loop import Judged, Losses, learn_surface


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

    def begin() -> Iterator[LabelledBatch]:
        model.eval()
        shops.train()  # what is shared reads without chance, as it will
        return batches(visits, random.permutation(len(visits)), config.batch_visits)

    def loss(found: Losses) -> Tensor:
        dnn, transformer, fused = found
        return fused + config.own_loss_share * (dnn + transformer)

    def judge() -> tuple[float, Judged]:
        found = validation_loss(model, validation, surface="shops")
        return found["fused"], {"validation_loss": found}

    curves = learn_surface(
        model,
        "shops",
        epochs=config.epochs,
        steps=max(config.epochs * -(-len(visits) // config.batch_visits), 1),
        optimiser=optimiser,
        learning_rate=config.learning_rate,
        clipped=list(shops.parameters()),
        begin=begin,
        loss=loss,
        judge=judge if len(validation) else None,
        progress=progress,
    )
    model.eval()
    return curves
