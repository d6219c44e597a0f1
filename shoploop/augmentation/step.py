"""The step of a run: makes virtual behaviour, proves or refutes it, and adds it to the training samples or not."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shoploop import progress
from shoploop.api.v1alpha1 import AugmentationSpec, TrainingSpec
from shoploop.augmentation import study as studies
from shoploop.augmentation.decision import Verdict, choose, judge
from shoploop.augmentation.effort import RUN, Effort
from shoploop.augmentation.episodes import Labelled, virtual
from shoploop.augmentation.rows import SYNTHETIC
from shoploop.augmentation.trials import Trials, prepare_trials, train_and_judge
from shoploop.augmentation.variants import ADDED, GENERATED, Extra, try_variant
from shoploop.errors import ArtifactForeign, ShoploopError
from shoploop.features.contract import Contract
from shoploop.features.log import PurchaseLog, Vocabulary, purchases
from shoploop.ranking.candidates import CandidateConfig
from shoploop.sample_files import CANDIDATES, HISTORIES, REQUESTS, SampleWriter, read_catalog
from shoploop.samples import TRAINING_NEGATIVES

SYNTHETIC_FILE = "synthetic.parquet"
VIRTUAL_USER_CODES = 2**30
"""Codes of virtual users begin here, far from those of a log."""


def augment_samples(
    data: Path,
    samples: Path,
    features: Path,
    out: Path,
    augmentation: AugmentationSpec,
    training: TrainingSpec,
    seed: int,
    *,
    effort: Effort = RUN,
) -> dict[str, Any]:
    """Tries variants of augmentation on what lies before the days of evaluation and adds the one that pays to training.

    What goes wrong with a generator is a refusal with its reason: the run goes on without virtual behaviour.

    Args:
        data: Folder of ``load_data``.
        samples: Folder of ``build_samples``.
        features: Folder of ``materialize_features``.
        out: Folder to write: ``samples/``, the same as ``samples`` with virtual samples in the split ``train`` or
        without;
            ``synthetic.parquet``, the rows that a generator made, empty where it made none; ``augmentation.json``; and
            ``generator.safetensors``, the checkpoint that a killed step goes on from.

    Returns:
        ``augmentation.json``: ``mode``, ``variant`` that entered training or null, ``reason``, ``variants``,
        ``fidelity``,
        ``privacy``, ``generator`` (digest, steps, shoppers), ``samples_added``, ``effort``, ``seconds``.
    """
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    (out / "samples").mkdir(exist_ok=True)
    described = json.loads((samples / "samples.json").read_text())
    report: dict[str, Any] = {"mode": augmentation.mode, "ratio": augmentation.ratio, "seed": seed, "variant": None}
    table, added = SYNTHETIC.empty_table(), 0
    if augmentation.mode == "Never":
        report["reason"] = choose([], "Never", [])[1]
    else:
        first_hidden = int(described["evaluation_first"])
        interactions = _before(pl.read_parquet(data / "interactions.parquet"), first_hidden)
        items = pl.read_parquet(data / "items.parquet")
        learned, table = _learn(interactions, items, augmentation, out, effort, seed)
        report |= learned
        try:
            trials = _trials(interactions, items, features, effort, seed)
            extra = Extra(
                ratio=augmentation.ratio, virtual=virtual(pl.DataFrame(table)) if len(table) else None, seed=seed
            )
            leaks = report["privacy"]["reasons"] if "privacy" in report else [report["generator"]["refused"]]
            verdicts, report["variants"] = _try(trials, extra, leaks, effort, seed)
            leaking = [name for name in GENERATED if leaks]
            report["variant"], report["reason"] = choose(verdicts, augmentation.mode, leaking)
            if report["variant"] is not None:
                rows = extra.rows(report["variant"], trials)
                added = _add(samples, out, rows, _as_in_run(trials, purchases(interactions), samples), first_hidden)
        except ShoploopError as error:
            report["reason"] = f"Nothing could be shown to pay: {error}"
    if report["variant"] is None:
        _same(samples, out / "samples")
    pq.write_table(table, out / SYNTHETIC_FILE, compression="zstd")
    report |= {
        "samples_added": added,
        "synthetic_rows": len(table),
        "effort": {
            "shoppers": effort.shoppers,
            "labels": effort.labels,
            "judged": effort.judged,
            "epochs": effort.epochs,
        },
        "seconds": round(time.perf_counter() - started, 2),
    }
    (out / "augmentation.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def _learn(
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    augmentation: AugmentationSpec,
    out: Path,
    effort: Effort,
    seed: int,
) -> tuple[dict[str, Any], pa.Table]:
    """The generator's part of the report and its rows, or why there are none."""
    checkpoint = out / "generator.safetensors"
    try:
        try:
            study = _study(interactions, items, augmentation, checkpoint, effort, seed)
        except ArtifactForeign:
            # Left by an earlier version or other settings; a step must end all the same.
            checkpoint.unlink()
            study = _study(interactions, items, augmentation, checkpoint, effort, seed)
        made = study.generator.sample_rows(effort.rows, seed=seed)
        table = study.table(made, seed=seed)
        about = {
            "digest": study.digest,
            "steps": study.generator.adversary.step,
            "shoppers": study.shoppers,
            "curve": study.generator.adversary.curve,
        }
        return {"generator": about} | studies.sheet(study, made), table
    except ShoploopError as error:
        return {"generator": {"refused": str(error)}}, SYNTHETIC.empty_table()


