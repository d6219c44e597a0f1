"""A synthetic data set for load tests and demonstrations, with its sheet of fidelity and attacks beside it."""

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.augmentation.generator.dp_sgd import Budget
from shoploop.augmentation.generator.records import RECORD_BASKETS, Behaviour
from shoploop.augmentation.proofs import privacy_attacks as privacy
from shoploop.augmentation.proofs.all_rows import AllRows, Found, refusals
from shoploop.augmentation.study import MIN_BUYERS, Study, learn, profiles, sheet
from shoploop.augmentation.trials.effort import FULL, Effort
from shoploop.errors import DataUnreadable, ShoploopError, SpecInvalid
from shoploop.store import disk

MOST_ROWS = 50_000_000
_BATCH_ROWS = 500_000


class NotPrivate(ShoploopError):
    """An attack on what the generator made succeeds; nothing was written."""

    exit_code = 2


def synthesize(
    spec: RecommenderSpec,
    rows: int,
    out: Path,
    *,
    conditions: list[str] | None = None,
    effort: Effort = FULL,
    progress: Callable[[str], None] = lambda what: None,
) -> dict[str, Any]:
    """Learns a generator from the spec's data and writes virtual interactions.

    Args:
        rows: At least so many; the last shopper's history is written to its end.
        out: Parquet of canonical interactions with ``is_synthetic``, ``generator``, ``seed`` and ``score``. Beside it
            ``<name>.users.parquet``, the profiles that go with them, and ``<name>.json``, the sheet.
        conditions: Only shoppers of these; see ``conditions`` of the sheet for the names. What is made of them is attacked
            itself, beside the generator.

    Returns:
        The sheet: ``rows``, ``shoppers``, ``file`` (name, bytes, digest, rows, shoppers, visits, first and last time),
        ``measured_on``, ``limits``, ``generator`` (with how many shoppers it learned from), what
        :func:`sheet` says, ``seconds``; with conditions ``attacks_of_file``, among ``everybody`` and among ``them`` who have
        the conditions.

    Raises:
        SpecInvalid: rows is not between 1 and 50 million, or ``out`` is no Parquet file.
        DataUnreadable: see :func:`check_outputs`.
        TooFewEvents: there is too little to learn from, or too few have a condition.
        NotPrivate: an attack succeeds.
    """
    from shoploop.data.step import load_data

    if not 1 <= rows <= MOST_ROWS:
        raise SpecInvalid(f"--rows is {rows}; it must be between 1 and {MOST_ROWS}.")
    if out.suffix != ".parquet":
        raise SpecInvalid(
            f"--out is {out}; name a file that ends in .parquet, its sheet is written beside it as .json."
        )
    check_outputs(out)
    started = time.perf_counter()
    seed = spec.training.seed
    with tempfile.TemporaryDirectory() as folder:
        progress("loading the data")
        load_data(out=Path(folder), data_spec=spec.data)
        interactions = pl.read_parquet(Path(folder) / "interactions.parquet")
        items = pl.read_parquet(Path(folder) / "items.parquet")
        users = pl.read_parquet(Path(folder) / "users.parquet")
    asked = spec.augmentation.differential_privacy
    study = learn(
        interactions,
        items,
        config=effort.generator,
        most_shoppers=effort.shoppers,
        seed=seed,
        budget=Budget(epsilon=asked.epsilon, delta=asked.delta) if asked else None,
        progress=progress,
    )
    made = study.generator.sample_rows(min(rows, effort.rows), seed=seed, conditions=conditions)
    # Few rows, or rows of chosen shoppers, say little of the generator: of it then speaks a draw of its own.
    of_file = rows >= effort.rows and not conditions
    judged = made if of_file else study.generator.sample_rows(effort.rows, seed=seed)
    report = sheet(study, judged, progress=progress)
    if not report["privacy"]["passed"]:
        raise _refused(out, report["privacy"]["reasons"])
    if conditions:
        progress("attacks on what is made of the conditions")
        report["attacks_of_file"] = _attack_chosen(study, made, conditions, out)
    progress(f"writing {rows} rows")
    written = _write(study, made, rows, out, conditions, seed)
    profiles(made, users, study, written.names, seed=seed).write_parquet(out.with_suffix(".users.parquet"))
    report = {
        "rows": written.rows,
        "shoppers": len(written.names),
        "conditions": list(conditions or study.conditions.told),
        "file": written.told(out),
        "measured_on": {
            "rows": len(judged.item),
            "shoppers": judged.records,
            "of_the_file": of_file,
            "counts": "all rows of the file",
        },
        "limits": limits(study),
        "generator": {
            "digest": study.digest,
            "seed": seed,
            "steps": study.generator.adversary.step,
            **study.counted,
        },
        **report,
        "seconds": round(time.perf_counter() - started, 2),
    }
    for name, (auc, low, high) in written.counts.items():
        report["attacks"][name] |= {"auc_of_file": auc, "interval_of_file": [low, high]}
    with disk.whole_path(out.with_suffix(".json")) as aside:
        aside.write_text(json.dumps(report, indent=1) + "\n")
    return report


