"""The importance benchmark on a shop: rows of its training requests, made by the shop's own features and candidates.

Requests are learned from that lie before the days of evaluation; what is trained is judged on later requests of each
household, whose labels nobody touches.

Legend: Q requests, R rows (a request and a candidate), N samples, K features, H households.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop.bench.importance.flips import (
    BASELINE,
    DEFAULT,
    SHARES,
    Flipped,
    Found,
    Labelled,
    detect,
    look_inside,
)
from shoploop.bench.importance.removal import Values, curves, remove
from shoploop.compute.device import training_device
from shoploop.evaluation.intervals import Bootstrap
from shoploop.evaluation.scoring import model_scores, request_auc, request_metrics
from shoploop.features.log import PurchaseLog
from shoploop.importance.checks.detection import Flags, flip_labels
from shoploop.importance.checks.flips import Shop
from shoploop.importance.checks.trial import history_slices
from shoploop.importance.estimators.interface import make_estimator
from shoploop.importance.estimators.table import Float32, Float64, Int64
from shoploop.importance.quality import describe_quality
from shoploop.importance.shop import COLUMNS
from shoploop.importance.shop_proxy import look, train_shop_proxy
from shoploop.importance.weighing import WeighingConfig, weigh
from shoploop.samples.sample_set import Request, SampleSet, Sources, assemble
from shoploop.samples.step import TRAINING_NEGATIVES, choose_requests
from shoploop.training.building import build_model
from shoploop.training.loop import TrainConfig, fit

NOISE = 0.2
METRIC = "ndcg@10"

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is looked at."""

    flipped: int = 80
    """Requests whose rows are the samples of detection and removal: some 10,000."""

    judged_removal: int = 300
    """Later requests that removal is judged on."""

    learned: int = 1000
    """Requests that the fused model learns from."""

    judged: int = 2500
    """Households that it is judged on, at most."""

    visits: int = 3
    """Later requests of each household, at most; a household counts by their mean."""

    batch_requests: int = 8
    """Of the fused model's training. With a run's 32 so few requests are few steps, after which the model is too little
    trained for wrong labels to cost much (docs/decisions/0051)."""

    noisy_seeds: int = 8
    """Of training on noisy labels, at least: flips, requests, proxy, estimator and both trainings are drawn anew."""

    pool: int = 3000
    """Training requests that all of these are drawn from."""

    compared_seeds: int = 20
    """Seeds of the default against loss ranking."""


FULL = Effort()


@dataclass(frozen=True, kw_only=True)
class Material:
    """Samples of one shop, made once."""

    train: SampleSet
    judged: SampleSet
    """Later requests of each household, with all their candidates."""

    shop: Shop

    def rows(self, requests: int, seed: int) -> Labelled:
        """The rows of this many training requests, drawn at random."""
        drawn = np.random.default_rng([seed, requests]).choice(len(self.train), min(requests, len(self.train)), False)
        part = self.train.select(np.sort(drawn))
        return Labelled(
            x_NK=part.features_RK,
            y_N=part.labels_R.astype(np.int64),
            names=tuple(self.shop.contract.pair_features),
        )


