"""The next-basket benchmark: a household's last visit, predicted from the visits before it.

The protocol: a basket is a household and a day, items count once a day. Households with at least 3 days; items bought
at least 17 times on days before each household's last; the last day is the target, reduced to kept items; households
whose target is empty, or with fewer than 3 days of kept items before it, are dropped. The date of the visit is known,
the shop is not.

Everything is fitted on what lies before: the catalog before the label days, the statistics causal by day and without
any target, the models on the visits 2 to 6 from the end.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop.api.v1alpha1 import DataSpec
from shoploop.candidates.fetching import CandidateConfig
from shoploop.errors import ShoploopError, TooFewEvents
from shoploop.features.catalog import CatalogConfig, fit_catalog
from shoploop.features.catalogs import Catalogs, following
from shoploop.features.contract import Contract, resolve
from shoploop.features.item import ItemStatistics
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.features.shop import ShopStatistics
from shoploop.features.user import user_rows, user_stats
from shoploop.samples.sample_set import Request, SampleSet, Sources, assemble

MIN_DAYS, MIN_PURCHASES, MIN_HISTORY_DAYS = 3, 17, 3
LABEL_VISITS = range(2, 7)
"""Visits counted from the end, 1 being the target, whose items are training labels."""

COUNTS = {"completejourney": {"users": 2226, "items": 14512, "mean_target": 10.7}}
"""What the protocol must find; other numbers mean other data, and scores that cannot be compared."""

CANDIDATES = CandidateConfig(popular=300, neighbours=0, followers=0, lately=0)
TRAINING_NEGATIVES = 150
METHODS = ("popular", "personal", "decay", "followers", "lambdamart", "dnn", "transformer", "fixed_alpha", "fused")
METRICS = ("recall@10", "ndcg@10", "hit@10")


class ProtocolViolated(ShoploopError):
    """The data does not give the counts that the protocol states."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """The protocol applied to one dataset."""

    log: PurchaseLog
    """Every purchase of kept items, the targets with them; histories are cut by day."""

    past: PurchaseLog
    """Without the targets: what statistics may count."""

    before_labels: PurchaseLog
    """Without the label visits too: what the catalog is fitted on."""

    targets: list[Request]
    labels: list[Request]


def split_visits(interactions: pl.DataFrame) -> Split:
    """Applies the protocol.

    Raises:
        TooFewEvents: no household is left.
    """
    bought = purchases(interactions).with_columns(
        last=pl.col("day").max().over("user"), days=pl.col("day").n_unique().over("user")
    )
    bought = bought.filter(pl.col("days") >= MIN_DAYS)
    counts = (
        bought.filter(pl.col("day") < pl.col("last"))
        .select("user", "item", "day")
        .unique()
        .group_by("item")
        .len("times")
    )
    kept = counts.filter(pl.col("times") >= MIN_PURCHASES)["item"].sort()
    log = PurchaseLog.of(bought, Vocabulary(tuple(kept)))
    last_days = dict(bought.select("user", "last").unique().iter_rows())
    last_U = np.array([last_days[user] for user in log.users], np.int32)
    past_R = log.day_R < last_U[log.user_R]

    targets, labels = [], []
    first_label_U = last_U.copy()
    for user in range(len(log.users)):
        rows = slice(int(log.offsets_U1[user]), int(log.offsets_U1[user + 1]))
        days = np.unique(log.day_R[rows])
        earlier = days[days < last_U[user]]
        if len(earlier) >= MIN_HISTORY_DAYS and len(days) > len(earlier):
            targets.append(Request(user=user, day=int(last_U[user])))
        # kept visits may be fewer than visits; what is counted from the end is kept visits
        for back in LABEL_VISITS:
            if len(earlier) - (back - 1) >= 1:
                day = int(earlier[-(back - 1)])
                first_label_U[user] = min(first_label_U[user], day)
                labels.append(Request(user=user, day=day))
    if not targets:
        raise TooFewEvents(
            f"The next-basket protocol leaves no user: it needs {MIN_DAYS} days per user and items bought "
            f"{MIN_PURCHASES} times. Use a larger dataset."
        )
    return Split(
        log=log,
        past=log.where(past_R),
        before_labels=log.where(log.day_R < first_label_U[log.user_R]),
        targets=targets,
        labels=labels,
    )


def check_counts(dataset: str, split: Split, targets: SampleSet) -> dict[str, Any]:
    """The split's counts.

    Raises:
        ProtocolViolated: they differ from the protocol's.
    """
    found = {
        "users": len(split.targets),
        "items": len(split.log.vocabulary),
        "mean_target": round(len(targets.truth_T) / len(targets), 1),
    }
    wanted = COUNTS.get(dataset, found)
    if found != wanted:
        raise ProtocolViolated(
            f"Next basket on {dataset}: found {found}, the protocol's counts are {wanted}. "
            "The dataset or its loading changed; scores would not be comparable."
        )
    return found


def run(dataset: str, seed: int = 0, progress: Callable[[str], None] = lambda what: None) -> dict[str, Any]:
    """Runs the benchmark.

    Args:
        dataset: A known dataset's name.
        seed: Of negatives, initial weights, order of batches and bootstrap.
        progress: Told what begins.

    Returns:
        ``methods``: per method means and 95% intervals of recall, NDCG and hit at 10 over users; ``comparisons`` with
        paired intervals; ``counts``, ``alpha``, ``candidate_recall``, ``seconds``, ``peak_rss_bytes``.

    Raises:
        ProtocolViolated: the counts are not the protocol's.
    """
    from shoploop.evaluation.baselines import Decay, Followers, LambdaMart, Personal, Popular
    from shoploop.evaluation.intervals import Bootstrap
    from shoploop.evaluation.scoring import comparison, model_scores, request_metrics, summary
    from shoploop.training.building import build_model
    from shoploop.training.loop import TrainConfig, fit

    started = time.perf_counter()
    progress("loading the data")
    interactions, items, users = _tables(dataset)
    contract = resolve(interactions=interactions, items=items, users=users)
    split = split_visits(interactions)
    del interactions
    progress("fitting the catalog")
    catalog = fit_catalog(split.before_labels, items, CatalogConfig(seed=seed))
    progress("building samples")
    catalogs = following(catalog, split.past, [request.day for request in (*split.labels, *split.targets)])
    train, test = _samples(split, contract, catalogs, seed, progress)
    counts = check_counts(dataset, split, test)

    scores = {
        "popular": Popular(contract).scores(test),
        "personal": Personal(contract).scores(test),
        "decay": Decay(contract).scores(test),
        "followers": Followers(contract).scores(test),
    }
    progress("training LambdaMART")
    scores["lambdamart"] = LambdaMart(seed=seed).fit(train).scores(test)
    progress("training the fused model")
    model = build_model(contract, catalog, train, seed=seed)
    alone: dict[str, np.ndarray[Any, np.dtype[np.float64]]] = {}
    order = np.random.default_rng(seed).permutation(len(train))
    held = max(len(train) // 20, 1)
    fit(
        model,
        train.select(np.sort(order[held:])),
        train.select(np.sort(order[:held])),
        TrainConfig(seed=seed),
        progress=lambda done, total, what: progress(f"{what}: {done:.0f} of {total:.0f}"),
        # the modules' own scores are those of modules that learned alone
        after_alone=lambda m: alone.update(model_scores(m, test)),
    )
    scores |= {name: alone[name] for name in ("dnn", "transformer", "fixed_alpha")}
    scores["fused"] = model_scores(model, test)["fused"]

    progress("measuring")
    bootstrap = Bootstrap(len(test), seed=seed)
    metrics = {name: request_metrics(test, scores[name]) for name in METHODS}
    others = [name for name in METHODS if name != "fused"]
    found = sum(int(test.labels_R[test.rows(q)].sum()) / len(test.truth(q)) for q in range(len(test)))
    return {
        "dataset": dataset,
        "seed": seed,
        "counts": counts,
        "methods": {name: summary(metrics[name], bootstrap, METRICS) for name in METHODS},
        "comparisons": [comparison("fused", than, m, metrics, bootstrap) for than in others for m in METRICS],
        "alpha": model.alpha,
        "candidate_recall": found / len(test),
        "seconds": round(time.perf_counter() - started, 1),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _tables(dataset: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    from shoploop.data.step import load_data

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        load_data(out=out, data_spec=DataSpec(dataset=dataset))
        interactions = pl.read_parquet(out / "interactions.parquet")
        return interactions, pl.read_parquet(out / "items.parquet"), pl.read_parquet(out / "users.parquet")


def _samples(
    split: Split, contract: Contract, catalogs: Catalogs, seed: int, progress: Callable[[str], None]
) -> tuple[SampleSet, SampleSet]:
    statistics, shops = ItemStatistics(split.past), ShopStatistics(split.past)
    sources = Sources(log=split.log, contract=contract, catalogs=catalogs, items=statistics.on, shops=shops.rows_on)
    stats = user_stats(split.past)

    def make(requests: list[Request], negatives: int | None) -> SampleSet:
        rows = user_rows(stats, [split.log.users[r.user] for r in requests], [r.day for r in requests])
        parts = assemble(
            requests,
            rows,
            sources,
            candidates=CANDIDATES,
            negatives=negatives,
            seed=seed,
            progress=lambda done, total: progress(f"samples: {done} of {total} visits"),
        )
        return SampleSet.concat(list(parts))

    return make(split.labels, TRAINING_NEGATIVES), make(split.targets, None)
