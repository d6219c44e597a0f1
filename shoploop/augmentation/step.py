"""The step of a run: makes virtual behaviour, proves or refutes it, and adds it to the training samples or not."""

import json
import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from shoploop.api.v1alpha1 import AugmentationSpec
from shoploop.augmentation import study as studies
from shoploop.augmentation.adding import add_samples
from shoploop.augmentation.generator.adversary import take_part
from shoploop.augmentation.generator.dp_sgd import Budget
from shoploop.augmentation.generator.kept import kept_generator
from shoploop.augmentation.generator.pseudonyms import pseudonym_key
from shoploop.augmentation.generator.records import Behaviour, concatenate
from shoploop.augmentation.generator.rows import SYNTHETIC
from shoploop.augmentation.proofs.all_rows import AllRows, refusals
from shoploop.augmentation.study import Study
from shoploop.augmentation.trials.contest import Contest
from shoploop.augmentation.trials.decision import Choice, Verdict, choose, refused
from shoploop.augmentation.trials.effort import RUN, Effort
from shoploop.augmentation.trials.episodes import Labelled, virtual
from shoploop.augmentation.trials.splitting import FEWEST_JUDGED, Statistics, Trials, prepare_trials
from shoploop.augmentation.trials.trainings import Trainings
from shoploop.augmentation.trials.variants import ADDED, GENERATED, UNAUGMENTED, Extra
from shoploop.compute.parallel import joined, leave
from shoploop.errors import ArtifactForeign, ShoploopError, TooFewEvents
from shoploop.features.contract import Contract
from shoploop.features.distinct import distinct
from shoploop.features.ends import read_interactions
from shoploop.features.log import PurchaseLog, Vocabulary, day_of, purchases
from shoploop.samples.files import REQUESTS, read_catalogs
from shoploop.store import disk

SYNTHETIC_FILE, REPORT_FILE, CHECKPOINT_FILE = "synthetic.parquet", "augmentation.json", "generator.safetensors"

_ASIDE = ".generators"
"""Where a generator is kept while it learns, if no cache is given."""

_TRAININGS = ".trainings"

MORE_RECORDS = 1.2
"""Virtual shoppers made per sample wanted: some have a single basket, and nothing to learn before it."""

_NUMERIC = (ArithmeticError, np.linalg.LinAlgError, torch.linalg.LinAlgError)  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True)
class _Task:
    """What one execution is asked for; see :func:`augment_samples`."""

    data: Path
    features: Path
    samples: Path
    out: Path
    spec: AugmentationSpec
    seed: int
    cache: Path | None
    effort: Effort
    first_hidden: int
    """First day of evaluation: nothing from it on may be seen."""


class _Leaks(Exception):
    """The rows of a generator that were to enter do not withstand an attack that those of its sheet withstood."""

    def __init__(self, reasons: list[str]):
        super().__init__("; ".join(reasons))
        self.reasons = reasons


@dataclass(kw_only=True)
class _Tried:
    """What trying has found; with it the report is written whether all of it, some or none went well."""

    report: dict[str, Any] = field(default_factory=dict)
    bought: pl.DataFrame | None = None
    """The purchases of the days before evaluation."""

    trials: Trials | None = None
    extra: Extra | None = None
    study: Study | None = None
    made: Behaviour | None = None
    """What the trial of the generator's variant learns from."""

    verdicts: list[Verdict] = field(default_factory=list)
    table: pa.Table = field(default_factory=SYNTHETIC.empty_table)


