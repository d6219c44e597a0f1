"""Requests drawn at random: of six candidates the one whose first feature is 1 was bought, the others have 0."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from shoploop.features.baskets import BASKETS
from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.samples.files import SampleWriter, write_catalog
from shoploop.samples.sample_set import SampleSet

ITEMS, FACTORS, CANDIDATES = 12, 4, 6
CONTRACT = Contract(pair_features=("own_days", "item_rate_28"))
NAMES = tuple(f"i{n:02}" for n in range(ITEMS))
TITLES = ["<script>Milk</script>", *(f"Item {n}" for n in range(1, ITEMS))]


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


def write_folders(root: Path, *, train: SampleSet, others: int = 12) -> None:
    """``data``, ``features`` and ``samples`` as far as weighing and training read them."""
    for name in ("data", "features", "samples"):
        (root / name).mkdir(parents=True)
    items = pl.DataFrame({"item": NAMES, "title": TITLES})
    items.write_parquet(root / "data" / "items.parquet")
    (root / "data" / "load.json").write_text(json.dumps({"dataset": None, "tables": {"items": {"sha256": "0" * 64}}}))
    (root / "features" / "contract.json").write_text(json.dumps(CONTRACT.to_json()))
    bought = pl.DataFrame(
        {
            "user": [f"u{n}" for n in range(5)],
            "item": ["i00"] * 5,
            "time": [datetime(2020, 1, 1, tzinfo=UTC)] * 5,
            "kind": ["purchase"] * 5,
            "quantity": [1.0] * 5,
            "price": [1.0] * 5,
            "shop": ["s"] * 5,
        }
    )
    log = PurchaseLog.of(purchases(bought), Vocabulary(NAMES))
    write_catalog(root / "samples", catalog(), log.vocabulary, items)
    with SampleWriter(root / "samples", CONTRACT, log) as writer:
        if len(train):
            writer.write(train, "train")
        writer.write(draw(others, seed=98), "validation")
        writer.write(draw(others, seed=99), "evaluation")
    described = {"evaluation_first": 20_100, "last_day": 20_110}
    (root / "samples" / "samples.json").write_text(json.dumps(described))
