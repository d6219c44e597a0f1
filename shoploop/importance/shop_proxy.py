"""The proxy through which a shop's samples are weighed: the model that comes before the one trained with the weights.

It is the incumbent, or one epoch on the same samples; it sees each row once, so it has hardly learned any label by heart.

Legend: Q requests, R rows (a request and a candidate), H hidden units.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from shoploop.compute.device import training_device
from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.importance.estimators.table import Float32
from shoploop.models.fusion import FusedModel
from shoploop.models.inputs import collate
from shoploop.samples.sample_set import SampleSet
from shoploop.training.building import build_model
from shoploop.training.loop import TrainConfig, fit, model_input

BATCH_REQUESTS = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class ProxyView:
    """Every row as the proxy sees it."""

    hidden_RH: Float32
    """Last hidden units of the behaviour module: the row's embedding."""

    dnn_R: Float32
    """Logits of the two modules."""

    transformer_R: Float32
    chance_R: Float32
    """Log chance among the candidates of the row's request, by the fused score."""


def train_shop_proxy(samples: SampleSet, catalog: Catalog, contract: Contract, *, seed: int) -> FusedModel:
    """A fresh model after one epoch on these samples, each module alone; on a GPU where one was asked for."""
    model = build_model(contract, catalog, samples, seed=seed).to(training_device())
    fit(model, samples, samples.select([]), TrainConfig(epochs=1, joint_epochs=0, seed=seed))
    return model


def look(
    model: FusedModel,
    samples: SampleSet,
    *,
    hidden: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ProxyView:
    """All rows of the samples in the model's eyes, some requests at a time.

    Args:
        model: The proxy; its features must be those of the samples.
        samples: What is looked at.
        hidden: Whether the embeddings are kept, which take most of the memory; else they have no column.
        progress: Called with the requests done and the total.
    """
    model.prepare()
    rows = len(samples.items_R)
    hidden_RH = np.empty((rows, model.config.behaviour.hidden[-1] if hidden else 0), np.float32)
    dnn_R, transformer_R, chance_R = (np.empty(rows, np.float32) for _ in range(3))
    # requests of like length share a batch, or padding would double the work
    order = np.argsort(np.diff(samples.offsets_Q1), kind="stable")
    with torch.inference_mode():
        for start in range(0, len(order), BATCH_REQUESTS):
            chosen = [int(q) for q in order[start : start + BATCH_REQUESTS]]
            batch = collate([model_input(samples, q) for q in chosen]).to(model.device)
            scores = model(batch)
            embedded_BNH = model.behaviour.embed(batch.features_BNK).cpu().numpy() if hidden else None
            chance_BN = scores.fused_BN.masked_fill(~batch.mask_BN, -torch.inf).log_softmax(dim=1).cpu().numpy()
            dnn_BN, transformer_BN = scores.dnn_BN.cpu().numpy(), scores.transformer_BN.cpu().numpy()
            for b, q in enumerate(chosen):
                own = samples.rows(q)
                count = own.stop - own.start
                if embedded_BNH is not None:
                    hidden_RH[own] = embedded_BNH[b, :count]
                dnn_R[own] = dnn_BN[b, :count]
                transformer_R[own] = transformer_BN[b, :count]
                chance_R[own] = chance_BN[b, :count]
            progress(min(start + BATCH_REQUESTS, len(order)), len(order))
    return ProxyView(hidden_RH=hidden_RH, dnn_R=dnn_R, transformer_R=transformer_R, chance_R=chance_R)
