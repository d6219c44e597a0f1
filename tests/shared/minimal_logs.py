"""Logs as new users bring them, each of the shop by another seed, and what carries one through all steps."""

import json
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
from hurried_estimators import hurry
from narrow_network import narrow
from shop import Shop
from tiny_effort import TINY

from shoploop.augmentation.step import augment_samples
from shoploop.importance.checks.check import CheckConfig
from shoploop.importance.step import estimate_importance
from shoploop.packaging.staging import stage_ranker
from shoploop.ranking.ranker import Ranker
from shoploop.ranking.settings import RankerSettings
from shoploop.steps import STEPS, run_step
from shoploop.training.trees import LambdaMart

EFFORT = replace(TINY, labels=40, judged=50, rows=1500, variants=("crop", "gan"))
CHECK = CheckConfig(flipped=20, learned=40, judged=40, fewest=10)
SETTINGS = {
    "training": {"epochs": 1},
    "augmentation": {"mode": "Always"},
    "importance": {"estimator": "LossRanking"},
    "gate": {"rule": "Always"},
}
"""Always, for Auto asks for 500 shoppers to judge on, and then for a gain. The default estimator takes longer than the others
whatever the log; one log has it."""


def bought(**parameters: Any) -> pl.DataFrame:
    """``user``, ``item`` and ``time`` of the shop when visits come by chance and nobody has habits; its ids are numbers."""
    shop = Shop(**{"items": 40, "drawn": 3} | parameters)
    numbered = {"user": shop.numbers() + 1, "item": shop.codes() + 1000}
    return shop.interactions().select(**{name: ids.cast(pl.String) for name, ids in numbered.items()}, time="time")


def priced(table: pl.DataFrame) -> pl.DataFrame:
    """The same with prices whose sums are no round numbers, some visits' items in two rows, and two shops."""
    cents = pl.col("item").cast(pl.Int64) % 7 * 13 + 99
    table = table.with_columns(
        price=cents / 100,
        quantity=1,
        shop=pl.when(pl.col("user").str.len_chars() > 1).then(pl.lit("a")).otherwise(pl.lit("b")),
    )
    again = table.gather_every(3).with_columns(price=pl.col("price") * 1.1, quantity=2)
    return pl.concat([table, again])


def write(folder: Path, table: pl.DataFrame, **source: Any) -> dict[str, Any]:
    """Writes the table as CSV; returns the spec's section ``data``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "events.csv"
    table.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ", include_header=source.pop("include_header", True))
    return {"tables": {"interactions": {"uri": str(path)} | source}}


def carry(
    folder: Path,
    data: dict[str, Any],
    *,
    until: str = "gate",
    without: Collection[str] = (),
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Carries out the steps in this process, ``without`` some of which nothing is read; returns their reports by step.

    All of them but the last: BentoML's own build takes longer than all others together, and ``packaging`` tests it.
    """
    wanted = SETTINGS | {"data": data} | (settings or {})
    reports: dict[str, Any] = {}
    for name, step in STEPS.items():
        if name in without:
            continue
        section = {key: wanted[key] for key in {path.split(".")[0] for path in step.settings} if key in wanted}
        inputs = {output: folder / output for output in step.inputs}
        reports[name] = run_step(name, settings=section, inputs=inputs, out=folder / step.output)
        if name == until:
            break
    return reports


def with_little_effort(monkeypatch: Any) -> None:
    """Makes augmentation and importance work on as much as a small log has, and learn no longer than they must."""
    hurry(monkeypatch, steps=10)
    narrow(monkeypatch)
    monkeypatch.setitem(LambdaMart.__init__.__kwdefaults__, "rounds", 20)
    monkeypatch.setattr("shoploop.augmentation.step.augment_samples", partial(augment_samples, effort=EFFORT))
    monkeypatch.setattr("shoploop.importance.step.estimate_importance", partial(estimate_importance, check=CHECK))


def ranker_of(folder: Path) -> Ranker:
    """What is packaged, loaded."""
    version = version_of(folder)
    stage_ranker(
        folder / "ranker",
        model=folder / "model",
        features=folder / "features",
        data=folder / "data",
        settings=RankerSettings(version=version, deadline_milliseconds=60_000),
    )
    return Ranker.load(folder / "ranker")


def version_of(folder: Path) -> str:
    """The id of the version that was trained."""
    return str(json.loads((folder / "model" / "training.json").read_text())["version"])