def augment_samples(
    *,
    data: Path,
    features: Path,
    samples: Path,
    out: Path,
    augmentation_spec: AugmentationSpec,
    seed: int,
    cache: Path | None = None,
    effort: Effort = RUN,
) -> dict[str, Any]:
    """Tries variants of augmentation on what lies before the days of evaluation and adds the one that pays to training.

    What goes wrong with a generator is a refusal with its reason: the run goes on without virtual behaviour. Of several
    processes the first one does all this; the others train the generator with it, read and write nothing, and leave when it
    is trained.

    Args:
        data: Folder of ``load_data``.
        features: Folder of ``materialize_features``.
        samples: Folder of ``build_samples``.
        out: Folder to write: ``samples/``, the same as ``samples`` with virtual samples in the split ``train`` or
            without; ``synthetic.parquet``, rows that the generator made, and where some enter these, empty
            where it made none;
            ``generator.safetensors``, where there is a generator; and ``augmentation.json``.
        augmentation_spec: Mode, ratio, and whether the generator learns with differential privacy.
        seed: Of all that is drawn.
        cache: Where generators are kept, so that a killed step goes on and the same one is not learned twice.
        effort: How much is spent on it.

    Returns:
        ``augmentation.json``: ``mode``, ``variant`` that entered training or null, ``reason``, ``variants``,
        ``fidelity``, ``privacy``, ``generator`` (digest, steps, shoppers), ``samples_added``, ``effort``, ``seconds``,
        and ``verdict``, the part of it that a version's lineage carries. Of several processes the first one's alone.

    Raises:
        PeerLost: another of several processes has ended.
    """
    with joined() as together:
        if together.rank:
            take_part(together)
            return {}
        if augmentation_spec.mode == "Never" or augmentation_spec.differential_privacy:
            leave()  # there is nothing to train, or only one may draw its noise
        task = _Task(
            data=data,
            features=features,
            samples=samples,
            out=out,
            spec=augmentation_spec,
            seed=seed,
            cache=cache,
            effort=effort,
            first_hidden=int(json.loads((samples / "samples.json").read_text())["evaluation_first"]),
        )
        return _carry_out(task)


def _carry_out(task: _Task) -> dict[str, Any]:
    started = time.perf_counter()
    task.out.mkdir(parents=True, exist_ok=True)
    tried, added = _Tried(), 0
    if task.spec.mode == "Never":
        choice = choose([], "Never", [])
    else:
        try:
            choice = _try(task, tried)
            try:
                added = _enter(task, tried, choice.variant)
            except _Leaks as leaks:
                choice = _without_generator(task, tried, leaks.reasons)
                added = _enter(task, tried, choice.variant)
        except (ShoploopError, *_NUMERIC) as error:
            choice = Choice(variant=None, reason=f"Nothing could be shown to pay: {error}")
            leave()
    if choice.variant is None:
        disk.link_tree(task.samples, task.out / "samples")
    pq.write_table(tried.table, task.out / SYNTHETIC_FILE, compression="zstd")
    report: dict[str, Any] = {
        "mode": task.spec.mode,
        "ratio": task.spec.ratio,
        "seed": task.seed,
        "variant": choice.variant,
        "samples_added": added,
        "reason": choice.reason,
    }
    report |= tried.report | {"synthetic_rows": len(tried.table), "effort": task.effort.stated()}
    report["verdict"] = verdict_of(report)
    report["seconds"] = round(time.perf_counter() - started, 2)
    (task.out / REPORT_FILE).write_text(json.dumps(report, indent=1) + "\n")
    return report


def verdict_of(report: dict[str, Any]) -> dict[str, Any]:
    """What a version's lineage says of augmentation: what was tried, what it gave, what entered."""
    verdict = {key: report.get(key) for key in ("mode", "ratio", "variant", "reason", "samples_added")}
    verdict["variants"] = {
        name: {key: _short(tried[key]) for key in ("ndcg@10_gain", "interval", "admitted")}
        for name, tried in report.get("variants", {}).items()
    }
    wanted = {
        "fidelity": ("two_sample_auc", "control_auc", "passed"),
        "privacy": (
            "membership_auc",
            "membership_auc_interval",
            "closest_record_share",
            "copies",
            "k",
            "passed",
            "differential_privacy",
        ),
        "generator": ("digest", "refused"),
    }
    for name, keys in wanted.items():
        if name in report:
            verdict[name] = {key: _short(report[name][key]) for key in keys if key in report[name]}
    return verdict


def _short(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_short(inner) for inner in value]
    return round(value, 4) if isinstance(value, float) else value


