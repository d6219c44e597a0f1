"""Sample sets drawn at random, in which the first dense feature tells what is bought and the second is noise."""

import numpy as np

from shoploop.features.baskets import BASKETS
from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.models.behaviour import Behaviour
from shoploop.models.fusion import FusedModel
from shoploop.models.sequence import SequenceModel
from shoploop.samples.sample_set import SampleSet

ITEMS, FACTORS = 12, 4
CONTRACT = Contract(pair_features=("own_days", "item_rate_28"))


def draw(requests: int, *, seed: int = 0, candidates: int = 6) -> SampleSet:
    rng = np.random.default_rng(seed)
    rows = requests * candidates
    items_QN = np.sort(np.stack([rng.permutation(ITEMS)[:candidates] for _ in range(requests)]), axis=1)
    liked_QN = np.zeros((requests, candidates), bool)
    liked_QN[np.arange(requests), rng.integers(0, candidates, requests)] = True
    noise = rng.standard_normal(rows)
    ages = np.full((requests, BASKETS), -1, np.int32)
    ages[:, :2] = [1, 8]
    events = items_QN[:, :3]
    return SampleSet(
        users_Q=np.arange(requests, dtype=np.int32),
        days_Q=np.full(requests, 20_000, np.int32),
        offsets_Q1=np.arange(requests + 1) * candidates,
        items_R=items_QN.ravel().astype(np.int32),
        labels_R=liked_QN.ravel(),
        sources_R=np.ones(rows, np.uint8),
        features_RK=np.stack([liked_QN.ravel() + 0.1 * noise, noise[::-1]], axis=1).astype(np.float32),
        truth_offsets_Q1=np.arange(requests + 1),
        truth_T=items_QN[liked_QN].astype(np.int32),
        event_offsets_Q1=np.arange(requests + 1) * 3,
        event_items_E=events.ravel().astype(np.int32),
        event_baskets_E=np.tile([0, 0, 1], requests).astype(np.int32),
        ages_QL=ages,
    )


def catalog(seed: int = 0) -> Catalog:
    rng = np.random.default_rng(seed)
    return Catalog(
        kind_I=np.zeros(ITEMS, np.int32),
        group_I=np.zeros(ITEMS, np.int32),
        neighbours_IM=np.zeros((ITEMS, 2), np.int32),
        neighbour_weights_IM=np.zeros((ITEMS, 2), np.float32),
        factors_ID=rng.standard_normal((ITEMS, FACTORS)).astype(np.float32),
        log_odds_CB=np.zeros((1, 20), np.float32),
    )


def small_config() -> FusedModel.Config:
    return FusedModel.Config(
        behaviour=Behaviour.Config(features=2, hidden=(8,)),
        sequence=SequenceModel.Config(items=ITEMS, factors=FACTORS, width=8, heads=2, layers=1, repeat_heads=2),
    )
