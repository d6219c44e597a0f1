"""The evaluation step: every method on the same visits, and what people ask next. Writes ``evaluation.json``.

Legend: Q requests (one per user), R rows, I items.
"""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoploop import progress
from shoploop.api.v1alpha1 import GateSpec
from shoploop.data.splits import TimeSplit
from shoploop.evaluation import diagnostics
from shoploop.evaluation.baselines import Decay, Ease, Followers, Personal, Popular
from shoploop.evaluation.counted import ItemNeighbours, best_decay, decayed_popularity
from shoploop.evaluation.examples import choose_examples, example
from shoploop.evaluation.exploration import cost
from shoploop.evaluation.incumbent import Incumbent, Served, compare, opened, same_weights
from shoploop.evaluation.incumbent_surfaces import on_queries, on_visits, that_chooses_shops, that_searches
from shoploop.evaluation.intervals import Bootstrap, mean
from shoploop.evaluation.judging import judge
from shoploop.evaluation.scoring import (
    comparison,
    first_bounds,
    incumbent_bound,
    measured_beside,
    model_scores,
    request_metrics,
    summary,
)
from shoploop.evaluation.searching import evaluate_search
from shoploop.evaluation.shopping import evaluate_shops
from shoploop.evaluation.slices import item_slices, user_slices
from shoploop.features.joins import Joins
from shoploop.features.log import PurchaseLog
from shoploop.ranking.simple import SIMPLE as FALLBACKS
from shoploop.samples.files import read_catalog, read_days, read_samples
from shoploop.samples.sample_set import SampleSet
from shoploop.samples.search_step import SEARCH
from shoploop.samples.shop_step import SHOPS
from shoploop.samples.step import read_log
from shoploop.training.trees import LambdaMart
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

SIMPLE = ("popular", "popular_decayed", "personal", "decay", "followers", "item_knn", "ease")
"""Methods that count and learn nothing: the first version must beat the best of them."""

METRICS = ("ndcg@10", "recall@10", "hit@10")
LAMBDAMART_REQUESTS = 6_000
"""Training visits that the trees learn from; more gains them nothing within the interval."""

COUNTED, TREES, MODEL, SERVING, COMPARED = PARTS = (
    "what counts and learns nothing", "trees", "the model", "the version that serves", "intervals, slices and features"
)  # fmt: skip
"""Of the step, for who watches."""

Metrics = dict[str, "np.ndarray[Any, np.dtype[np.float64]]"]


