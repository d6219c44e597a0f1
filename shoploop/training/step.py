"""The training step: reads samples, fits, writes the version. What is learned and how lies in ``loop``."""

import json
import resource
import time
from pathlib import Path
from typing import Any

import shoploop
from shoploop import progress
from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.candidates.fetching import CandidateConfig
from shoploop.compute.device import training_device
from shoploop.errors import TooFewEvents
from shoploop.features.contract import Contract
from shoploop.features.log import Vocabulary
from shoploop.samples.files import read_catalog, read_samples
from shoploop.samples.weights import WEIGHTS, read_weights
from shoploop.training.building import build_model
from shoploop.training.loop import TrainConfig, fit
from shoploop.versions.artifact import write_version
from shoploop.versions.trained import TrainedModel


def train(
    samples: Path,
    features: Path,
    data: Path,
    out: Path,
    training: TrainingSpec,
    weights: Path | None,
    parent: str | None,
    augmentation: Path | None,
    importance: Path | None,
) -> dict[str, Any]:
    """See :func:`shoploop.training.train_fused`."""
    started = time.perf_counter()
    contract = Contract.from_json(json.loads((features / "contract.json").read_text()))
    catalog, items = read_catalog(samples)
    verdicts = _verdicts(augmentation, importance)
    if importance is not None and verdicts["importance"]["used"]:
        weights = importance / WEIGHTS
    given = None if weights is None else read_weights(weights, samples)
    learn = read_samples(samples, contract, "train", given.table if given else None)
    validation = read_samples(samples, contract, "validation")
    if not learn.labels_R.any():
        raise TooFewEvents(
            f"None of the {len(learn)} training requests has a candidate that was bought: shoppers of this data "
            "neither repeat nor buy what sells. Bring more days or users."
        )
    model = build_model(contract, catalog, learn, seed=training.seed).to(training_device())
    config = TrainConfig(
        epochs=training.epochs,
        learning_rate=training.learning_rate,
        adversarial_radius=training.adversarial_radius,
        seed=training.seed,
    )
    curves = fit(model, learn, validation, config, progress=progress.report)
    trained = TrainedModel(
        model=model.cpu(),
        catalog=catalog,
        contract=contract,
        vocabulary=Vocabulary(tuple(items["item"].to_pylist())),
        candidates=CandidateConfig(),
    )
    version = write_version(
        out,
        tensors=trained.tensors(),
        config=trained.config(),
        contract=contract.to_json(),
        items=items,
        lineage=_lineage(data, samples, training, weights) | {"parent": parent} | verdicts,
        metrics={"alpha": model.alpha} | _losses(curves.epochs),
    )
    report = {
        "version": version.id,
        "epochs": curves.epochs,
        "alpha": model.alpha,
        "parameters": sum(p.numel() for p in model.parameters()),
        "requests": {"train": len(learn), "validation": len(validation)},
        "weighted": weights is not None,
        "seconds": round(time.perf_counter() - started, 2),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    (out / "training.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def _losses(epochs: list[dict[str, Any]]) -> dict[str, Any]:
    last = epochs[-1]
    return {"loss": last.get("validation_loss", last["train_loss"])["fused"]}


def _verdicts(augmentation: Path | None, importance: Path | None) -> dict[str, Any]:
    """What the steps before have decided, by their names."""
    reports = {"augmentation": augmentation, "importance": importance}
    return {
        name: json.loads((folder / f"{name}.json").read_text())["verdict"]
        for name, folder in reports.items()
        if folder is not None
    }


def _lineage(data: Path, samples: Path, training: TrainingSpec, weights: Path | None) -> dict[str, Any]:
    loaded = json.loads((data / "load.json").read_text())
    described = json.loads((samples / "samples.json").read_text())
    return {
        "dataset": loaded["dataset"],
        "tables": {name: table["sha256"] for name, table in loaded["tables"].items()},
        "code": shoploop.__version__,
        "seed": training.seed,
        "weighted": weights is not None,
        # days since 1970-01-01: a later run compares itself on days after both cuts
        "last_training_day": described["evaluation_first"] - 1,
        "last_day": described["last_day"],
    }