def prepare(dataset: str, effort: Effort, progress: Progress, *, seed: int = 0) -> Material:
    """Loads a known dataset and makes its samples as a run does, with statistics by the pure functions."""
    from shoploop.api.v1alpha1 import DataSpec, TrainingSpec
    from shoploop.candidates.fetching import CandidateConfig
    from shoploop.data.splits import TimeSplit
    from shoploop.data.step import load_data
    from shoploop.features.catalog import CatalogConfig, fit_catalog
    from shoploop.features.catalogs import following
    from shoploop.features.contract import resolve
    from shoploop.features.item import ItemStatistics
    from shoploop.features.log import choose_vocabulary, purchases
    from shoploop.features.shop import ShopStatistics
    from shoploop.features.user import user_rows, user_stats

    progress("loading the data")
    with tempfile.TemporaryDirectory() as folder:
        load_data(out=Path(folder), data_spec=DataSpec(dataset=dataset))
        tables = {
            name: pl.read_parquet(Path(folder) / f"{name}.parquet") for name in ("interactions", "items", "users")
        }
    contract = resolve(interactions=tables["interactions"], items=tables["items"], users=tables["users"])
    last = int(tables["interactions"].select(pl.col("time").dt.epoch("d").max()).item())
    split = TimeSplit.of(last, TrainingSpec())  # the usual days
    bought = purchases(tables["interactions"])
    log = PurchaseLog.of(bought, choose_vocabulary(bought, before=split.evaluation_first))
    chosen = choose_requests(log, split, seed=seed)
    progress("fitting the catalog")
    catalog = fit_catalog(log.where(log.day_R < split.training_first), tables["items"], CatalogConfig(seed=seed))
    statistics, shops = ItemStatistics(log), ShopStatistics(log)
    catalogs = following(catalog, log, [split.training_first, split.last])
    sources = Sources(log=log, contract=contract, catalogs=catalogs, items=statistics.on, shops=shops.rows_on)
    stats = user_stats(log)

    def make(what: str, requests: list[Request], negatives: int | None) -> SampleSet:
        rows = user_rows(stats, [log.users[r.user] for r in requests], [r.day for r in requests])
        parts = assemble(
            requests,
            rows,
            sources,
            candidates=CandidateConfig(),
            negatives=negatives,
            seed=seed,
            progress=lambda done, total: progress(f"{what}: {done} of {total} requests"),
        )
        return SampleSet.concat(list(parts))

    return Material(
        train=make("samples to learn from", chosen.train[: effort.pool], TRAINING_NEGATIVES),
        judged=make("samples to judge on", later_requests(log, split.evaluation_first, effort, seed=seed), None),
        shop=Shop(catalog=catalog, contract=contract, columns=COLUMNS),
    )


def later_requests(log: PurchaseLog, first_day: int, effort: Effort, *, seed: int) -> list[Request]:
    """Some visits of each household from this day on, the households in random order and each one's visits together."""
    rng = np.random.default_rng(seed)
    _, first_row = log.baskets()
    first_row = rng.permutation(first_row[log.day_R[first_row] >= first_day])
    users = list(dict.fromkeys(log.user_R[first_row].tolist()))[: effort.judged]
    days: dict[int, list[int]] = {user: [] for user in users}
    for user, day in zip(log.user_R[first_row].tolist(), log.day_R[first_row].tolist(), strict=True):
        if user in days and len(days[user]) < effort.visits:
            days[user].append(day)
    return [Request(user=user, day=day) for user in users for day in sorted(days[user])]


def run(material: Material, seeds: Sequence[int], progress: Progress, effort: Effort = FULL) -> dict[str, Any]:
    """Everything but the speed.

    Returns:
        ``detection``, ``against_loss``, ``inside``, ``removal``, ``training``, ``quality`` and ``sample``.
    """

    def draw(seed: int) -> Labelled:
        return material.rows(effort.flipped, seed)

    detection, against = {}, {}
    for share in SHARES:
        progress(f"detection, {share:.0%} flipped")
        found = detect(draw, share, seeds)
        detection[str(share)] = found.summary()
        against[str(share)] = found.difference(DEFAULT, BASELINE)
    compared = Found()
    for seed in range(effort.compared_seeds):
        progress(f"default against loss ranking, seed {seed}")
        for name, values in detect(draw, NOISE, [seed], methods=(DEFAULT, BASELINE)).values.items():
            compared.add(name, values[0])
    against[str(NOISE)] = compared.difference(DEFAULT, BASELINE)
    progress("prototypes")
    inside = look_inside(draw, NOISE, seeds)
    removals = []
    for seed in seeds:
        progress(f"removal, seed {seed}")
        removals.append(_removed(material, draw(seed), effort, seed))
    some = draw(seeds[0])
    return {
        "detection": detection,
        "against_loss": against,
        "inside": inside,
        "removal": curves(
            removals,
            "auc over a later request's candidates, mean over requests",
            over_seeds=False,
            users_U=_judging_removal(material, effort).users_Q,
        ),
        "training": trained(material, seeds, effort, progress),
        "quality": describe_quality(some.x_NK, some.y_N, names=some.names),
        "sample": {
            "rows_flipped": len(some.y_N),
            "bought": float(some.y_N.mean()),
            "requests_learned": min(effort.learned, len(material.train)),
            "households_judged": len(np.unique(material.judged.users_Q)),
            "requests_judged": len(material.judged),
        },
    }


def _judging_removal(material: Material, effort: Effort) -> SampleSet:
    return material.judged.select(np.arange(min(effort.judged_removal, len(material.judged))))


