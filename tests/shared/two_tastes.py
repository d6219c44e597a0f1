"""A shop of two tastes: every shopper comes each third day and buys four of the twenty items of their own taste."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.augmentation.generator.adversary import Adversary
from shoploop.augmentation.generator.fitting import BehaviourGenerator
from shoploop.augmentation.generator.records import RECORD_BASKETS
from shoploop.augmentation.trials.effort import Effort
from shoploop.candidates.fetching import CandidateConfig
from shoploop.data.splits import TimeSplit
from shoploop.features.catalog import CatalogConfig, fit_catalog
from shoploop.features.contract import Contract
from shoploop.features.item import ItemStatistics
from shoploop.features.log import PurchaseLog, Vocabulary, day_of, purchases
from shoploop.features.shop import ShopStatistics
from shoploop.features.user import user_rows, user_stats
from shoploop.samples.files import SampleWriter, write_catalog
from shoploop.samples.sample_set import SampleSet, Sources, assemble
from shoploop.samples.step import choose_requests

FIRST, DAYS, ITEMS = 20_000, 48, 40
EVALUATION_FIRST = FIRST + DAYS - 7
TRAINING = TrainingSpec(evaluation_days=7, training_days=21, epochs=1)
NAMES = [f"i{n:02}" for n in range(ITEMS)]

TINY = Effort(
    shoppers=None,
    generator=BehaviourGenerator.Config(
        dims=8,
        adversary=Adversary.Config(places=RECORD_BASKETS, hidden=16, steps=20, batch=32),
        calibrations=1,
        calibration_records=64,
        proposals=2,
        selection_records=128,
        selection_rounds=10,
    ),
    labels=60,
    judged=60,
    epochs=1,
    rows=3000,
    variants=("crop", "gan"),
    processes=0,
)


def interactions(users: int) -> pl.DataFrame:
    random = np.random.default_rng(0)
    rows = [
        (f"u{user:03}", NAMES[item], FIRST + day)
        for user in range(users)
        for day in range(user % 3, DAYS, 3)
        for item in 20 * (user % 2) + random.choice(20, 4, replace=False)
    ]
    frame = pl.DataFrame(rows, schema={"user": pl.String, "item": pl.String, "day": pl.Int32}, orient="row")
    return frame.select(
        "user",
        "item",
        time=pl.col("day").cast(pl.Date).cast(pl.Datetime("us", "UTC")),
        kind=pl.lit("purchase"),
        quantity=pl.lit(1.0),
        price=pl.lit(2.0),
        shop=pl.lit("s"),
        basket=pl.lit(None, pl.String),
    )


def items() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "item": NAMES,
            "title": [f"Item {n}" for n in range(ITEMS)],
            "category": [["food", "sweet" if n < 20 else "salty"] for n in range(ITEMS)],
        },
        schema={"item": pl.String, "title": pl.String, "category": pl.List(pl.String)},
    )


def write_folders(root: Path, users: int) -> None:
    """``data``, ``features`` and ``samples``, as far as the step of augmentation reads them."""
    for name in ("data", "features", "samples"):
        (root / name).mkdir(parents=True)
    table, described = interactions(users), items()
    table.write_parquet(root / "data" / "interactions.parquet")
    described.write_parquet(root / "data" / "items.parquet")
    (root / "data" / "load.json").write_text(json.dumps({"dataset": None, "tables": {"items": {"sha256": "0" * 64}}}))
    (root / "features" / "contract.json").write_text(json.dumps(Contract().to_json()))
    pl.DataFrame({"item": NAMES, "code": range(ITEMS)}).write_parquet(root / "features" / "vocabulary.parquet")

    log = PurchaseLog.of(purchases(table), Vocabulary(tuple(NAMES)))
    known = log.where(log.day_R < EVALUATION_FIRST - 21)
    catalog = fit_catalog(known, described, CatalogConfig(factors=4, neighbours=3))
    statistics, shops = ItemStatistics(log), ShopStatistics(log)
    sources = Sources(log=log, contract=Contract(), catalog=catalog, items=statistics.on, shops=shops.rows_on)
    chosen = choose_requests(log, TimeSplit.of(log.last_day, TRAINING), seed=0)
    write_catalog(root / "samples", catalog, log.vocabulary, described)
    with SampleWriter(root / "samples", Contract(), log) as writer:
        for split in ("train", "validation", "evaluation"):
            requests = getattr(chosen, split)
            rows = user_rows(user_stats(log), [log.users[r.user] for r in requests], [r.day for r in requests])
            parts = assemble(requests, rows, sources, candidates=CandidateConfig(), negatives=4)
            writer.write(SampleSet.concat(list(parts)), split)
    about = {"evaluation_first": EVALUATION_FIRST, "last_day": FIRST + DAYS - 1}
    (root / "samples" / "samples.json").write_text(json.dumps(about))


def days(table: pl.DataFrame) -> pl.Series:
    return table.select(day_of("time")).to_series()
