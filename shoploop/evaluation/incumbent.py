"""The version that serves, scored on the visits of an evaluation: with its own candidates, catalog and weights.

Legend: I items, Q requests.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from shoploop.errors import ArtifactError, ArtifactForeign, SchemaMismatch
from shoploop.evaluation.scoring import Array, model_scores, request_metrics
from shoploop.features.catalog import Catalog, CatalogConfig, renewed
from shoploop.features.catalogs import following
from shoploop.features.joins import Joins
from shoploop.features.log import PurchaseLog, Vocabulary
from shoploop.models.fusion import FusedModel
from shoploop.samples.sample_set import SampleSet, Sources, assemble
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel

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
    folder: Path, samples: SampleSet, ours: Metrics, log: PurchaseLog, joins: Joins
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
        metrics = incumbent_metrics(folder, samples, log, joins)
    except (ArtifactError, SchemaMismatch) as error:
        return Incumbent(version=folder.name, compared=False, why_not=str(error)), None
    if not any(np.isfinite(metrics[name] - ours[name]).any() for name in metrics):
        none = "There is no visit on which both could be measured."
        return Incumbent(version=folder.name, compared=False, why_not=none), None
    return Incumbent(version=folder.name, compared=True), metrics


def incumbent_metrics(folder: Path, samples: SampleSet, log: PurchaseLog, joins: Joins) -> Metrics:
    """The incumbent's metrics on the same requests, (Q,) each, with what was known of items before the first of them.

    Args:
        folder: The incumbent's version folder, named by its id.
        samples: The evaluation's requests; what was bought is the same for both versions.
        log: The purchases that ``samples`` were made of.
        joins: Statistics of the run's features.

    Raises:
        ArtifactCorrupt, ArtifactForeign: the incumbent must not be used.
        SchemaMismatch: it was trained on features that this version of shoploop does not compute.
    """
    trained = on_vocabulary(_load(folder), log.vocabulary)
    requests = [samples.request(q) for q in range(len(samples))]
    users = joins.users([log.users[r.user] for r in requests], [r.day for r in requests])
    days = sorted({r.day for r in requests})
    items, shops = joins.items(log.vocabulary, days), joins.shops(log.shops, days)
    config = CatalogConfig()
    catalog = renewed(trained.catalog, log.where(log.day_R < days[0]), config)
    trained = trained.with_catalog(catalog)
    sources = Sources(
        log=log,
        contract=trained.contract,
        catalogs=following(catalog, log, days, config),
        items=items.__getitem__,
        shops=shops.__getitem__,
    )
    own = SampleSet.concat(list(assemble(requests, users, sources, candidates=trained.candidates)))
    return request_metrics(own, model_scores(trained.model, own)["fused"])


def _load(folder: Path) -> TrainedModel:
    """The model in ``folder``; another version in the place of the one that the folder is named by is refused."""
    version = load_version(folder, expected=folder.name if VERSION_ID.fullmatch(folder.name) else None)
    try:
        return TrainedModel.of_version(version)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ArtifactForeign(
            f"Version {version.id} in {folder} holds another model than this shoploop builds: {error}. "
            "Use the shoploop that wrote it, or train a new version."
        ) from error


def on_vocabulary(trained: TrainedModel, vocabulary: Vocabulary) -> TrainedModel:
    """The same model with another vocabulary's codes; items that it never knew have no factors and no neighbours."""
    if trained.vocabulary.items == vocabulary.items:
        return trained
    old_of_new = trained.vocabulary.encode(list(vocabulary.items))
    new_of_old = vocabulary.encode(list(trained.vocabulary.items))
    catalog = trained.catalog
    tables = {}
    for codes, weights in _TABLES:
        items = new_of_old[_rows(getattr(catalog, codes), old_of_new, 0)]
        tables[codes] = np.maximum(items, 0)
        known = _rows(getattr(catalog, weights), old_of_new, 0)
        tables[weights] = np.where(items >= 0, known, 0).astype(np.float32)
    moved: Catalog = replace(
        catalog,
        kind_I=_rows(catalog.kind_I, old_of_new, catalog.kinds - 1),
        group_I=_rows(catalog.group_I, old_of_new, int(catalog.group_I.max(initial=0))),
        factors_ID=_rows(catalog.factors_ID, old_of_new, 0),
        **tables,
    )
    config = trained.model.config
    model = FusedModel(replace(config, sequence=replace(config.sequence, items=len(vocabulary))))
    state = trained.model.state_dict()
    state["sequence.factors_IF"] = torch.from_numpy(moved.factors_ID)
    of_items = [
        "sequence.item_bias_I",
        *(("sequence.own_ID",) if config.sequence.learned_items else ()),
        *(("search.bias_I", "search.names_IP") if model.search is not None else ()),
    ]
    for name in of_items:
        state[name] = torch.from_numpy(_rows(state[name].numpy(), old_of_new, 0))
    model.load_state_dict(state)
    texts = tuple(trained.texts[old] if 0 <= old < len(trained.texts) else "" for old in old_of_new.tolist())
    return replace(trained, model=model.prepare(), catalog=moved, vocabulary=vocabulary, texts=texts)


_TABLES = (
    ("neighbours_IM", "neighbour_weights_IM"),
    ("after_IP", "after_weights_IP"),
    ("lately_IP", "lately_weights_IP"),
)
"""Of a catalog's items other items, and their weights."""


def _rows(values: "np.ndarray", codes: "Sequence[int] | np.ndarray", missing: float) -> "np.ndarray":
    picked = values[np.maximum(codes, 0)].copy()
    picked[np.asarray(codes) < 0] = missing
    return picked