def _try(task: _Task, tried: _Tried) -> Choice:
    """Fills ``tried`` on the way to the choice."""
    spec, effort = task.spec, task.effort
    interactions = read_interactions(task.data)[0].filter(day_of("time") < task.first_hidden)
    items = pl.read_parquet(task.data / "items.parquet")
    tried.bought = purchases(interactions)
    trials = tried.trials = prepare_trials(
        tried.bought,
        items,
        Vocabulary.of_features(task.features),
        # what virtual visits are worth hangs on no offer: the shops' offers are not theirs
        Contract.from_json(json.loads((task.features / "contract.json").read_text())).without_offers(),
        cut_training=False,
        most_labels=effort.labels,
        most_judged=effort.judged,
        fewest_judged=FEWEST_JUDGED if spec.mode == "Auto" else None,
        seed=task.seed,
    )
    tried.extra = Extra(ratio=spec.ratio, virtual=None, seed=task.seed)
    with Trainings(trials, task.out / _TRAININGS, processes=effort.processes) as trainings:
        contest = Contest(trainings, trials, effort)
        for variant in (UNAUGMENTED, *(v for v in effort.variants if v in ADDED and v not in GENERATED)):
            contest.begin(variant, tried.extra)
        # trainings go on in their processes while the generator learns, and the last one while it is attacked
        made = _learn(task, tried, _unjudged(interactions, trials), items, most=int(spec.ratio * trials.labels.height))
        if made is not None:
            tried.extra = replace(tried.extra, virtual=virtual(pl.DataFrame(made)))
            for variant in (v for v in effort.variants if v in ADDED and v in GENERATED):
                contest.begin(variant, tried.extra)
            _look_at(task, tried)
        leaks = (
            tried.report["privacy"]["reasons"] if "privacy" in tried.report else [tried.report["generator"]["refused"]]
        )
        tried.verdicts, tried.report["variants"] = contest.judged(leaks, task.seed)
    return choose(tried.verdicts, spec.mode, list(GENERATED) if leaks else [])


def _unjudged(interactions: pl.DataFrame, trials: Trials) -> pl.DataFrame:
    """Without the visits that variants are judged on: a generator that saw them would be praised for its memory."""
    judged = trials.judged.rename({"day": "judged_day"})
    kept = interactions.join(judged, on="user", how="left", maintain_order="left").filter(
        pl.col("judged_day").is_null() | (day_of("time") < pl.col("judged_day"))
    )
    return kept.drop("judged_day")


def _learn(
    task: _Task, tried: _Tried, interactions: pl.DataFrame, items: pl.DataFrame, *, most: int
) -> pa.Table | None:
    """The generator, and its rows for at most so many samples; or in the report why there are none."""
    asked = task.spec.differential_privacy
    try:
        settings: dict[str, Any] = {
            "config": task.effort.generator,
            "most_shoppers": task.effort.shoppers,
            "seed": task.seed,
            "budget": Budget(epsilon=asked.epsilon, delta=asked.delta) if asked else None,
            "key": pseudonym_key(),
        }
        folder = task.cache / "generators" if task.cache else task.out / _ASIDE
        checkpoint = kept_generator(folder, interactions, items, **settings)
        try:
            study = studies.learn(interactions, items, checkpoint=checkpoint, **settings)
        except ArtifactForeign:  # written by half; a step must end all the same
            checkpoint.unlink()
            study = studies.learn(interactions, items, checkpoint=checkpoint, **settings)
        if checkpoint.exists():
            disk.link_file(checkpoint, task.out / CHECKPOINT_FILE)
        shutil.rmtree(task.out / _ASIDE, ignore_errors=True)
        tried.study = study
        tried.made = study.generator.sample(int(MORE_RECORDS * most), seed=task.seed)
        table: pa.Table = study.table(tried.made, seed=task.seed)
        return table
    except (ShoploopError, *_NUMERIC) as error:
        tried.report["generator"] = {"refused": str(error)}
        leave()
        return None


