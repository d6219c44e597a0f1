"""The step of a run: weighs the training samples, checks that the weights mean something, and keeps them or not.

Legend: R rows (a request and a candidate), Q requests.
"""

import logging
import resource
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from shoploop import progress
from shoploop.api.v1alpha1 import ImportanceSpec
from shoploop.code_digest import code_digest
from shoploop.compute.cores import cores, one_thread
from shoploop.compute.worker import WorkerEnded
from shoploop.errors import ShoploopError
from shoploop.importance.checks.beside import CHECKS, JOB, CheckInputs, started
from shoploop.importance.checks.check import (
    DESCRIBED,
    FLIPPED,
    LEARNED,
    PARTS_OF_STEP,
    WEIGHED,
    Inputs,
    check_weights,
    read_inputs,
)
from shoploop.importance.checks.effort import CheckConfig
from shoploop.importance.checks.trial import NOTHING_TO_WEIGH, Verdict
from shoploop.importance.description import describe, inside
from shoploop.importance.doubt import wrong_share
from shoploop.importance.estimators.interface import make_estimator
from shoploop.importance.quality import describe_quality
from shoploop.importance.shop_proxy import ProxyView, look, train_shop_proxy
from shoploop.importance.weighing import METHODS, WeighingConfig, weigh
from shoploop.resuming.stages import Stages
from shoploop.samples.weights import SCHEMA, WEIGHTS, samples_digest, write_weights
from shoploop.store import disk

REPORT = "importance.json"
DESCRIBED_ROWS = 200_000
"""Rows whose missing values, outliers and duplicates are counted, at most."""

FIRST = "estimator"
"""Of the stages that weigh, the one that is always there."""

PROXY_REQUESTS = 5_000
"""That the proxy learns from, at most, drawn from all; it looks at every one."""


def estimate_importance(
    *,
    data: Path,
    features: Path,
    samples: Path,
    out: Path,
    importance_spec: ImportanceSpec,
    seed: int,
    cache: Path | None = None,
    check: CheckConfig | None = None,
) -> dict[str, Any]:
    """Weighs the rows of the split ``train``; those of validation and evaluation have no weight.

    The self-check decides: where it finds more flipped labels by another method than the one asked for, that one weighs.

    What goes wrong with an estimator is a refusal with its reason: the run goes on with all samples alike.

    Args:
        data: Folder of ``load_data``; titles are read.
        features: Folder of ``materialize_features``; the contract is read.
        samples: The samples that training reads.
        out: Folder to write: ``importance.parquet`` (see ``artifact.SCHEMA``) and ``importance.json``.
        importance_spec: Which estimator; None weighs nothing.
        seed: Of proxy, estimator and checks.
        cache: Where a killed step left what was done; unset, nothing outlives it.
        check: How much the self-check looks at.

    Returns:
        ``importance.json``: ``verdict`` (used, reason, estimator), the weights' distribution, ends, slices and days, one
        sample from inside, ``quality``, ``self_check``, ``samples_per_second``, ``seconds`` and ``reused`` stages.
    """
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    config = WeighingConfig(method=METHODS.get(importance_spec.estimator, "uniform"))
    report: dict[str, Any] = {"estimator": importance_spec.estimator, "seed": seed}
    digest = samples_digest(samples)
    if importance_spec.estimator == "None":
        verdict = Verdict(used=False, reason="Nothing was weighed: spec.importance.estimator is None.")
        write_weights(out / WEIGHTS, SCHEMA.empty_table(), method="none", samples=digest)
    else:
        key = {"samples": digest, "code": code_digest(__name__), "seed": seed, "config": repr((config, check))}
        folder = cache / "importance" if cache else out / ".partial"
        stages = Stages(folder, key)
        try:
            given = CheckInputs(
                data=data,
                features=features,
                samples=samples,
                digest=digest,
                method=config.method,
                seed=seed,
                check=check or CheckConfig(),
            )
            verdict, found = _estimate(given, config, out, folder, stages)
            report |= found
        except ShoploopError as error:
            verdict = Verdict(used=False, reason=f"The samples could not be weighed: {error}")
            write_weights(out / WEIGHTS, SCHEMA.empty_table(), method=config.method, samples=digest)
        report["reused"] = stages.reused
        stages.clear()
    report |= {
        "verdict": verdict.to_json() | {"estimator": importance_spec.estimator},
        "seconds": round(time.perf_counter() - started, 2),
        "peak_rss_bytes": 1024
        * sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)),
    }
    disk.write_json(out / REPORT, report)
    return report


