"""The epochs in which a further surface of a model learns, whatever it is that a step learns from."""

import copy
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shoploop.models.fusion import FusedModel, Surface
from shoploop.training.loop import Curves, LabelledBatch, Progress, losses

Losses = tuple[Tensor, Tensor, Tensor]
"""Of the DNN, of the Transformer, and of both fused."""

Judged = dict[str, dict[str, float] | None]
"""By name, a validation loss of each part."""


def learn_surface(
    model: FusedModel,
    surface: Surface,
    *,
    epochs: int,
    steps: int,
    optimiser: torch.optim.Optimizer,
    learning_rate: float,
    clipped: Sequence[nn.Parameter],
    begin: Callable[[], Iterable[LabelledBatch]],
    loss: Callable[[Losses], Tensor],
    judge: Callable[[], tuple[float, Judged]] | None,
    progress: Progress,
) -> Curves:
    """Trains a surface of a model; the model is changed in place.

    Args:
        model: With the surface.
        surface: What learns.
        epochs: Passes over what it learns from.
        steps: Of all epochs together; over so many the learning rate falls as a cosine does, to a fiftieth.
        optimiser: Of what moves.
        learning_rate: Which the schedule ends by.
        clipped: Weights whose gradient's norm is held to 1.
        begin: Makes the model ready for an epoch, and its batches in random order.
        loss: Of a batch, from its three losses.
        judge: After an epoch: what the epoch kept has least of, and what curves tell of it. None: the last is kept.
        progress: Called with the epochs done, the total, and "epochs of" the surface.
    """
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=learning_rate * 0.02)
    curves = Curves()
    best: tuple[float, dict[str, Tensor]] | None = None
    for epoch in range(epochs):
        started = time.perf_counter()
        sums, done = np.zeros(3), 0
        for labelled in begin():
            labelled = labelled.to(model.device)
            found = losses(model(labelled.batch, surface), labelled)
            together = loss(found)
            optimiser.zero_grad()
            torch.autograd.backward(together)
            torch.nn.utils.clip_grad_norm_(clipped, 1.0)
            optimiser.step()
            schedule.step()
            sums += [each.item() for each in found]
            done += 1
        row: dict[str, Any] = {"epoch": epoch + 1, "phase": surface, "alpha": model.alpha}
        row["train_loss"] = dict(zip(("dnn", "transformer", "fused"), (sums / max(done, 1)).tolist(), strict=True))
        if judge is not None:
            judged, told = judge()
            row |= told
            if best is None or judged < best[0]:
                best = judged, copy.deepcopy(model.state_dict())
        row["seconds"] = time.perf_counter() - started
        curves.epochs.append(row)
        progress(epoch + 1, epochs, f"epochs of {surface}")
    if best is not None:
        model.load_state_dict(best[1])
    return curves