def _removed(material: Material, samples: Labelled, effort: Effort, seed: int) -> Values:
    from sklearn.linear_model import RidgeClassifier

    task = Flipped.of(samples, NOISE, seed=seed)
    table = task.table
    judged = _judging_removal(material, effort)
    x_SK = table.scale.forward(judged.features_RK)

    def judge(kept_N: Flags) -> Float64:
        model = RidgeClassifier(class_weight="balanced").fit(table.x_NK[kept_N], table.y_N[kept_N])
        return request_auc(judged, model.decision_function(x_SK))

    importance_N = make_estimator(DEFAULT).score(table, seed=seed).importance_N
    return remove(table.y_N, importance_N, judge, seed=seed)


def trained(material: Material, seeds: Sequence[int], effort: Effort, progress: Progress) -> dict[str, Any]:
    """The fused model with the weights of the default and without: each label as it is, and a fifth of them flipped.

    Noise: of all rows of the learned requests, a fifth drawn at random get the other label. The later requests keep theirs.

    Returns:
        ``clean``, ``noisy``: NDCG@10 ``weighted`` and ``unweighted``, ``difference`` (mean over seeds and requests of each
        household, then over households) with the paired 95 % ``interval`` over households, ``by_seed`` and ``slices``.
    """
    out: dict[str, Any] = {"metric": METRIC, "noise": NOISE}
    household_Q = np.unique(material.judged.users_Q, return_inverse=True)[1]
    slices = history_slices(material.judged, material.shop)
    noisy_seeds = range(seeds[0], seeds[0] + max(len(seeds), effort.noisy_seeds))
    for name, share, chosen in (("clean", 0.0, seeds), ("noisy", NOISE, noisy_seeds)):
        with_SQ, without_SQ = [], []
        for seed in chosen:
            progress(f"training on {name} labels, seed {seed}")
            drawn = np.random.default_rng([seed, 1]).permutation(len(material.train))[: effort.learned]
            learned = with_noise(material.train.select(np.sort(drawn)), share, seed=seed)
            weights_R = _weights(learned, material.shop, seed)
            without_SQ.append(_quality(learned, None, material, effort, seed))
            with_SQ.append(_quality(learned, weights_R, material, effort, seed))
        with_Q, without_Q = np.mean(with_SQ, axis=0), np.mean(without_SQ, axis=0)
        out[name] = {
            "weighted": float(np.nanmean(with_Q)),
            "unweighted": float(np.nanmean(without_Q)),
            **_difference(with_Q - without_Q, household_Q),
            "by_seed": [float(np.nanmean(a - b)) for a, b in zip(with_SQ, without_SQ, strict=True)],
            "slices": {
                part: _difference((with_Q - without_Q)[chosen_Q], household_Q[chosen_Q])
                for part, chosen_Q in slices.items()
                if chosen_Q.any()
            },
        }
    return out


def with_noise(samples: SampleSet, share: float, *, seed: int) -> SampleSet:
    """The samples with this share of their rows' labels flipped; what was bought in truth stays as it is."""
    labels_R, _ = flip_labels(samples.labels_R.astype(np.int64), share, rng=np.random.default_rng(seed))
    return replace(samples, labels_R=labels_R.astype(bool))


def _weights(learned: SampleSet, shop: Shop, seed: int) -> Float32:
    view = look(train_shop_proxy(learned, shop.catalog, shop.contract, seed=seed), learned)
    return weigh(learned, view, shop.contract, WeighingConfig(method=DEFAULT), seed=seed).weights_R


def _quality(learned: SampleSet, weights_R: Float32 | None, material: Material, effort: Effort, seed: int) -> Float64:
    model = build_model(material.shop.contract, material.shop.catalog, learned, seed=seed).to(training_device())
    config = TrainConfig(batch_requests=effort.batch_requests, seed=seed)
    fit(model, replace(learned, weights_R=weights_R), learned.select([]), config)
    return request_metrics(material.judged, model_scores(model, material.judged)["fused"])[METRIC]


def _difference(values_Q: Float64, household_Q: Int64) -> dict[str, Any]:
    """Mean over households, each by the mean of its requests, and the interval over households."""
    known_Q = ~np.isnan(values_Q)
    _, household_Q = np.unique(household_Q[known_Q], return_inverse=True)
    values_H = np.bincount(household_Q, values_Q[known_Q]) / np.bincount(household_Q)
    interval = Bootstrap(len(values_H)).interval(values_H)
    return {
        "difference": float(np.nanmean(values_H)),
        "interval": list(interval) if interval else None,
        "households": len(values_H),
    }
