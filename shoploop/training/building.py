"""A fresh model for a dataset: its sizes from the contract and the catalog, its frozen parts filled in."""

import numpy as np
import torch

from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.models.behaviour import Behaviour
from shoploop.models.fusion import FusedModel
from shoploop.models.pieces import quantile_pieces
from shoploop.models.sequence import SequenceModel
from shoploop.samples.sample_set import SampleSet


def build_model(contract: Contract, catalog: Catalog, train: SampleSet, *, seed: int) -> FusedModel:
    """Builds the model that ``train`` will teach.

    Args:
        contract: Names the dense features.
        catalog: Brings the items' factors.
        train: Gives the features' mean, deviation and quantiles.
        seed: Of the initial weights.
    """
    pieces = quantile_pieces(train.features_RK, train.labels_R, seed=seed)
    torch.manual_seed(seed)
    model = FusedModel(
        FusedModel.Config(
            behaviour=Behaviour.Config(features=len(contract.pair_features), pieces=len(pieces)),
            sequence=SequenceModel.Config(items=len(catalog), factors=catalog.factors_ID.shape[1]),
        )
    )
    mean_K = train.features_RK.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation_K = train.features_RK.std(axis=0, dtype=np.float64).astype(np.float32)
    model.behaviour.standardise(torch.from_numpy(mean_K), torch.from_numpy(deviation_K))
    model.behaviour.cut(pieces)
    model.sequence.factors_IF.copy_(torch.from_numpy(catalog.factors_ID))
    return model
