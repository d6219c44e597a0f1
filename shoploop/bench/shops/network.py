"""A DNN over what is known of a user and a shop: the behaviour module of recommendations, on the features of shops.

Legend: R rows (a visit and a candidate shop), S features.
"""

import numpy as np
import numpy.typing as npt
import torch

from shoploop.compute.cores import one_thread
from shoploop.models.behaviour import Behaviour
from shoploop.models.pieces import quantile_pieces
from shoploop.samples.sample_set import SampleSet
from shoploop.training.building import standardise
from shoploop.training.loop import batches, listwise_loss

EPOCHS, BATCH_VISITS, LEARNING_RATE, WEIGHT_DECAY = 4, 64, 1e-3, 1e-2
SCORED_ROWS = 50_000
"""At a time."""


@one_thread()
def fit_network(train: SampleSet, *, seed: int) -> Behaviour:
    """A network that has learned which of the candidates was visited, ready to score."""
    pieces = quantile_pieces(train.features_RK, train.labels_R, seed=seed)
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = Behaviour(Behaviour.Config(features=train.features_RK.shape[1], pieces=len(pieces)))
    standardise(network, train.features_RK)
    network.cut(pieces)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = EPOCHS * -(-len(train) // BATCH_VISITS)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, eta_min=LEARNING_RATE * 0.02)
    network.train()
    for _ in range(EPOCHS):
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
def network_scores(network: Behaviour, samples: SampleSet) -> npt.NDArray[np.float64]:
    """Its scores, (R,)."""
    rows = len(samples.items_R)
    with torch.inference_mode():
        parts = [
            network(torch.from_numpy(samples.features_RK[start : start + SCORED_ROWS])).numpy().astype(np.float64)
            for start in range(0, rows, SCORED_ROWS)
        ]
    return np.concatenate([np.empty(0), *parts])