def evaluate_model(
    *,
    data: Path,
    features: Path,
    samples: Path,
    model: Path,
    incumbent: Path | None = None,
    out: Path,
    gate_spec: GateSpec,
) -> dict[str, Any]:
    """Measures a version on the days held out, against the baselines and the version that serves.

    Args:
        data: Folder of ``load_data``.
        features: Folder of ``materialize_features``.
        samples: Folder of ``build_samples``: one visit of each user in the days of evaluation, with all its candidates.
        model: The version's folder.
        incumbent: Folder of the version that serves, named by its id; scored on the same visits with its own candidates.
            Where it cannot be, as it is gone, damaged or of other features, the bounds for the gate say why.
        out: Folder to write ``evaluation.json`` into.
        gate_spec: Metric and confidence of the bounds that the gate will look at.

    Returns:
        ``evaluation.json``: whether visits were asked for in the middle, metrics of every method with 95% intervals
        over users, paired comparisons, slices, α,
        recall of candidates, calibration, coverage, feature importance, examples, what exploration costs, and the bounds for
        the gate.

    Raises:
        ArtifactCorrupt, ArtifactForeign: the new version must not be used.
    """
    started = time.perf_counter()
    parts = progress.Parts(*PARTS)
    parts.begin(COUNTED)
    trained = TrainedModel.of_version(load_version(model))
    seed = int(load_version(model).lineage["seed"])
    contract = trained.contract
    held_out = read_samples(samples, contract, "evaluation")
    # the version knows all purchases; it is judged on what was known before the days of evaluation
    trained = trained.with_catalog(read_catalog(samples, int(held_out.days_Q.min())))
    log = read_log(data, trained.vocabulary, sessions=trained.sessions)
    joins = Joins(features)

    scores: dict[str, Any] = {
        "popular": Popular(contract).scores(held_out),
        "personal": Personal(contract).scores(held_out),
        "decay": Decay(contract).scores(held_out),
        "followers": Followers(contract).scores(held_out),
        "ease": Ease(contract).scores(held_out),
        "item_knn": ItemNeighbours(log, before=int(held_out.days_Q.min())).scores(
            held_out, progress.Count("requests of item neighbours")
        ),
    }
    decay_days = best_decay(log, read_samples(samples, contract, "validation"))
    scores["popular_decayed"] = decayed_popularity(log, held_out, decay_days)
    parts.begin(TREES)
    scores["lambdamart"] = _lambdamart(samples, contract, seed).scores(held_out)
    parts.begin(MODEL)
    scores |= model_scores(trained.model, held_out, progress=progress.Count("requests scored"))
    metrics: dict[str, Metrics] = {name: request_metrics(held_out, values) for name, values in scores.items()}
    parts.begin(SERVING)
    serving: Served | Incumbent | None = None
    served: Incumbent | None = None
    if incumbent is not None:
        queried = read_days(samples / SEARCH, "evaluation")
        serving = opened(incumbent, held_out, log, joins, further=queried, data=data)
        served, measured = compare(serving, held_out, metrics["fused"])
        metrics |= {"incumbent": measured} if measured is not None else {}
    parts.begin(COMPARED)

    bootstrap = Bootstrap(len(held_out), seed=seed)
    rivals = [name for name in metrics if name != "fused"]
    days = sorted({int(day) for day in held_out.days_Q})
    further: dict[str, Any] = {}
    if trained.model.search is not None and (samples / SEARCH).is_dir():
        further["search"] = evaluate_search(
            samples / SEARCH,
            contract.pair_features,
            trained.model,
            seed=seed,
            gate_spec=gate_spec,
            incumbent=None
            if (theirs := that_searches(serving)) is None
            else partial(on_queries, served=theirs, data=data, windows=_windows(features), seed=seed),
        )
    if trained.model.shops is not None and (samples / SHOPS).is_dir():
        further["shops"] = evaluate_shops(
            samples / SHOPS,
            trained.model,
            seed=seed,
            gate_spec=gate_spec,
            incumbent=None
            if (theirs := that_chooses_shops(serving)) is None
            else partial(on_visits, served=theirs, shops=trained.shops),
        )
    report: dict[str, Any] = {
        "users": len(held_out),
        "requests": len(held_out),
        "sessions": log.sessions,
        "days": [_date(days[0]), _date(days[-1])],
        "methods": {name: summary(values, bootstrap) for name, values in metrics.items()},
        "comparisons": [comparison("fused", than, m, metrics, bootstrap) for than in rivals for m in METRICS],
        "slices": user_slices(held_out, _stat(trained, held_out, "user_days"), metrics, seed)
        | item_slices(held_out, scores, _purchases(log, days[0]), seed),
        "alpha": trained.model.alpha,
        "popular_decay_days": decay_days,
        "candidates": diagnostics.candidate_recall(held_out),
        "calibration": diagnostics.calibration(held_out, scores["fused"], _stat(trained, held_out, "user_basket_size")),
        "coverage@10": {
            name: diagnostics.coverage(held_out, values, len(trained.vocabulary)) for name, values in scores.items()
        },
        "feature_importance": diagnostics.feature_importance(
            trained.model,
            contract,
            held_out,
            scores["transformer"],
            seed=seed,
            progress=progress.Count("features shuffled"),
        ),
        "examples": _examples(
            trained, held_out, scores["fused"], log=log, joins=joins, items=data / "items.parquet", seed=seed
        ),
        "exploration_costs": cost(held_out, scores["fused"]),
        "gate": _bounds(
            metrics, bootstrap, gate_spec, served, {name: one.pop("gate") for name, one in further.items()}
        ),
        "search": further.get("search"),
        "shops": further.get("shops"),
        "seconds": round(time.perf_counter() - started, 2),
    }
    if "incumbent" in metrics:
        report["methods"]["incumbent"] |= measured_beside(metrics["fused"], metrics["incumbent"], bootstrap)
    if gate_spec.counterfactual and incumbent is not None:
        report["gate"]["counterfactual"] = judge(
            data,
            trained=trained,
            serving=same_weights(incumbent),
            log=log,
            joins=joins,
            days=(days[0], days[-1]),
            confidence=gate_spec.confidence,
            seed=seed,
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / "evaluation.json").write_text(json.dumps(report, indent=1) + "\n")
    parts.end()
    return report


