"""The search surface learns after the recommendations, and these beside it: no surface shall pay for another.

Each step takes a batch of queries and one of visits. Both losses reach what the surfaces share, the DNN's first layer and the
Transformer; what is search's own learns from queries alone. Of the epochs the one is kept whose two validation losses
together are lowest.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shoploop.compute.cores import one_thread
from shoploop.models.fusion import FusedModel
from shoploop.samples.sample_set import SampleSet
from shoploop.training.loop import Curves, LabelledBatch, Progress, batches, losses, validation_loss
from shoploop.training.surface_loop import Judged, Losses, learn_surface


@dataclass(frozen=True, kw_only=True)
class SearchTraining:
    epochs: int = 3
    """Passes over the queries."""

    batch_requests: int = 32
    """Queries of a step, and visits."""

    learning_rate: float = 2e-3
    """Of what is search's own."""

    text_learning_rate: float = 2e-3
    """Of the embeddings of words: each is met rarely."""

    shared_learning_rate: float = 2e-4
    """Of what the surfaces share, which has learned already."""

    alpha_learning_rate: float = 3e-2
    weight_decay: float = 1e-2
    own_loss_share: float = 0.5
    """Weight of each module's own loss beside the fused score's: either is to serve alone."""

    items_share: float = 1.0
    """Weight of the visits' loss beside the queries'; 0 trains a model for search alone."""

    seed: int = 0


@one_thread()
def fit_search(
    model: FusedModel,
    queries: SampleSet,
    validation: SampleSet,
    visits: SampleSet,
    visits_validation: SampleSet,
    config: SearchTraining,
    *,
    progress: Progress = lambda done, total, what: None,
) -> Curves:
    """Trains the search surface of a model whose recommendations have learned; the model is changed in place.

    Args:
        model: With a search surface.
        queries: Samples to learn from.
        validation: Queries that decide, with ``visits_validation``, which epoch is kept; may be empty, then it is the last.
        visits: What recommendations have learned from.
        visits_validation: Visits that they have not.
        config: Epochs, step sizes and seed.
        progress: Called with the epochs done, the total, and "epochs of search".
    """
    torch.manual_seed(config.seed)
    random = np.random.default_rng(config.seed)
    beside: Iterator[LabelledBatch] = iter(())

    def begin() -> Iterator[LabelledBatch]:
        nonlocal beside
        model.train()
        beside = _endless(visits, random, config)
        return batches(queries, random.permutation(len(queries)), config.batch_requests)

    def loss(found: Losses) -> Tensor:
        of_queries = _together(found, config)
        if not config.items_share:
            return of_queries
        visited = next(beside).to(model.device)
        return of_queries + config.items_share * _together(losses(model(visited.batch), visited), config)

    def judge() -> tuple[float, Judged]:
        of_queries = validation_loss(model, validation, surface="search")
        of_visits = validation_loss(model, visits_validation) if len(visits_validation) else None
        both = of_queries["fused"] + config.items_share * (of_visits["fused"] if of_visits else 0.0)
        return both, {"validation_loss": of_queries, "items_validation_loss": of_visits}

    return learn_surface(
        model,
        "search",
        epochs=config.epochs,
        steps=max(config.epochs * -(-len(queries) // config.batch_requests), 1),
        optimiser=_optimiser(model, config),
        learning_rate=config.learning_rate,
        clipped=list(model.parameters()),
        begin=begin,
        loss=loss,
        judge=judge if len(validation) else None,
        progress=progress,
    )


def _endless(visits: SampleSet, random: np.random.Generator, config: SearchTraining) -> Iterator[LabelledBatch]:
    while True:
        yield from batches(visits, random.permutation(len(visits)), config.batch_requests)


def _together(found: Losses, config: SearchTraining) -> Tensor:
    dnn, transformer, fused = found
    return fused + config.own_loss_share * (dnn + transformer)


def _optimiser(model: FusedModel, config: SearchTraining) -> torch.optim.Optimizer:
    search = model.searching()
    text = list(search.text.parameters())
    own = [parameter for parameter in search.parameters() if parameter is not text[0]]
    shared = [*model.behaviour.parameters(), *model.sequence.parameters()]
    decay = config.weight_decay
    return torch.optim.AdamW(
        [
            {"params": own, "lr": config.learning_rate, "weight_decay": decay},
            {"params": text, "lr": config.text_learning_rate, "weight_decay": decay},
            {"params": shared, "lr": config.shared_learning_rate, "weight_decay": decay},
            {"params": [model.alpha_logits], "lr": config.alpha_learning_rate, "weight_decay": 0.0},
        ]
    )
