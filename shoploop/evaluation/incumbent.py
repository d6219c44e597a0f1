"""The version that serves, scored on the visits of an evaluation: with its own candidates, catalog and weights.

Legend: I items, Q requests.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from shoploop.data.picture_files import ENCODER_CONFIG
from shoploop.errors import ArtifactError, SchemaMismatch
from shoploop.evaluation.scoring import Array, model_scores, request_metrics
from shoploop.features.catalog import CatalogConfig, renewed
from shoploop.features.catalogs import following
from shoploop.features.joins import Joins
from shoploop.features.log import PurchaseLog
from shoploop.samples.by_day import ByDay
from shoploop.samples.sample_set import SampleSet, Sources, assemble
from shoploop.versions.loading import load_trained
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


def compare(
    folder: Path, samples: SampleSet, ours: Metrics, log: PurchaseLog, joins: Joins, *, data: Path | None = None
) -> tuple[Incumbent, Metrics | None]:
    """The incumbent, and its metrics where it can be measured on the visits of ``samples``.

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
        return Incumbent(version=folder.name, compared=False, why_not=gone), None
    try:
        metrics = incumbent_metrics(folder, samples, log, joins, data=data)
    except (ArtifactError, SchemaMismatch) as error:
        return Incumbent(version=folder.name, compared=False, why_not=str(error)), None
    if not any(np.isfinite(metrics[name] - ours[name]).any() for name in metrics):
        none = "There is no visit on which both could be measured."
        return Incumbent(version=folder.name, compared=False, why_not=none), None
    return Incumbent(version=folder.name, compared=True), metrics


def incumbent_metrics(
    folder: Path, samples: SampleSet, log: PurchaseLog, joins: Joins, *, data: Path | None = None
) -> Metrics:
    """The incumbent's metrics on the same requests, (Q,) each, with what was known of items before the first of them.

    Args:
        folder: The incumbent's version folder, named by its id.
        samples: The evaluation's requests; what was bought is the same for both versions.
        log: The purchases that ``samples`` were made of.
        joins: Statistics of the run's features.
        data: Folder of ``load_data``, for an incumbent that knows items by their pictures.

    Raises:
        ArtifactCorrupt, ArtifactForeign: the incumbent must not be used.
        SchemaMismatch: it was trained on features that this version of shoploop does not compute.
    """
    version, trained = load_trained(folder, expected=folder.name if VERSION_ID.fullmatch(folder.name) else None)
    trained = on_vocabulary(trained, log.vocabulary)
    requests = [samples.request(q) for q in range(len(samples))]
    users = joins.users([log.users[r.user] for r in requests], [r.day for r in requests])
    days = sorted({r.day for r in requests})
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
        items=ByDay(lambda some: joins.items(log.vocabulary, some), days, rows_a_day=len(log.vocabulary)),
        shops=ByDay(lambda some: joins.shops(log.shops, some), days, rows_a_day=len(log.shops)),
    )
    own = SampleSet.concat(list(assemble(requests, users, sources, candidates=trained.candidates)))
    return request_metrics(own, model_scores(trained.model, own)["fused"])
