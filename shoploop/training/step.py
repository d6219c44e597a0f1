"""The training step: reads samples, fits, writes the version. What is learned and how lies in ``loop``."""

import json
import resource
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors.torch import load, save

import shoploop
from shoploop import progress
from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.candidates.fetching import CandidateConfig
from shoploop.code_digest import code_digest
from shoploop.compute.cores import one_thread
from shoploop.compute.device import training_device
from shoploop.compute.parallel import Group, group, writing
from shoploop.errors import SpecInvalid, TooFewEvents
from shoploop.features.contract import Contract
from shoploop.features.log import Vocabulary
from shoploop.models.fusion import FusedModel
from shoploop.ranking.drift import FILE as REFERENCE
from shoploop.ranking.drift import Reference
from shoploop.samples.files import count_requests, read_catalogs, read_items, read_samples
from shoploop.samples.sample_set import SampleSet
from shoploop.samples.search_step import SEARCH, SEARCHES
from shoploop.samples.searching import search_columns
from shoploop.samples.shop_step import SHOP_NAMES, SHOPS
from shoploop.samples.shops import SHOP_COLUMNS
from shoploop.samples.step import PICTURES, read_log
from shoploop.samples.weights import WEIGHTS, read_weights, samples_digest
from shoploop.store import disk
from shoploop.surfaces.search.asked import item_texts
from shoploop.training.building import build_model
from shoploop.training.calibration import calibrate
from shoploop.training.checkpoint import Checkpoint
from shoploop.training.loop import TrainConfig, fit, model_input
from shoploop.training.pretraining import PRETRAINED_RATE, pretrain_for
from shoploop.training.searching import SearchTraining, fit_search
from shoploop.training.sequence_task import sequence_task_of
from shoploop.training.shopping import ShopTraining, fit_shops
from shoploop.training.teaching import FOLDS, Lesson, lesson, taught, told_lesson
from shoploop.versions.artifact import write_version
from shoploop.versions.trained import TrainedModel

REFERENCE_VISITS = 500
"""The last ones, whose features and scores a version carries to be compared with."""

CHECKPOINT = "train_fused.safetensors"
"""In the step's cache: how far the training is that was under way last."""

LOG_CHECKPOINT = "train_fused.log.safetensors"
"""Likewise: how far the Transformer is that learns from the log first."""


