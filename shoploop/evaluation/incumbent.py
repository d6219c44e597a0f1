"""The version that serves, scored on the visits of an evaluation: with its own candidates, catalog and weights.

Legend: I items, M neighbours.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from shoploop.evaluation.scoring import model_scores, request_metrics
from shoploop.features.joins import Joins
from shoploop.features.log import PurchaseLog, Vocabulary
from shoploop.models.fusion import FusedModel
from shoploop.samples.sample_set import Request, SampleSet, Sources, assemble
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel


def incumbent_metrics(
    folder: Path, samples: SampleSet, log: PurchaseLog, joins: Joins
) -> "dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]":
    """The incumbent's metrics on the same requests, (Q,) each.

    Args:
        folder: The incumbent's version folder.
        samples: The evaluation's requests; what was bought is the same for both versions.
        log: The purchases that ``samples`` were made of.
        joins: Statistics of the run's features.

    Raises:
        ArtifactCorrupt, ArtifactForeign: the incumbent must not be used.
        SchemaMismatch: it was trained on features that this version of shoploop does not compute.
    """
    trained = on_vocabulary(TrainedModel.of_version(load_version(folder)), log.vocabulary)
    requests = [Request(user=int(u), day=int(d)) for u, d in zip(samples.users_Q, samples.days_Q, strict=True)]
    users = joins.users([log.users[r.user] for r in requests], [r.day for r in requests])
    days = sorted({r.day for r in requests})
    items, shops = joins.items(log.vocabulary, days), joins.shops(log.shops, days)
    sources = Sources(
        log=log,
        contract=trained.contract,
        catalog=trained.catalog,
        items=items.__getitem__,
        shops=shops.__getitem__,
    )
    own = SampleSet.concat(list(assemble(requests, users, sources, candidates=trained.candidates)))
    return request_metrics(own, model_scores(trained.model, own)["fused"])


def on_vocabulary(trained: TrainedModel, vocabulary: Vocabulary) -> TrainedModel:
    """The same model with another vocabulary's codes; items that it never knew have no factors and no neighbours."""
    if trained.vocabulary.items == vocabulary.items:
        return trained
    old_of_new = trained.vocabulary.encode(list(vocabulary.items))
    new_of_old = vocabulary.encode(list(trained.vocabulary.items))
    catalog = trained.catalog
    neighbours_IM = new_of_old[_rows(catalog.neighbours_IM, old_of_new, 0)]
    weights_IM = _rows(catalog.neighbour_weights_IM, old_of_new, 0)
    moved = replace(
        catalog,
        kind_I=_rows(catalog.kind_I, old_of_new, catalog.kinds - 1),
        group_I=_rows(catalog.group_I, old_of_new, int(catalog.group_I.max(initial=0))),
        neighbours_IM=np.maximum(neighbours_IM, 0),
        neighbour_weights_IM=np.where(neighbours_IM >= 0, weights_IM, 0).astype(np.float32),
        factors_ID=_rows(catalog.factors_ID, old_of_new, 0),
    )
    config = trained.model.config
    model = FusedModel(replace(config, sequence=replace(config.sequence, items=len(vocabulary))))
    state = trained.model.state_dict()
    state["sequence.factors_IF"] = torch.from_numpy(moved.factors_ID)
    state["sequence.item_bias_I"] = torch.from_numpy(_rows(state["sequence.item_bias_I"].numpy(), old_of_new, 0))
    model.load_state_dict(state)
    return replace(trained, model=model.prepare(), catalog=moved, vocabulary=vocabulary)


def _rows(values: "np.ndarray", codes: "Sequence[int] | np.ndarray", missing: float) -> "np.ndarray":
    picked = values[np.maximum(codes, 0)].copy()
    picked[np.asarray(codes) < 0] = missing
    return picked
