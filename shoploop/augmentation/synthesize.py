"""A synthetic data set for load tests and demonstrations, with its sheet of fidelity and attacks beside it."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.augmentation.generator.dp_sgd import Budget
from shoploop.augmentation.generator.records import Behaviour
from shoploop.augmentation.study import Study, learn, profiles, sheet
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
        conditions: Only shoppers of these; see ``conditions`` of the sheet for the names.

    Returns:
        The sheet: rows, shoppers, ``fidelity``, ``privacy``, generator, ``seconds``.

    Raises:
        SpecInvalid: rows is not between 1 and 50 million, or ``out`` is no Parquet file.
        DataUnreadable: there is no folder to write into.
        TooFewEvents: there is too little to learn from, or nobody has a condition.
        NotPrivate: an attack succeeds.
    """
    from shoploop.data.step import load_data

    if not 1 <= rows <= MOST_ROWS:
        raise SpecInvalid(f"--rows is {rows}; it must be between 1 and {MOST_ROWS}.")
    if out.suffix != ".parquet":
        raise SpecInvalid(
            f"--out is {out}; name a file that ends in .parquet, its sheet is written beside it as .json."
        )
    if not out.parent.is_dir():
        raise DataUnreadable(f"There is no folder {out.parent} to write {out.name} into. Make it, or name another.")
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
    judged = study.generator.sample_rows(effort.rows, seed=seed)
    made = judged
    if rows < effort.rows or conditions:
        made = study.generator.sample_rows(min(rows, effort.rows), seed=seed, conditions=conditions)
    report = sheet(study, judged, progress=progress)
    if not report["privacy"]["passed"]:
        raise NotPrivate(f"Nothing was written to {out}: {'; '.join(report['privacy']['reasons'])}. Bring more users.")
    progress(f"writing {rows} rows")
    written, names = _write(study, made, rows, out, conditions, seed)
    profiles(made, users, study, names, seed=seed).write_parquet(out.with_suffix(".users.parquet"))
    report = {
        "rows": written,
        "shoppers": len(names),
        "conditions": list(conditions or study.generator.conditions.names),
        "generator": {
            "digest": study.digest,
            "seed": seed,
            "steps": study.generator.adversary.step,
            "shoppers": study.shoppers,
        },
        **report,
        "seconds": round(time.perf_counter() - started, 2),
    }
    out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def _write(
    study: Study, first: Behaviour, rows: int, out: Path, conditions: list[str] | None, seed: int
) -> tuple[int, list[str]]:
    """Writes in pieces, to a file beside ``out`` that takes its name when it is whole."""
    names: set[str] = set()
    written, shoppers, piece = 0, 0, 0
    table = study.table(first, seed=seed)
    with disk.whole_path(out) as aside, pq.ParquetWriter(aside, table.schema, compression="zstd") as writer:
        while True:
            writer.write_table(table)
            written += len(table)
            shoppers += first.records
            names.update(table["user"].unique().to_pylist())
            if written >= rows:
                break
            piece += 1
            more = study.generator.sample_rows(
                min(rows - written, _BATCH_ROWS), seed=seed + 15_485_863 * piece, conditions=conditions
            )
            first = replace(more, user=more.user + shoppers)
            table = study.table(first, seed=seed)
    return written, sorted(names)
