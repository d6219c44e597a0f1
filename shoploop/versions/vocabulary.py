"""A trained model with another vocabulary's codes: of later data, which has items that it never learned of.

Legend: I items.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from shoploop.features.catalog import Catalog
from shoploop.features.log import Float32, Vocabulary
from shoploop.models.fusion import FusedModel
from shoploop.versions.trained import TrainedModel


def on_vocabulary(trained: TrainedModel, vocabulary: Vocabulary) -> TrainedModel:
    """The same model with another vocabulary's codes; items that it never knew have no factors, no neighbours, and where
    there are kinds a kind of their own."""
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
    more = int(catalog.kinds > 1 and bool((old_of_new < 0).any()))
    moved: Catalog = replace(
        catalog,
        kind_I=_rows(catalog.kind_I, old_of_new, catalog.kinds - 1 + more),
        group_I=_rows(catalog.group_I, old_of_new, int(catalog.group_I.max(initial=0)) + more),
        log_odds_CB=with_kinds(catalog.log_odds_CB, more),
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


def on_shops(trained: TrainedModel, shops: tuple[str, ...]) -> TrainedModel:
    """The same model with other codes of shops; of one that it never knew it knows what visits tell, and nothing else."""
    if trained.shops == shops:
        return trained
    old = {shop: code for code, shop in enumerate(trained.shops)}
    old_of_new = [old.get(shop, -1) for shop in shops]
    config = trained.model.config
    assert config.shops is not None, "this model was not trained to choose shops"
    model = FusedModel(replace(config, shops=replace(config.shops, shops=len(shops))))
    state = trained.model.state_dict()
    for name in ("shops.shop.weight", "shops.bias_P"):
        state[name] = torch.from_numpy(_rows(state[name].numpy(), old_of_new, 0))
    model.load_state_dict(state)
    return replace(trained, model=model.prepare(), shops=shops)


_TABLES = (
    ("neighbours_IM", "neighbour_weights_IM"),
    ("after_IP", "after_weights_IP"),
    ("lately_IP", "lately_weights_IP"),
)
"""Of a catalog's items other items, and their weights."""


def with_kinds(log_odds_CB: Float32, more: int) -> Float32:
    """The same with so many kinds more, of which nothing is known: they are bought again as kinds are on average."""
    if not more:
        return log_odds_CB
    average_1B = log_odds_CB.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    return np.concatenate([log_odds_CB, *[average_1B] * more])


def _rows(values: "np.ndarray", codes: "Sequence[int] | np.ndarray", missing: float) -> "np.ndarray":
    picked = values[np.maximum(codes, 0)].copy()
    picked[np.asarray(codes) < 0] = missing
    return picked
