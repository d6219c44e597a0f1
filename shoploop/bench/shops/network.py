"""A DNN over what is known of a user and a shop: the behaviour module of recommendations, on the features of shops.

Legend: R rows (a visit and a candidate shop), S features.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from shoploop.compute.cores import one_thread
from shoploop.models.behaviour import Behaviour
from shoploop.models.pieces import quantile_pieces
from shoploop.samples.sample_set import SampleSet
from shoploop.training.building import standardise
from shoploop.training.loop import batches, listwise_loss

EPOCHS, BATCH_VISITS, LEARNING_RATE, WEIGHT_DECAY = 4, 64, 1e-3, 1e-2
SCORED_ROWS = 50_000
"""At a time."""

Network = TypeVar("Network", bound=nn.Module)


@one_thread()
def fit_network(train: SampleSet, *, seed: int) -> Behaviour:
    """A network that has learned which of the candidates was visited, ready to score."""
    return taught(fresh_network(train, seed=seed), train, seed=seed)


def fresh_network(train: SampleSet, *, seed: int) -> Behaviour:
    """A network with the sizes, means and pieces of the samples' features."""
    pieces = quantile_pieces(train.features_RK, train.labels_R, seed=seed)
    torch.manual_seed(seed)
    network = Behaviour(Behaviour.Config(features=train.features_RK.shape[1], pieces=len(pieces)))
    standardise(network, train.features_RK)
    network.cut(pieces)
    return network


@one_thread()
def taught(network: Network, train: SampleSet, *, seed: int, epochs: int = EPOCHS) -> Network:
    """The network, which makes (B, N) of (B, N, K), after it has learned which candidate was chosen; ready to score."""
    random = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(train) // BATCH_VISITS)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=LEARNING_RATE * 0.02)
    network.train()
    for _ in range(epochs):
        for labelled in batches(train, random.permutation(len(train)), BATCH_VISITS):
            scores_BN = network(labelled.batch.features_BNK)
            loss = listwise_loss(scores_BN, labelled.labels_BN, labelled.batch.mask_BN, labelled.weights_BN)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
    return network.eval()


@one_thread()
def network_scores(network: nn.Module, samples: SampleSet) -> npt.NDArray[np.float64]:
    """Its scores, (R,)."""
    rows = len(samples.items_R)
    with torch.inference_mode():
        parts = [
            network(torch.from_numpy(samples.features_RK[start : start + SCORED_ROWS])).numpy().astype(np.float64)
            for start in range(0, rows, SCORED_ROWS)
        ]
    return np.concatenate([np.empty(0), *parts])