def _study(
    interactions: pl.DataFrame,
    items: pl.DataFrame,
    augmentation: AugmentationSpec,
    checkpoint: Path,
    effort: Effort,
    seed: int,
) -> studies.Study:
    return studies.learn(
        interactions,
        items,
        config=effort.generator,
        most_shoppers=effort.shoppers,
        seed=seed,
        checkpoint=checkpoint,
    )


def _trials(interactions: pl.DataFrame, items: pl.DataFrame, features: Path, effort: Effort, seed: int) -> Trials:
    return prepare_trials(
        purchases(interactions),
        items,
        Vocabulary(tuple(pl.read_parquet(features / "vocabulary.parquet").sort("code")["item"])),
        Contract.from_json(json.loads((features / "contract.json").read_text())),
        cut_training=False,
        most_labels=effort.labels,
        most_judged=effort.judged,
        seed=seed,
    )


def _try(
    trials: Trials, extra: Extra, leaks: list[str], effort: Effort, seed: int
) -> tuple[list[Verdict], dict[str, Any]]:
    wanted = [v for v in effort.variants if v in ADDED and (extra.virtual is not None or v not in GENERATED)]
    without = train_and_judge(trials, trials.train, epochs=effort.epochs)
    progress.report(1, len(wanted) + 1, "variants")
    verdicts, numbers = [], {}
    for done, variant in enumerate(wanted):
        metrics, samples = try_variant(variant, trials, extra, epochs=effort.epochs)
        verdict = judge(
            variant,
            {name: [values] for name, values in metrics.items()},
            {name: [values] for name, values in without.items()},
            leaks=leaks if variant in GENERATED else [],
            variants=len(wanted),
            seed=seed,
        )
        verdicts.append(verdict)
        numbers[variant] = verdict.to_json() | {"samples": samples}
        progress.report(done + 2, len(wanted) + 1, "variants")
    return verdicts, numbers


def _as_in_run(trials: Trials, bought: pl.DataFrame, samples: Path) -> Trials:
    """Virtual samples that enter training are made with the run's own catalog and all that it counts."""
    return replace(trials, past=PurchaseLog.of(bought, trials.vocabulary), catalog=read_catalog(samples)[0])


def _add(samples: Path, out: Path, rows: Labelled, trials: Trials, first_hidden: int) -> int:
    """Writes ``out/samples``: the real samples as they are, then the virtual ones as one more piece of ``train``."""
    latest = rows.rows["day"].max()
    assert isinstance(latest, int) and latest < first_hidden, "virtual rows may not reach into the days of evaluation"
    extra = trials.samples(rows, candidates=CandidateConfig(), negatives=TRAINING_NEGATIVES)
    users = tuple(sorted(rows.rows["user"].unique()))
    aside = out / "virtual"
    aside.mkdir(exist_ok=True)
    log = replace(trials.past, users=users)
    with SampleWriter(aside, trials.contract, log) as writer:
        writer.write(extra, "train")
    first = int(pc.max(pq.read_table(samples / REQUESTS, columns=["request"])["request"]).as_py()) + 1
    for name in (REQUESTS, CANDIDATES, HISTORIES):
        _append(samples / name, aside / name, out / "samples" / name, first)
    shutil.rmtree(aside)
    for path in samples.iterdir():
        if path.name not in (REQUESTS, CANDIDATES, HISTORIES):
            _link(path, out / "samples" / path.name)
    return len(extra)


def _append(real: Path, made: Path, target: Path, first: int) -> None:
    """The row groups of ``real``, then those of ``made`` with requests and users numbered on."""
    with pq.ParquetFile(real) as source, pq.ParquetFile(made) as more:
        schema = source.schema_arrow
        with pq.ParquetWriter(target, schema, compression="lz4") as writer:
            for group in range(source.num_row_groups):
                table = source.read_row_group(group)
                writer.write_table(table, row_group_size=max(len(table), 1))
            for group in range(more.num_row_groups):
                table = more.read_row_group(group)
                for column, by in (("request", first), ("user_code", VIRTUAL_USER_CODES)):
                    if column in table.column_names:
                        numbers = pc.cast(pc.add(table[column], by), schema.field(column).type)
                        table = table.set_column(table.column_names.index(column), schema.field(column), numbers)
                writer.write_table(table.cast(schema), row_group_size=max(len(table), 1))


def _before(interactions: pl.DataFrame, day: int) -> pl.DataFrame:
    return interactions.filter(pl.col("time").dt.epoch("d") < day)


def _same(source: Path, target: Path) -> None:
    for path in source.iterdir():
        _link(path, target / path.name)


def _link(source: Path, target: Path) -> None:
    """A second name of the same bytes, or a copy where the file system knows no such thing."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
