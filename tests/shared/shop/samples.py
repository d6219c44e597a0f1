"""The shop as sample sets, and as the folders of a run as far as training and the steps before it read them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl

from shop import FIRST, Shop
from shoploop.candidates.fetching import CandidateConfig
from shoploop.features.baskets import BASKETS
from shoploop.features.contract import Contract
from shoploop.features.item import ItemStatistics
from shoploop.features.log import PurchaseLog
from shoploop.features.shop import ShopStatistics
from shoploop.features.user import user_rows, user_stats
from shoploop.samples.files import SampleWriter, write_catalogs
from shoploop.samples.sample_set import Request, SampleSet, Sources, assemble
from shoploop.samples.step import choose_requests

OFFERED = 6
OFFERED_FEATURES = Contract(pair_features=("own_days", "item_rate_28"))
"""Those of :func:`offered`."""


def visits(
    shop: Shop, requests: Sequence[Request], *, log: PurchaseLog | None = None, negatives: int | None = None
) -> SampleSet:
    """The samples of these visits, from the shop's log or another, with all features."""
    log = log or shop.log()
    sources = Sources(
        log=log,
        contract=Contract(),
        catalogs=shop.catalogs(),
        items=ItemStatistics(log).on,
        shops=ShopStatistics(log).rows_on,
    )
    rows = user_rows(user_stats(log), [log.users[r.user] for r in requests], [r.day for r in requests])
    parts = assemble(requests, rows, sources, candidates=CandidateConfig(), negatives=negatives)
    return SampleSet.concat(list(parts))


def split_visits(shop: Shop) -> dict[str, SampleSet]:
    """The samples by split, as a run chooses them; of evaluation all candidates, else four beside what was bought."""
    chosen = choose_requests(shop.log(), shop.split, seed=0)
    return {
        "train": visits(shop, chosen.train, negatives=4),
        "validation": visits(shop, chosen.validation, negatives=4),
        "evaluation": visits(shop, chosen.evaluation),
    }


def offered(requests: int, *, candidates: int = OFFERED, noise: float = 0.2, seed: int = 0) -> SampleSet:
    """Samples whose answer one number tells: of each request's items one is bought, and its first feature is 1, not 0.

    Each of the first five shoppers is offered so many of the shop's items a day, of both tastes, drawn like the one that
    is bought. The second feature and the history say nothing; ``noise`` lies on the first.
    """
    shop, rng = Shop(), np.random.default_rng(seed)
    rows = requests * candidates
    items_QN = np.sort(np.stack([rng.permutation(shop.items)[:candidates] for _ in range(requests)]), axis=1)
    bought_QN = np.zeros((requests, candidates), bool)
    bought_QN[np.arange(requests), rng.integers(0, candidates, requests)] = True
    features_RK = np.stack([bought_QN.ravel() + noise * rng.standard_normal(rows), rng.standard_normal(rows)], axis=1)
    ages_QL = np.full((requests, BASKETS), -1, np.int32)
    ages_QL[:, :2] = [1, 8]
    return SampleSet(
        users_Q=(np.arange(requests) % 5).astype(np.int32),
        days_Q=(FIRST + np.arange(requests) // 5).astype(np.int32),
        offsets_Q1=np.arange(requests + 1) * candidates,
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


def offered_splits(train: SampleSet, *, others: int = 12) -> dict[str, SampleSet]:
    """Offers to learn from, with so many others to validate and to evaluate on."""
    return {"train": train, "validation": offered(others, seed=98), "evaluation": offered(others, seed=99)}


def write_folders(
    root: Path,
    shop: Shop | None = None,
    *,
    splits: Mapping[str, SampleSet] | None = None,
    contract: Contract | None = None,
    titles: Mapping[str, str] | None = None,
) -> Path:
    """``data``, ``features`` and ``samples``, the latter of the shop's visits unless others are given; returns ``root``."""
    shop, contract = shop or Shop(), contract or Contract()
    for name in ("data", "features", "samples"):
        (root / name).mkdir(parents=True)
    table = shop.described()
    if titles:
        table = table.with_columns(title=pl.col("item").replace_strict(titles, default=pl.col("title")))
    shop.interactions().write_parquet(root / "data" / "interactions.parquet")
    table.write_parquet(root / "data" / "items.parquet")
    (root / "data" / "load.json").write_text(json.dumps({"dataset": None, "tables": {"items": {"sha256": "0" * 64}}}))
    (root / "features" / "contract.json").write_text(json.dumps(contract.to_json()))
    shop.vocabulary.frame().write_parquet(root / "features" / "vocabulary.parquet")
    write_catalogs(root / "samples", shop.catalogs(), shop.vocabulary, table)
    with SampleWriter(root / "samples", contract, shop.log()) as writer:
        for split, samples in (splits or split_visits(shop)).items():
            if len(samples):
                writer.write(samples, split)
    described = {"evaluation_first": shop.split.evaluation_first, "last_day": shop.split.last}
    described |= {"candidates": asdict(CandidateConfig()), "sessions": False}
    (root / "samples" / "samples.json").write_text(json.dumps(described))
    return root