def _look_at(task: _Task, tried: _Tried) -> None:
    """The generator's sheet, and the rows that it is about; or in the report why nothing of it may be used."""
    study, made = tried.study, tried.made
    assert study is not None and made is not None, "what has made rows is a generator"
    try:
        # Of the same draw as the trial's, and as much more as the sheet asks for.
        missing = task.effort.rows - len(made.item)
        shown = concatenate([made, study.generator.sample_rows(missing, seed=task.seed)]) if missing > 0 else made
        shown = replace(shown, user=np.arange(shown.records))
        about = {
            "digest": study.digest,
            "steps": study.generator.adversary.step,
            **study.counted,
            "curve": study.generator.adversary.curve,
        }
        tried.report |= {"generator": about} | studies.sheet(study, shown)
        tried.table = study.table(shown, seed=task.seed)
    except (ShoploopError, *_NUMERIC) as error:
        tried.report["generator"] = {"refused": str(error)}


def _without_generator(task: _Task, tried: _Tried, leaks: list[str]) -> Choice:
    """The choice where the rows that were to enter leak: as if the generator's sheet had said so."""
    tried.verdicts = refused(tried.verdicts, leaks, list(GENERATED))
    for verdict in tried.verdicts:
        tried.report["variants"][verdict.variant] |= verdict.to_json()
    sheet = tried.report["privacy"]
    tried.report["privacy"] = sheet | {"reasons": [*sheet["reasons"], *leaks], "passed": False}
    return choose(tried.verdicts, task.spec.mode, list(GENERATED))


def _enter(task: _Task, tried: _Tried, variant: str | None) -> int:
    """Adds the variant to the run's own samples, as many to each real one as in the trial; returns how many.

    Raises:
        _Leaks: they are of a generator, and attacks on their counts succeed.
    """
    if variant is None:
        return 0
    assert tried.bought is not None and tried.trials is not None and tried.extra is not None, "it was tried"
    train = pl.read_parquet(task.samples / REQUESTS, columns=["user", "day", "split"]).filter(
        pl.col("split") == "train"
    )
    catalogs = read_catalogs(task.samples)
    past, none = PurchaseLog.of(tried.bought, tried.trials.vocabulary, sessions=False), tried.trials.train.select([])
    trials = replace(
        tried.trials,
        bought=tried.bought,
        labels=train.select("user", "day").sort("user", "day"),
        past=past,
        statistics=Statistics(past),
        catalog=catalogs.training,
        catalogs=catalogs,
        train=none,
        cold=none,
        overall=none,
    )
    tried.trials = trials  # else the trial's statistics, by the gigabyte, stay
    extra = tried.extra
    if variant in GENERATED:
        assert tried.study is not None, "a generator's variant needs its generator"
        made = tried.study.generator.sample(int(MORE_RECORDS * extra.ratio * train.height), seed=task.seed)
        table: pa.Table = tried.study.table(made, seed=task.seed)
        extra = replace(extra, virtual=virtual(pl.DataFrame(table)))
    rows = extra.rows(variant, trials)
    if not rows.labels.height:
        raise TooFewEvents(f"{variant} makes no sample of the {train.height} visits to learn from.")
    if variant in GENERATED:
        tried.table = _withstanding(tried, made, table, rows, seed=task.seed)
    return add_samples(task.samples, task.out / "samples", rows, trials, first_hidden=task.first_hidden)


def _withstanding(tried: _Tried, made: Behaviour, table: pa.Table, rows: Labelled, *, seed: int) -> pa.Table:
    """Those of the generator's rows that enter: others than the sheet is about, so that their counts are attacked anew.

    Raises:
        _Leaks: an attack succeeds.
    """
    assert tried.study is not None, "a generator's variant needs its generator"
    study = tried.study
    enters = pl.Series(table["user"]).is_in(rows.labels["user"].implode()).to_numpy()
    entering = AllRows(made.take(distinct(made.row_record[enters])), len(study.vocabulary), seed=seed)
    found = entering.attacked(study.real, study.held)
    for name, (auc, low, high) in found.items():
        tried.report["attacks"][name] |= {"auc_of_entering": auc, "interval_of_entering": [low, high]}
    if reasons := refusals(found):
        raise _Leaks(reasons)
    return table.filter(pa.array(enters))