def _windows(features: Path) -> TimeSplit:
    return TimeSplit.from_json(json.loads((features / "features.json").read_text())["split"])


def _lambdamart(samples: Path, contract: Any, seed: int) -> LambdaMart:
    learn = read_samples(samples, contract, "train")
    chosen = np.sort(np.random.default_rng(seed).permutation(len(learn))[:LAMBDAMART_REQUESTS])
    told, numbers = progress.Count("trees"), count(1)
    trees = LambdaMart(seed=seed)
    return trees.fit(learn.select(chosen), lambda: told(next(numbers), trees.rounds))


def _stat(trained: TrainedModel, samples: SampleSet, name: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """A feature that is one number per user, log(1 + x), back as x, (Q,)."""
    column = samples.features_RK[:, trained.contract.pair_features.index(name)]
    first = np.minimum(samples.offsets_Q1[:-1], max(len(column) - 1, 0))
    values_Q: np.ndarray[Any, np.dtype[np.float64]] = np.rint(np.expm1(column[first].astype(np.float64)) * 100) / 100
    return values_Q


def _purchases(log: PurchaseLog, before: int) -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.bincount(log.item_R[log.day_R < before], minlength=len(log.vocabulary))


def _bounds(
    metrics: dict[str, Metrics],
    bootstrap: Bootstrap,
    gate_spec: GateSpec,
    incumbent: Incumbent | None,
    surfaces: dict[str, Any],
) -> dict[str, Any]:
    """What the gate decides on: the metric's difference and its one-sided bound, against each rival that matters."""
    metric, confidence = gate_spec.metric, gate_spec.confidence
    served = max(FALLBACKS, key=lambda name: (mean(metrics[name][metric]), name))
    found = first_bounds(SIMPLE, metric, confidence, metrics, bootstrap) | {
        "confidence": confidence,
        "incumbent": None,
        "falls_back": served,
        "surfaces": surfaces,
    }
    if incumbent is not None:
        found["incumbent"] = asdict(incumbent)
    if incumbent is not None and incumbent.compared:
        found["incumbent"] |= incumbent_bound(metric, confidence, metrics, bootstrap)
    return found


def _examples(
    trained: TrainedModel,
    samples: SampleSet,
    scores_R: Any,
    *,
    log: PurchaseLog,
    joins: Joins,
    items: Path,
    seed: int,
) -> list[dict[str, Any]]:
    chosen = choose_examples(samples, seed=seed)
    named = pl.read_parquet(items, columns=["item", "title"])
    title_of = dict(named.iter_rows())
    titles = [title_of.get(item) for item in trained.vocabulary.items]
    matrices = joins.items(trained.vocabulary, sorted({int(samples.days_Q[q]) for q in chosen}))
    return [
        example(
            q,
            samples,
            scores_R,
            log=log,
            items=matrices[int(samples.days_Q[q])],
            catalog=trained.catalog,
            titles=titles,
        )
        for q in chosen
    ]


def _date(day: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
