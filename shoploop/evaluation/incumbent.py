"""The version that serves, scored on the visits of an evaluation: with its own candidates, catalog and weights.

Legend: I items, Q requests.
"""

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from shoploop.data.picture_files import ENCODER_CONFIG
from shoploop.data.splits import FEWEST_EVALUATION
from shoploop.errors import ArtifactError, SchemaMismatch
from shoploop.evaluation.scoring import Array, model_scores, request_metrics
from shoploop.features.catalog import CatalogConfig, renewed
from shoploop.features.catalogs import following
from shoploop.features.joins import Joins
from shoploop.features.log import PurchaseLog
from shoploop.samples.by_day import ByDay
from shoploop.samples.sample_set import SampleSet, Sources, assemble
from shoploop.versions.artifact import FALLS_BACK, Version, load_version
from shoploop.versions.loading import load_trained
from shoploop.versions.trained import TrainedModel
from shoploop.versions.vocabulary import on_vocabulary

Metrics = dict[str, Array]

VERSION_ID = re.compile(r"v[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class Incumbent:
    """Whether the version that serves was compared with the new one."""

    version: str
    """Its id."""

    compared: bool
    """Whether both were measured on the same visits."""

    why_not: str | None = None
    """Why they were not, in a sentence."""

    unread: bool = False
    """Whether it could not be read: brought back, or signed by a key that is trusted, it can be compared."""

    falls_back: dict[str, str] | None = field(default_factory=dict)
    """The surfaces that it does not answer by its model, and the simple method that does; None where its files are gone."""


def compare(
    folder: Path, samples: SampleSet, ours: Metrics, log: PurchaseLog, joins: Joins, *, data: Path | None = None
) -> tuple[Incumbent, Metrics | None]:
    """The incumbent, and its metrics where it can be measured on the visits of ``samples``: on those of days that its weights
    have not learned from, NaN on the others.

    An incumbent that is gone, damaged, foreign or of features that are no longer computed is no error: a shop must be
    able to replace it. A store that does not answer is one, and is raised before it comes here.

    Args:
        folder: The incumbent's version folder, named by its id.
        samples: The evaluation's requests.
        ours: The new version's metrics on them.
        log: The purchases that ``samples`` were made of.
        joins: Statistics of the run's features.
    """
    if not folder.is_dir():
        gone = f"Its files are gone: {folder} does not exist."
        return Incumbent(version=folder.name, compared=False, why_not=gone, unread=True, falls_back=None), None
    beside = folder / FALLS_BACK
    serves = partial(
        Incumbent, version=folder.name, falls_back=json.loads(beside.read_text()) if beside.is_file() else {}
    )
    try:
        version, trained = load_trained(folder, expected=folder.name if VERSION_ID.fullmatch(folder.name) else None)
        learned = version.lineage.get("last_training_day")
        later_Q = np.full(len(samples), True) if learned is None else samples.days_Q > learned
        if learned is not None and not later_Q.all() and later_Q.sum() < FEWEST_EVALUATION:
            return serves(compared=False, why_not=_has_learned(learned, later_Q)), None
        metrics = _metrics(folder, version, trained, samples, later_Q, log, joins, data=data)
    except (ArtifactError, SchemaMismatch) as error:
        unread = isinstance(error, ArtifactError)
        return serves(compared=False, why_not=str(error), unread=unread), None
    if not any(np.isfinite(metrics[name] - ours[name]).any() for name in metrics):
        none = "There is no visit on which both could be measured."
        return serves(compared=False, why_not=none), None
    return serves(compared=True), metrics


def same_weights(folder: Path) -> tuple[str, ...]:
    """Ids of the versions with the incumbent's weights, itself the last: of one that cannot be read its own alone."""
    try:
        return load_version(folder).same_weights
    except ArtifactError:
        return (folder.name,)


def _has_learned(last: int, later_Q: npt.NDArray[np.bool_]) -> str:
    day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=last)).date()
    return (
        f"It has learned from the days up to {day}, and {later_Q.sum():,} of the {len(later_Q):,} visits of this evaluation "
        f"lie later; {FEWEST_EVALUATION} are needed."
    )


def _metrics(
    folder: Path,
    version: Version,
    trained: TrainedModel,
    samples: SampleSet,
    later_Q: npt.NDArray[np.bool_],
    log: PurchaseLog,
    joins: Joins,
    *,
    data: Path | None,
) -> Metrics:
    """The incumbent's metrics on those requests that are ``later_Q``, (Q,) each, with what was known of items before the
    first of all: as much as the new version knows."""
    trained = on_vocabulary(trained, log.vocabulary)
    days = sorted({int(day) for day in samples.days_Q})
    requests = [samples.request(int(q)) for q in np.flatnonzero(later_Q)]
    users = joins.users([log.users[r.user] for r in requests], [r.day for r in requests])
    asked = sorted({r.day for r in requests})
    config = CatalogConfig()
    # what it knows of the days that it is judged on would be in its factors
    ahead = version.lineage.get("last_day", days[0]) >= days[0]
    catalog = renewed(trained.catalog, log.where(log.day_R < days[0]), config, anew=ahead)
    catalogs = following(catalog, log, days, config)
    if data is not None and ENCODER_CONFIG in version.extra_files:
        from shoploop.images.encoder import as_pictured  # a shop without pictures does not load what learns from them

        catalogs = as_pictured(catalogs, data, pl.read_parquet(data / "items.parquet"), log.vocabulary, folder)
    trained = trained.with_catalog(catalogs(days[0]))
    sources = Sources(
        log=log,
        contract=trained.contract,
        catalogs=catalogs,
        items=ByDay(lambda some: joins.items(log.vocabulary, some), asked, rows_a_day=len(log.vocabulary)),
        shops=ByDay(lambda some: joins.shops(log.shops, some), asked, rows_a_day=len(log.shops)),
        offers=joins.offers(log.vocabulary, trained.contract),
    )
    own = SampleSet.concat(list(assemble(requests, users, sources, candidates=trained.candidates)))
    metrics: Metrics = {}
    for name, values in request_metrics(own, model_scores(trained.model, own)["fused"]).items():
        metrics[name] = np.full(len(samples), np.nan)
        metrics[name][later_Q] = values
    return metrics
