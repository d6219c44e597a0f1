"""The version that serves, scored on the visits of an evaluation: with its own candidates, catalog and weights.

Legend: I items, Q requests.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True, kw_only=True)
class Served:
    """The incumbent as it can be asked: on the log's codes, with what was known of items before the days of evaluation."""

    record: Incumbent
    trained: TrainedModel
    sources: Sources
    joins: Joins
    learned: int | None
    """The last day that its weights have learned from; None where it does not say."""

    def later(self, samples: SampleSet, what: str) -> npt.NDArray[np.bool_]:
        """Which requests, (Q,), are of days that its weights have not learned from.

        Args:
            samples: The requests.
            what: They are called.

        Raises:
            NotComparable: too few are.
        """
        later_Q = np.full(len(samples), True) if self.learned is None else samples.days_Q > self.learned
        if self.learned is not None and not later_Q.all() and later_Q.sum() < FEWEST_EVALUATION:
            raise NotComparable(_has_learned(self.learned, later_Q, what))
        return later_Q


class NotComparable(Exception):
    """Why the incumbent cannot be measured on some requests, in a sentence."""


def opened(
    folder: Path,
    samples: SampleSet,
    log: PurchaseLog,
    joins: Joins,
    *,
    further: Sequence[int] = (),
    data: Path | None = None,
) -> Served | Incumbent:
    """The incumbent ready to be asked, or where it cannot be, what there is to say of it.

    An incumbent that is gone, damaged, foreign or of features that are no longer computed is no error: a shop must be
    able to replace it. A store that does not answer is one, and is raised before it comes here.

    Args:
        folder: The incumbent's version folder, named by its id.
        samples: The evaluation's requests.
        log: The purchases that ``samples`` were made of.
        joins: Statistics of the run's features.
        further: Days on which it will be asked beside those of ``samples``.
        data: Folder of ``load_data``, where items may have pictures.
    """
    if not folder.is_dir():
        gone = f"Its files are gone: {folder} does not exist."
        return Incumbent(version=folder.name, compared=False, why_not=gone, unread=True, falls_back=None)
    beside = folder / FALLS_BACK
    serves = partial(
        Incumbent, version=folder.name, falls_back=json.loads(beside.read_text()) if beside.is_file() else {}
    )
    try:
        version, trained = load_trained(folder, expected=folder.name if VERSION_ID.fullmatch(folder.name) else None)
        days = sorted({int(day) for day in samples.days_Q} | set(further))
        return Served(
            record=serves(compared=True),
            joins=joins,
            learned=version.lineage.get("last_training_day"),
            **_asked_by(folder, version, trained, days, log, joins, data=data),
        )
    except (ArtifactError, SchemaMismatch) as error:
        return serves(compared=False, why_not=str(error), unread=isinstance(error, ArtifactError))


def compare(served: Served | Incumbent, samples: SampleSet, ours: Metrics) -> tuple[Incumbent, Metrics | None]:
    """What there is to say of the incumbent, and its metrics where it can be measured on the visits of ``samples``: on those
    of days that its weights have not learned from, NaN on the others.

    Args:
        served: As :func:`opened` has it.
        samples: The evaluation's requests.
        ours: The new version's metrics on them.
    """
    if isinstance(served, Incumbent):
        return served, None
    try:
        metrics = _metrics(served, samples)
        if not any(np.isfinite(metrics[name] - ours[name]).any() for name in metrics):
            raise NotComparable("There is no visit on which both could be measured.")
    except (NotComparable, ArtifactError, SchemaMismatch) as error:
        unread = isinstance(error, ArtifactError)
        return replace(served.record, compared=False, why_not=str(error), unread=unread), None
    return served.record, metrics


def measured_by(
    incumbent: Callable[[SampleSet], Metrics] | None, samples: SampleSet
) -> tuple[Metrics | None, dict[str, Any] | None]:
    """The incumbent's metrics on a surface's requests, and for the gate whether it was ``compared`` there and ``why_not``;
    nothing where it does not answer there by its model."""
    if incumbent is None:
        return None, None
    try:
        return incumbent(samples), {"compared": True, "why_not": None}
    except (NotComparable, ArtifactError, SchemaMismatch) as error:
        return None, {"compared": False, "why_not": str(error)}


def same_weights(folder: Path) -> tuple[str, ...]:
    """Ids of the versions with the incumbent's weights, itself the last: of one that cannot be read its own alone."""
    try:
        return load_version(folder).same_weights
    except ArtifactError:
        return (folder.name,)


def _has_learned(last: int, later_Q: npt.NDArray[np.bool_], what: str) -> str:
    day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=last)).date()
    return (
        f"It has learned from the days up to {day}, and {later_Q.sum():,} of the {len(later_Q):,} {what} of this evaluation "
        f"lie later; {FEWEST_EVALUATION} are needed."
    )


def _asked_by(
    folder: Path,
    version: Version,
    trained: TrainedModel,
    days: Sequence[int],
    log: PurchaseLog,
    joins: Joins,
    *,
    data: Path | None,
) -> dict[str, Any]:
    """The incumbent's model with what was known of items before the first of these days, as much as the new version knows,
    and where its features of these days come from."""
    first = days[0]
    trained = on_vocabulary(trained, log.vocabulary)
    config = CatalogConfig()
    # what it knows of the days that it is judged on would be in its factors
    ahead = version.lineage.get("last_day", first) >= first
    catalog = renewed(trained.catalog, log.where(log.day_R < first), config, anew=ahead)
    catalogs = following(catalog, log, days, config)
    if data is not None and ENCODER_CONFIG in version.extra_files:
        from shoploop.images.encoder import as_pictured  # a shop without pictures does not load what learns from them

        catalogs = as_pictured(catalogs, data, pl.read_parquet(data / "items.parquet"), log.vocabulary, folder)
    trained = trained.with_catalog(catalogs(first))
    sources = Sources(
        log=log,
        contract=trained.contract,
        catalogs=catalogs,
        items=ByDay(lambda some: joins.items(log.vocabulary, some), days, rows_a_day=len(log.vocabulary)),
        shops=ByDay(lambda some: joins.shops(log.shops, some), days, rows_a_day=len(log.shops)),
        offers=joins.offers(log.vocabulary, trained.contract),
    )
    return {"trained": trained, "sources": sources}


def _metrics(served: Served, samples: SampleSet) -> Metrics:
    """The incumbent's metrics on those requests that its weights have not learned from, (Q,) each."""
    later_Q = served.later(samples, "visits")
    requests = [samples.request(int(q)) for q in np.flatnonzero(later_Q)]
    log = served.sources.log
    users = served.joins.users([log.users[r.user] for r in requests], [r.day for r in requests])
    own = SampleSet.concat(list(assemble(requests, users, served.sources, candidates=served.trained.candidates)))
    return on_all(later_Q, request_metrics(own, model_scores(served.trained.model, own)["fused"]))


def on_all(later_Q: npt.NDArray[np.bool_], metrics: Metrics) -> Metrics:
    """The metrics of some requests as those of all, NaN on the others."""
    found: Metrics = {}
    for name, values in metrics.items():
        found[name] = np.full(len(later_Q), np.nan)
        found[name][later_Q] = values
    return found
