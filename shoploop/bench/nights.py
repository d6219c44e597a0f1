"""A version for each morning of a replay, trained the night before on all that was there by then.

Each is made by the steps of a run, in the order of a run: features, samples, training, and what a predictor is loaded from.
What a run tries beside them (virtual shoppers, weights of samples) is left out.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.features.materialize import materialize_features
from shoploop.packaging.staging import stage_ranker
from shoploop.ranking.ranker import Ranker
from shoploop.ranking.settings import RankerSettings
from shoploop.samples.step import build_samples
from shoploop.training.step import train_fused
from shoploop.versions.artifact import load_version

ANY_AGE = 100_000
"""Days after which a version answers as of its own day: the one that is frozen is to know which day it is, too."""

TIMED = ("interactions.parquet", "searches.parquet", "shown.parquet")
"""Tables of which a night knows what came before it."""


def train_nights(
    data: Path,
    mornings: Sequence[date],
    folder: Path,
    *,
    training: TrainingSpec,
    settings: RankerSettings,
    say: Callable[[str], None] = lambda what: None,
) -> dict[date, Path]:
    """Trains a version for each morning.

    Args:
        data: Folder of ``load_data``.
        mornings: The days that the versions answer for.
        folder: What is made lies in it; what no predictor is loaded from is removed.
        training: Of the spec.
        settings: What answers are to be like.
        say: Told which night it is.

    Returns:
        The folder that each morning's :class:`~shoploop.ranking.ranker.Ranker` is loaded from.

    Raises:
        TooFewEvents: before one of the mornings there was too little to learn from.
    """
    made = {}
    for morning in mornings:
        say(f"the night before {morning.isoformat()}")
        night = folder / morning.isoformat()
        before = night / "data"
        known_before(data, morning, before)
        features, samples, model = night / "features", night / "samples", night / "model"
        materialize_features(data=before, out=features, training_spec=training)
        build_samples(data=before, features=features, out=samples, training_spec=training)
        train_fused(data=before, features=features, samples=samples, out=model, training_spec=training)
        own = replace(settings, version=load_version(model).id, max_age_days=ANY_AGE, events_offset=0)
        stage_ranker(night / "ranker", data=before, features=features, model=model, settings=own)
        for whole in (before, features, samples, model):
            shutil.rmtree(whole)
        made[morning] = night / "ranker"
    return made


def known_before(data: Path, day: date, out: Path) -> None:
    """What a folder of ``load_data`` would hold of what was done, had it been loaded at the beginning of a day (UTC)."""
    shutil.copytree(data, out)
    for name in TIMED:
        if (out / name).is_file():
            pl.read_parquet(out / name).filter(pl.col("time").dt.date() < day).write_parquet(out / name)


def load(folder: Path) -> Ranker:
    """The version of a night, ready to answer."""
    ranker = Ranker.load(folder)
    ranker.warm_up()
    return ranker
