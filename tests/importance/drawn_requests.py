"""Requests drawn at random: of six candidates the one whose first feature is 1 was bought, the others have 0."""

import numpy as np

from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.models.baskets import BASKETS
from shoploop.sample_set import SampleSet

ITEMS, FACTORS, CANDIDATES = 12, 4, 6
CONTRACT = Contract(pair_features=("own_days", "item_rate_28"))


def draw(requests: int, *, seed: int = 0, noise: float = 0.2) -> SampleSet:
    rng = np.random.default_rng(seed)
    rows = requests * CANDIDATES
    items_QN = np.sort(np.stack([rng.permutation(ITEMS)[:CANDIDATES] for _ in range(requests)]), axis=1)
    bought_QN = np.zeros((requests, CANDIDATES), bool)
    bought_QN[np.arange(requests), rng.integers(0, CANDIDATES, requests)] = True
    features_RK = np.stack([bought_QN.ravel() + noise * rng.standard_normal(rows), rng.standard_normal(rows)], axis=1)
    ages_QL = np.full((requests, BASKETS), -1, np.int32)
    ages_QL[:, :2] = [1, 8]
    return SampleSet(
        users_Q=(np.arange(requests) % 5).astype(np.int32),
        days_Q=(20_000 + np.arange(requests) // 5).astype(np.int32),
        offsets_Q1=np.arange(requests + 1) * CANDIDATES,
        items_R=items_QN.ravel().astype(np.int32),
        labels_R=bought_QN.ravel(),
        sources_R=np.ones(rows, np.uint8),
        features_RK=features_RK.astype(np.float32),
        truth_offsets_Q1=np.arange(requests + 1),
        truth_T=items_QN[bought_QN].astype(np.int32),
        event_offsets_Q1=np.arange(requests + 1) * 3,
        event_items_E=items_QN[:, :3].ravel().astype(np.int32),
        event_baskets_E=np.tile([0, 0, 1], requests).astype(np.int32),
        ages_QL=ages_QL,
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
