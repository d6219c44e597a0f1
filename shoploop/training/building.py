"""A fresh model for a dataset: its sizes from the contract and the catalog, its frozen parts filled in."""

from collections.abc import Sequence

import numpy as np
import torch

from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.features.log import Float32
from shoploop.models.behaviour import Behaviour
from shoploop.models.fusion import FusedModel, Surface
from shoploop.models.pieces import quantile_pieces
from shoploop.models.search import SearchModule, padded_pieces
from shoploop.models.sequence import SequenceModel
from shoploop.models.shops import ShopModule
from shoploop.samples.sample_set import SampleSet
from shoploop.surfaces.search.features import NEW, SEARCH_FEATURES


def build_model(
    contract: Contract,
    catalog: Catalog,
    train: SampleSet,
    *,
    seed: int,
    queries: SampleSet | None = None,
    texts: Sequence[str] = (),
    visits: SampleSet | None = None,
    shops: int = 0,
    learned_items: bool = False,
) -> FusedModel:
    """Builds the model that ``train`` will teach.

    Args:
        contract: Names the dense features.
        catalog: Brings the items' factors.
        train: Gives the features' mean, deviation and quantiles.
        seed: Of the initial weights.
        queries: What the search surface will learn from; None for a model that does not search.
        texts: What items are called, in the order of the vocabulary, for search.
        visits: What the choice of a shop will learn from; None for a model that chooses none.
        shops: How many there are to choose from.
        learned_items: Whether the Transformer has an embedding of each item beside its factors.
    """
    pieces = quantile_pieces(train.features_RK, train.labels_R, seed=seed)
    pairs = len(contract.pair_features)
    search = asked_RS = None
    if queries is not None:
        asked_RS = np.ascontiguousarray(queries.features_RK[:, pairs:])
        of_query = quantile_pieces(asked_RS, queries.labels_R, seed=seed)
        search = SearchModule.Config(
            features=asked_RS.shape[1],
            pieces=len(of_query),
            name_pieces=padded_pieces(texts).shape[1],
            new=NEW if asked_RS.shape[1] == len(SEARCH_FEATURES) else None,
        )
    choice = None
    if visits is not None:
        of_visits = quantile_pieces(visits.features_RK, visits.labels_R, seed=seed)
        choice = ShopModule.Config(shops=shops, features=visits.features_RK.shape[1], pieces=len(of_visits))
    asked: list[Surface] = ["items"]
    asked += ["search"] if search is not None else []
    asked += ["shops"] if choice is not None else []
    torch.manual_seed(seed)
    model = FusedModel(
        FusedModel.Config(
            behaviour=Behaviour.Config(features=pairs, pieces=len(pieces)),
            sequence=SequenceModel.Config(
                items=len(catalog), factors=catalog.factors_ID.shape[1], learned_items=learned_items
            ),
            surfaces=tuple(asked),
            search=search,
            shops=choice,
        )
    )
    standardise(model.behaviour, train.features_RK)
    model.behaviour.cut(pieces)
    if asked_RS is not None:
        standardise(model.searching().query, asked_RS)
        model.searching().query.cut(of_query)
        model.searching().set_names(texts)
    if visits is not None:
        standardise(model.shopping().behaviour, visits.features_RK)
        model.shopping().behaviour.cut(of_visits)
    model.sequence.factors_IF.copy_(torch.from_numpy(catalog.factors_ID))
    return model


def standardise(module: Behaviour, features_RK: Float32) -> None:
    """Sets a module's mean and deviation of each feature to those of the samples, (R, K)."""
    mean_K = features_RK.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation_K = features_RK.std(axis=0, dtype=np.float64).astype(np.float32)
    module.standardise(torch.from_numpy(mean_K), torch.from_numpy(deviation_K))