def train_fused(
    *,
    data: Path,
    features: Path,
    samples: Path,
    augmentation: Path | None = None,
    importance: Path | None = None,
    weights: Path | None = None,
    out: Path,
    training_spec: TrainingSpec,
    parent: str | None = None,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Trains the DNN, the Transformer and the α that fuses them, and writes a model version.

    Args:
        data: Folder of ``load_data``; only its digests are read, for the lineage.
        features: Folder of ``materialize_features``.
        samples: Folder of ``build_samples``, or the one of ``augment_samples``.
        augmentation: Folder of ``augment_samples``, whose verdict becomes part of the lineage.
        importance: Folder of ``estimate_importance``: its verdict becomes part of the lineage, and its weights are used
            where the verdict says so.
        weights: Weights artifact of ``samples``: what each training sample counts in the loss.
        out: The version's folder; ``training.json`` with the curves is written beside its files.
        training_spec: Epochs, learning rate and seed.
        parent: Id of the version that serves now, for the lineage.
        cache: Where it is kept how far training is, so that a killed step goes on; of several processes the first one's.

    Returns:
        ``training.json``: per epoch losses, α and seconds; the scale and the α that were found on validation;
            parameters, samples and the version's id.

    Raises:
        TooFewEvents: no training request has a candidate that was bought.
        WeightsForeign: the weights belong to other samples.
        ArtifactForeign, ArtifactCorrupt: they are no weights artifact, or a weight is negative or not finite.
        SpecInvalid: there are fewer training requests than processes.
    """
    with writing(out) as written:
        started = time.perf_counter()
        contract = Contract.from_json(json.loads((features / "contract.json").read_text()))
        catalogs, items = read_catalogs(samples), read_items(samples)
        described = json.loads((samples / "samples.json").read_text())
        verdicts = _verdicts(augmentation=augmentation, importance=importance)
        if importance is not None and verdicts["importance"]["used"]:
            weights = importance / WEIGHTS
        given = None if weights is None else read_weights(weights, samples)
        table = given.table if given else None
        validation = read_samples(samples, contract, "validation")
        ratings_weigh = validation.weights_R is not None  # the artifact weighs training rows only
        queries, visits = _queries(samples, contract), _visits(samples)
        texts = item_texts(pl.DataFrame(items), items["item"].to_pylist())
        log = read_log(data, Vocabulary(tuple(items["item"].to_pylist())), sessions=described["sessions"])
        log = log.where(log.day_R < catalogs.first_days[0])  # none that a sample has as its label
        task = sequence_task_of(log, training_spec.task)
        together = group()
        requests = count_requests(samples, "train")
        if requests < together.size:
            raise SpecInvalid(
                f"{together.size} processes cannot share {requests} training requests. Set spec.training.nodes to "
                f"{max(requests, 1)} or less."
            )
        # search and shops learn from all visits in every process, so only recommendations alone are learned from shares
        shared = together.size > 1 and queries is None and visits is None

        def fresh(learn: SampleSet) -> FusedModel:
            if not learn.labels_R.any():
                raise TooFewEvents(
                    f"None of the {len(learn)} training requests has a candidate that was bought: shoppers of this data "
                    "neither repeat nor buy what sells. Bring more days or users."
                )
            return build_model(
                contract,
                catalogs.training,
                learn,
                seed=training_spec.seed,
                queries=queries.train if queries else None,
                texts=texts,
                visits=visits.train if visits else None,
                shops=len(visits.shops) if visits else 0,
                learned_items=task.learned_items,
            )

        config = TrainConfig(
            epochs=training_spec.epochs,
            learning_rate=training_spec.learning_rate,
            sequence_rate=PRETRAINED_RATE if task.epochs else 1.0,
            adversarial_radius=training_spec.adversarial_radius,
            seed=training_spec.seed,
        )
        key: dict[str, Any] = {
            "samples": samples_digest(samples),
            "search": None if queries is None else samples_digest(samples / SEARCH),
            "shops": None if visits is None else samples_digest(samples / SHOPS),
            "weights": None if weights is None else disk.digest_of(weights),
            "code": code_digest(__name__),
            "config": asdict(config),
            "seed": training_spec.seed,
        }

        def told(learn: SampleSet) -> tuple[SampleSet, Lesson] | None:
            trees = progress.Count("trees of the lesson")
            found = lesson(learn, seed=training_spec.seed, progress=lambda done, total, _: trees(done, total))
            return None if found is None else (learn, found)

        if shared:
            # the first process alone has to hold all of them, and only until it has told what is made of them
            whole = [read_samples(samples, contract, "train", table)] if together.rank == 0 else []
            model = told_model(together, lambda: fresh(whole[0]))
            teacher = told_lesson(together, lambda: told(whole[0]))
            whole.clear()
            learn = read_samples(samples, contract, "train", table, group=together)
        else:
            learn = read_samples(samples, contract, "train", table)
            model = fresh(learn)
            teacher = told_lesson(Group(), lambda: told(learn))
        model = model.to(training_device())
        checkpoint = Checkpoint(None if cache is None else cache / CHECKPOINT, key)
        of_log = Checkpoint(None if cache is None else cache / LOG_CHECKPOINT, key)
        alone = pretrain_for(
            task, model.sequence, log, seed=training_spec.seed, progress=progress.report, checkpoint=of_log
        )
        curves = fit(
            model,
            taught(learn, teacher),
            validation,
            config,
            progress=progress.report,
            after_epoch=lambda row: progress.emit("epoch", **row),
            # several processes would have to meet at each step to say its loss
            after_step=None if shared else _within_epochs(config, requests),
            requests=requests if shared else None,
            checkpoint=checkpoint,
        )
        calibration = calibrate(model, validation)
        searching = None
        if queries is not None:
            searching = fit_search(
                model,
                queries.train,
                queries.validation,
                learn,
                validation,
                SearchTraining(seed=training_spec.seed),
                progress=progress.report,
            )
            # what the surfaces share has learned on, so both are put on one scale anew
            calibration = calibrate(model, validation) or calibration
            on_queries = calibrate(model, queries.validation, "search")
        shopping = on_visits = None
        if visits is not None:
            shopping = fit_shops(
                model,
                visits.train,
                visits.validation,
                ShopTraining(seed=training_spec.seed),
                progress=progress.report,
            )
            on_visits = calibrate(model, visits.validation, "shops")
        trained = TrainedModel(
            model=model.cpu(),
            catalog=catalogs.training,
            contract=contract,
            vocabulary=Vocabulary(tuple(items["item"].to_pylist())),
            candidates=CandidateConfig(**described["candidates"]),
            sessions=described["sessions"],
            searches=queries.remembered if queries else None,
            texts=tuple(texts),
            shops=visits.shops if visits else (),
        ).with_catalog(catalogs.serving)
        version = write_version(
            written,
            tensors=trained.tensors(),
            config=trained.config(),
            contract=contract.to_json(),
            items=items,
            lineage=_lineage(data=data, described=described, training_spec=training_spec, weighted=weights is not None)
            | {"parent": parent, "ratings_weigh": ratings_weigh}
            | verdicts,
            metrics={"alpha": model.alpha} | _losses(curves.epochs),
            extra_files=trained.extra_files()
            | {REFERENCE: _reference(trained, validation, learn).to_bytes()}
            | _encoder(samples),
        )
        report = {
            "version": version.id,
            "epochs": curves.epochs,
            "pretraining": {"why": task.why, "learned_items": task.learned_items, "epochs": alone},
            "teacher": None
            if teacher is None
            else {"folds": FOLDS, "temperature": teacher.temperature, "surprise": teacher.surprise},
            "alpha": model.alpha,
            "calibration": None if calibration is None else asdict(calibration),
            "parameters": sum(p.numel() for p in model.parameters()),
            "requests": {"train": requests, "validation": len(validation)},
            "search": None
            if queries is None or searching is None
            else {
                "epochs": searching.epochs,
                "calibration": None if on_queries is None else asdict(on_queries),
                "requests": {"train": len(queries.train), "validation": len(queries.validation)},
            },
            "shops": None
            if visits is None or shopping is None
            else {
                "epochs": shopping.epochs,
                "calibration": None if on_visits is None else asdict(on_visits),
                "requests": {"train": len(visits.train), "validation": len(visits.validation)},
            },
            "weighted": weights is not None,
            "ratings_weigh": ratings_weigh,
            "seconds": round(time.perf_counter() - started, 2),
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        (written / "training.json").write_text(json.dumps(report, indent=1) + "\n")
        checkpoint.clear()
        of_log.clear()
        return report


def _within_epochs(config: TrainConfig, requests: int) -> Callable[[int, float], None]:
    """Tells of a step how many tenths of its epoch are done; that all are is told when the epoch is kept."""
    steps, total = max(-(-requests // config.batch_requests), 1), config.epochs + config.joint_epochs
    told = progress.Count("epochs")

    def after_step(number: int, _: float) -> None:
        epoch, step = divmod(number, steps)
        if step + 1 < steps:
            told(epoch + (10 * (step + 1) // steps) / 10, total)

    return after_step


def told_model(together: Group, fresh: Callable[[], FusedModel]) -> FusedModel:
    """The model that the first process makes, in every process: what it is made from, that one alone has to hold."""
    made = fresh() if together.rank == 0 else None
    words = None
    if made is not None:
        config = torch.frombuffer(bytearray(json.dumps(made.config.to_json()).encode()), dtype=torch.uint8)
        words = save(
            {name: value.contiguous().clone() for name, value in made.state_dict().items()} | {"config": config}
        )
    told = together.told(words)
    if made is not None:
        return made
    assert told is not None
    tensors = load(told)
    model = FusedModel(FusedModel.Config.from_json(json.loads(bytes(tensors.pop("config").numpy().tobytes()))))
    model.load_state_dict(tensors)
    return model


@dataclass(frozen=True)
class _Queries:
    """What the search surface learns from."""

    train: SampleSet
    validation: SampleSet
    remembered: pl.DataFrame


def _queries(samples: Path, contract: Contract) -> _Queries | None:
    folder = samples / SEARCH
    if not folder.is_dir():
        return None
    columns = search_columns(contract.pair_features)
    train = read_samples(folder, columns, "train")
    if not train.labels_R.any():
        raise TooFewEvents(
            f"None of the {len(train)} queries to learn from has a candidate that was taken. Bring more searches, or leave "
            "Search out of spec.training.surfaces."
        )
    return _Queries(train, read_samples(folder, columns, "validation"), pl.read_parquet(folder / SEARCHES))


@one_thread()
def _reference(trained: TrainedModel, validation: SampleSet, learn: SampleSet) -> Reference:
    """What the version sees of visits that it has not learned from, or where there are none, of those that it has."""
    seen = validation if len(validation) else learn
    seen = seen.select(range(max(len(seen) - REFERENCE_VISITS, 0), len(seen)))
    scores = [trained.model.score(model_input(seen, q)) for q in range(len(seen))]
    return Reference.of(trained.contract.pair_features, seen.features_RK, np.concatenate(scores))


@dataclass(frozen=True)
class _Visits:
    """What the choice of a shop learns from."""

    train: SampleSet
    validation: SampleSet
    shops: tuple[str, ...]


def _visits(samples: Path) -> _Visits | None:
    folder = samples / SHOPS
    if not folder.is_dir():
        return None
    train = read_samples(folder, SHOP_COLUMNS, "train")
    if not train.labels_R.any():
        raise TooFewEvents(
            f"None of the {len(train)} visits to learn from is to a shop that could be foreseen. Bring more days, or leave "
            "Shops out of spec.training.surfaces."
        )
    names = tuple(pl.read_parquet(folder / SHOP_NAMES)["shop"].to_list())
    return _Visits(train, read_samples(folder, SHOP_COLUMNS, "validation"), names)


def _encoder(samples: Path) -> dict[str, bytes]:
    """The encoder of pictures, where there are pictures: an image.encoder of other runs."""
    folder = samples / PICTURES
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())} if folder.is_dir() else {}


def _losses(epochs: list[dict[str, Any]]) -> dict[str, Any]:
    last = epochs[-1]
    return {"loss": last.get("validation_loss", last["train_loss"])["fused"]}


def _verdicts(*, augmentation: Path | None, importance: Path | None) -> dict[str, Any]:
    """What the steps before have decided, by their names."""
    reports = {"augmentation": augmentation, "importance": importance}
    return {
        name: json.loads((folder / f"{name}.json").read_text())["verdict"]
        for name, folder in reports.items()
        if folder is not None
    }


def _lineage(*, data: Path, described: dict[str, Any], training_spec: TrainingSpec, weighted: bool) -> dict[str, Any]:
    loaded = json.loads((data / "load.json").read_text())
    return {
        "dataset": loaded["dataset"],
        "tables": {name: table["sha256"] for name, table in loaded["tables"].items()},
        "code": shoploop.__version__,
        "seed": training_spec.seed,
        "weighted": weighted,
        # days since 1970-01-01: a later run compares itself on days after both cuts
        "last_training_day": described["evaluation_first"] - 1,
        "last_day": described["last_day"],
    }