def check_outputs(out: Path) -> None:
    """Ends before any work where what is to be written could not be.

    Raises:
        DataUnreadable: there is no folder to write into, it may not be written to, or a folder has one of the names.
    """
    if not out.parent.is_dir():
        raise DataUnreadable(f"There is no folder {out.parent} to write {out.name} into. Make it, or name another.")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise DataUnreadable(f"The folder {out.parent} may not be written to; {out.name} needs it. Name another.")
    for path in (out, out.with_suffix(".users.parquet"), out.with_suffix(".json")):
        if path.is_dir():
            raise DataUnreadable(f"{path} is a folder, and a file is to be written there. Name another --out.")


def _attack_chosen(study: Study, made: Behaviour, conditions: list[str], out: Path) -> dict[str, Any]:
    """What the attacks find in virtual shoppers of the conditions.

    Of all real shoppers few may have these, and what gives them away would be lost among the others. Where k have them on
    either side they are attacked alone too; of so few an interval is wide, so that is refused what it shows to succeed.

    Raises:
        NotPrivate: an attack succeeds.
    """
    codes = [study.conditions.names.index(name) for name in conditions]
    among = {"everybody": (study.real, study.held)}
    few = [side.take(np.flatnonzero(np.isin(side.condition, codes))) for side in among["everybody"]]
    if all(len(np.unique(side.user)) >= MIN_BUYERS for side in few):
        among["them"] = (few[0], few[1])
    losses = study.generator.losses()
    found = {
        name: privacy.attack(made, *sides, study.vocabulary, seed=study.seed, losses=losses)
        for name, sides in among.items()
    }
    reasons = found["everybody"].reasons(k=MIN_BUYERS)
    if "them" in found:
        shown = {name: attack for name, attack in found["them"].attacks.items() if attack[1] > 0.5}
        told = (privacy.refusal(name, attack) for name, attack in shown.items())
        reasons += [f"among shoppers of the conditions {reason}" for reason in told if reason]
    if reasons:
        raise _refused(out, reasons)
    return {name: attacked.told() for name, attacked in found.items()}


def limits(study: Study) -> list[str]:
    """What nobody should take the file for, in words."""
    vocabulary = study.vocabulary
    said = [
        f"A shopper has at most {RECORD_BASKETS} visits; real ones may have many more.",
        f"{vocabulary.outside:.0%} of the real rows are of items of fewer than {MIN_BUYERS} buyers, which do not occur.",
        "How often an item is bought is known from few rows of each shopper: the fewer its buyers, the more it is luck.",
        "Pieces and price follow item and shopper, shops a usual one and a second; no price follows the day.",
    ]
    if study.spent is not None:
        said[1] = (
            f"About {vocabulary.outside:.0%} of rows are of items without surely {MIN_BUYERS} buyers; none occurs."
        )
        said[-2:] = [
            "Every quantity is 1, and there is neither price nor shop nor attribute: no budget was spent on them."
        ]
    return [*said, _said_of_days(study)]


def _said_of_days(study: Study) -> str:
    first, last = study.days
    if study.spent is not None:
        return f"Visits lie from {first} to {last}, the log's first and last day, which are taken to be known."
    return (
        f"Visits lie from {first} to {last}: {MIN_BUYERS} shoppers had come by the first day, and as many came on the last "
        f"or later. No basket is larger, no pause longer and no hour earlier or later than so many shoppers had."
    )


def _refused(out: Path, reasons: list[str]) -> NotPrivate:
    return NotPrivate(f"Nothing was written to {out}: {'; '.join(reasons)}. Bring more users.")


@dataclass(frozen=True, kw_only=True)
class _Written:
    rows: int
    names: list[str]
    first: datetime
    last: datetime
    visits: int
    counts: dict[str, Found]
    """By name, what the attacks on counts find in all rows."""

    def told(self, out: Path) -> dict[str, Any]:
        """The file itself."""
        return {
            "name": out.name,
            "bytes": out.stat().st_size,
            "sha256": disk.digest_of(out),
            "rows": self.rows,
            "shoppers": len(self.names),
            "visits": self.visits,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
        }


def _write(study: Study, first: Behaviour, rows: int, out: Path, conditions: list[str] | None, seed: int) -> _Written:
    """Writes in pieces, to a file beside ``out`` that takes its name when it is whole and withstands the attacks on
    counts of items and of pairs: these are of all rows, and not of the sample that the sheet is about.

    Raises:
        NotPrivate: it does not, or not surely.
    """
    names: set[str] = set()
    written, shoppers, piece, visits = 0, 0, 0, 0
    counted: AllRows | None = None
    times: list[datetime] = []
    table = study.table(first, seed=seed)
    with disk.whole_path(out) as aside:
        with pq.ParquetWriter(aside, table.schema, compression="zstd") as writer:
            while True:
                writer.write_table(table)
                written += len(table)
                shoppers += first.records
                visits += len(first.record)
                if counted is None:
                    counted = AllRows(first, len(study.vocabulary), seed=seed)
                else:
                    counted.add(first)
                names.update(table["user"].unique().to_pylist())
                span = pc.min_max(table["time"]).as_py()
                times += [span["min"], span["max"]]
                if written >= rows:
                    break
                piece += 1
                more = study.generator.sample_rows(
                    min(rows - written, _BATCH_ROWS), seed=seed + 15_485_863 * piece, conditions=conditions
                )
                first = replace(more, user=more.user + shoppers)
                table = study.table(first, seed=seed)
        found = counted.attacked(study.real, study.held)
        if reasons := refusals(found):
            raise _refused(out, reasons)
    return _Written(rows=written, names=sorted(names), first=min(times), last=max(times), visits=visits, counts=found)
