"""A version for each morning of a replay, trained or renewed the night before with all that was there by then.

Each is made by the steps of a run, in the order of a run: features, samples, training, and what a predictor is loaded from.
What a run tries beside them (virtual shoppers, weights of samples) is left out. A renewed one has the weights of the first
night, and what is known of users and items by its own.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl

from shoploop.api.v1alpha1 import TrainingSpec
from shoploop.features.log import Vocabulary
from shoploop.features.materialize import materialize_features
from shoploop.packaging.staging import stage_ranker
from shoploop.ranking.ranker import Ranker
from shoploop.ranking.settings import RankerSettings
from shoploop.samples.files import read_catalog
from shoploop.samples.step import build_samples
from shoploop.training.renewal import keep_contract, renew_model, write_again
from shoploop.training.step import train_fused
from shoploop.versions.artifact import load_version
from shoploop.versions.loading import load_trained
from shoploop.versions.vocabulary import on_vocabulary

EPOCH = date(1970, 1, 1)
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
        night = _Night(folder / morning.isoformat(), data, morning, training)
        build_samples(data=night.data, features=night.features, out=night.samples, training_spec=training)
        train_fused(
            data=night.data, features=night.features, samples=night.samples, out=night.model, training_spec=training
        )
        made[morning] = night.packaged(settings)
    return made


def renew_nights(
    data: Path,
    mornings: Sequence[date],
    folder: Path,
    *,
    first: Path,
    training: TrainingSpec,
    settings: RankerSettings,
    say: Callable[[str], None] = lambda what: None,
) -> dict[date, Path]:
    """Renews the version of the first night for each later morning.

    Args: as :func:`train_nights`; ``first`` is what that has returned of the first morning.

    Raises:
        ContractMismatch: one of the nights says less than the first of what its version has learned from.
    """
    made = {}
    for morning in mornings:
        say(f"renewed the night before {morning.isoformat()}")
        night = _Night(folder / f"renewed {morning.isoformat()}", data, morning, training)
        # its own id, not the first night's: a chain belongs to a version
        renew_model(data=night.data, features=night.features, parent=first / "model", out=night.model)
        made[morning] = night.packaged(settings)
    return made


def first_night(
    run: Path,
    morning: date,
    folder: Path,
    *,
    data: Path,
    training: TrainingSpec,
    settings: RankerSettings,
) -> Path:
    """The version of a run with what was known before the first of the days that it was evaluated on, as its evaluation saw
    it; its weights have not seen these days.

    Args:
        run: Its folder, with its samples: they hold what was known of items by day.
        morning: The first of these days.
        folder: What is made lies in it.
        data: Folder of ``load_data``, of the run or of a later renewal.
        training: Of the spec.
        settings: What answers are to be like.

    Returns:
        The folder that the morning's :class:`~shoploop.ranking.ranker.Ranker` is loaded from.
    """
    night = _Night(folder / f"frozen {morning.isoformat()}", data, morning, training)
    version, trained = load_trained(run / "model")
    keep_contract(version, night.features)
    day = (morning - EPOCH).days
    # what was first sold later is not known yet
    judged = on_vocabulary(
        trained.with_catalog(read_catalog(run / "samples", day)), Vocabulary.of_features(night.features)
    )
    write_again(night.model, version, judged, pl.read_parquet(night.data / "items.parquet"), {"last_day": day - 1})
    return night.packaged(settings)


class _Night:
    """What a night has to work with, and where it lies."""

    def __init__(self, folder: Path, data: Path, morning: date, training: TrainingSpec):
        self.data, self.features = folder / "data", folder / "features"
        self.samples, self.model, self._ranker = folder / "samples", folder / "model", folder / "ranker"
        known_before(data, morning, self.data)
        materialize_features(data=self.data, out=self.features, training_spec=training)

    def packaged(self, settings: RankerSettings) -> Path:
        """What a predictor is loaded from; all else goes."""
        own = replace(settings, version=load_version(self.model).id, max_age_days=ANY_AGE, events_offset=0)
        stage_ranker(self._ranker, data=self.data, features=self.features, model=self.model, settings=own)
        for whole in (self.data, self.features, self.samples, self.model):
            shutil.rmtree(whole, ignore_errors=True)
        return self._ranker


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