def _estimate(
    given: CheckInputs, config: WeighingConfig, out: Path, folder: Path, stages: Stages
) -> tuple[Verdict, dict[str, Any]]:
    inputs = read_inputs(data=given.data, features=given.features, samples=given.samples, digest=given.digest)
    done = [name for name in CHECKS if stages.has(name)]
    with ExitStack() as stack:
        stack.enter_context(one_thread())
        beside = None
        if len(inputs.samples) >= given.check.beside and cores() > 1 and len(done) < len(CHECKS):
            beside = stack.enter_context(started(folder, given))
        view, seconds = _look(inputs, config, given.seed, stages)
        report = _weigh(inputs, view, seconds, config, given.seed, out, stages, FIRST)
        PARTS_OF_STEP.begin(FLIPPED)
        checking = time.perf_counter()
        if beside is not None:
            try:
                beside.finish(JOB)
            except WorkerEnded as error:
                logging.getLogger(__name__).warning("%s. The self-check is done here.", error)
        verdict, check = check_weights(inputs, config, given.seed, stages, given.check)
        took = time.perf_counter() - checking
        preferred = str(check.get("preferred", config.method))
        if preferred != config.method:
            config = replace(config, method=preferred)
            report = _weigh(inputs, view, seconds, config, given.seed, out, stages, "preferred")
    # what this step's own process has just made was not found done
    stages.reused = [name for name in stages.reused if name not in CHECKS or name in done]
    report["self_check"] = check
    report["stage_seconds"]["self_check"] = round(took, 2)
    if verdict.used and report["alike"]:
        verdict = NOTHING_TO_WEIGH
    PARTS_OF_STEP.end()
    return verdict, report


def _look(inputs: Inputs, config: WeighingConfig, seed: int, stages: Stages) -> tuple[ProxyView, float]:
    """The proxy's look at all rows, and how long proxy and look took."""
    samples, shop = inputs.samples, inputs.shop
    began = time.perf_counter()
    PARTS_OF_STEP.begin(LEARNED)

    def proxy() -> tuple[dict[str, Any], dict[str, Any]]:
        drawn = np.random.default_rng(seed).permutation(len(samples))[:PROXY_REQUESTS]
        model = train_shop_proxy(samples.select(np.sort(drawn)), shop.catalog, shop.contract, seed=seed)
        told = progress.Count("requests that the proxy looks at")
        view = look(model, samples, hidden="hidden" in config.columns, progress=told)
        return vars(view), {"seconds": time.perf_counter() - began}

    view_arrays, proxied = stages("proxy", proxy)
    return ProxyView(**view_arrays), float(proxied["seconds"])


def _weigh(
    inputs: Inputs,
    view: ProxyView,
    view_seconds: float,
    config: WeighingConfig,
    seed: int,
    out: Path,
    stages: Stages,
    stage: str,
) -> dict[str, Any]:
    samples, shop = inputs.samples, inputs.shop
    weighing = time.perf_counter()
    if stage == FIRST:  # another one comes after the check: who watches is not told that the step goes back
        PARTS_OF_STEP.begin(WEIGHED)

    def estimator() -> tuple[dict[str, Any], dict[str, Any]]:
        weighed = weigh(samples, view, shop.contract, config, seed=seed)
        notes = {"diagnostics": weighed.diagnostics, "inside": inside(samples, weighed, inputs.names)}
        return {"importance": weighed.importance_R, "chance": weighed.chance_R}, notes | {
            "seconds": time.perf_counter() - weighing
        }

    arrays, notes = stages(stage, estimator)
    if stage == FIRST:
        PARTS_OF_STEP.begin(DESCRIBED)
    importance_R, chance_R = arrays["importance"], arrays["chance"]
    weights_R = config.weights_of(chance_R, samples.labels_R)
    table = pa.table(
        {
            "request": inputs.keys["request"].cast(pa.int32()),
            "item": inputs.keys["item"].cast(pa.string()),
            "label": samples.labels_R,
            "importance": importance_R.astype(np.float32),
            "weight": weights_R,
        }
    )
    write_weights(out / WEIGHTS, table, method=config.method, samples=inputs.digest)
    weighed_seconds = view_seconds + notes["seconds"]
    report: dict[str, Any] = {
        "method": config.method,
        "paper": make_estimator(config.method).paper,
        "proxy": f"one epoch on {min(PROXY_REQUESTS, len(samples)):,} of these visits",
        "weighed": {
            "split": "train",
            "requests": len(samples),
            "rows": len(weights_R),
            "bought": int(samples.labels_R.sum()),
            "digest": inputs.digest,
        },
        "bounds": {
            "lowest": config.weights.lowest,
            "highest": config.weights.highest,
            "sharpness": config.weights.sharpness,
            "bought_only": config.bought_only,
        },
        "doubt": wrong_share(chance_R, samples.labels_R) if config.by_doubt else None,
        "alike": bool((weights_R == 1).all()),
        "samples_per_second": round(len(weights_R) / max(weighed_seconds, 1e-9)),
        "stage_seconds": {"proxy": round(view_seconds, 2), "estimator": round(notes["seconds"], 2)},
        "inside": notes["inside"],
        "diagnostics": notes["diagnostics"],
        "quality": _quality(inputs, seed),
    }
    report |= describe(samples, weights_R, importance_R, inputs.names, shop, config.weights)
    return report


def _quality(inputs: Inputs, seed: int) -> dict[str, Any]:
    samples = inputs.samples
    rows = np.arange(len(samples.items_R))
    if len(rows) > DESCRIBED_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), DESCRIBED_ROWS, replace=False))
    return describe_quality(
        samples.features_RK[rows], samples.labels_R[rows], names=list(inputs.shop.contract.pair_features)
    )
