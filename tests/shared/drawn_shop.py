"""A shop with rhythm: every user buys their own two items on every third day, and one other now and then."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.candidates.fetching import CandidateConfig
from shoploop.data.splits import TimeSplit
from shoploop.features.catalog import Catalog, CatalogConfig, fit_catalog
from shoploop.features.contract import Contract
from shoploop.features.item import ItemStatistics
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.features.shop import ShopStatistics
from shoploop.features.user import user_rows, user_stats
from shoploop.samples.files import SampleWriter, write_catalog
from shoploop.samples.sample_set import Request, SampleSet, Sources, assemble
from shoploop.samples.step import choose_requests

FIRST, DAYS, USERS, ITEMS = 20_000, 60, 16, 10
TRAINING = TrainingSpec(evaluation_days=7, training_days=21, epochs=1)
NAMES = [f"i{n}" for n in range(ITEMS)]


def interactions() -> pl.DataFrame:
    rows = [
        (f"u{user:02}", f"i{item % ITEMS}", FIRST + day)
        for day in range(DAYS)
        for user in range(USERS)
        if (day + user) % 3 == 0
        for item in (user, user + 5, user * day if day % 2 else user)
    ]
    return pl.DataFrame(rows, schema={"user": pl.String, "item": pl.String, "day": pl.Int32}, orient="row").select(
        "user",
        "item",
        time=pl.col("day").cast(pl.Date).cast(pl.Datetime("us", "UTC")),
        kind=pl.lit("purchase"),
        quantity=pl.lit(1.0),
        price=pl.lit(2.0),
        shop=pl.lit("s"),
    )


def items() -> pl.DataFrame:
    return pl.DataFrame(
        {"item": NAMES, "title": [f"Item {n}" for n in range(ITEMS)], "category": [["food"]] * ITEMS},
        schema={"item": pl.String, "title": pl.String, "category": pl.List(pl.String)},
    )


def shop() -> tuple[PurchaseLog, Catalog]:
    log = PurchaseLog.of(purchases(interactions()), Vocabulary(tuple(NAMES)))
    return log, fit_catalog(log.where(log.day_R < FIRST + 30), items(), CatalogConfig(factors=4, neighbours=3))


def samples_of(log: PurchaseLog, catalog: Catalog, requests: list[Request], negatives: int | None = None) -> SampleSet:
    statistics, shops = ItemStatistics(log), ShopStatistics(log)
    sources = Sources(log=log, contract=Contract(), catalog=catalog, items=statistics.on, shops=shops.rows_on)
    rows = user_rows(user_stats(log), [log.users[r.user] for r in requests], [r.day for r in requests])
    parts = assemble(requests, rows, sources, candidates=CandidateConfig(), negatives=negatives)
    return SampleSet.concat(list(parts))


def write_folders(root: Path) -> None:
    """``data``, ``features`` and ``samples`` as far as training reads them."""
    log, catalog = shop()
    for name in ("data", "features", "samples"):
        (root / name).mkdir()
    (root / "data" / "load.json").write_text(json.dumps({"dataset": None, "tables": {"items": {"sha256": "0" * 64}}}))
    (root / "features" / "contract.json").write_text(json.dumps(Contract().to_json()))
    chosen = choose_requests(log, TimeSplit.of(log.last_day, TRAINING), seed=0)
    write_catalog(root / "samples", catalog, log.vocabulary, items())
    with SampleWriter(root / "samples", Contract(), log) as writer:
        writer.write(samples_of(log, catalog, chosen.train, negatives=4), "train")
        writer.write(samples_of(log, catalog, chosen.validation, negatives=4), "validation")
        writer.write(samples_of(log, catalog, chosen.evaluation), "evaluation")
    described = {"evaluation_first": FIRST + DAYS - 7, "last_day": FIRST + DAYS - 1}
    (root / "samples" / "samples.json").write_text(json.dumps(described))


def arrays(samples: SampleSet) -> dict[str, np.ndarray]:
    return {name: value for name, value in vars(samples).items() if value is not None}
