"""A trained model with everything that one request needs, as tensors of a version and back.

Legend: I items, M neighbours, F factors, C kinds, B buckets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from shoploop.candidates.fetching import CandidateConfig
from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.features.log import Vocabulary
from shoploop.models.fusion import FusedModel

if TYPE_CHECKING:
    from shoploop.versions.artifact import Version

CATALOG = "catalog."
FACTORS = "sequence.factors_IF"
"""Lies in the tensors once, as the catalog's factors."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """What a predictor, an evaluation or a fine-tuning starts from."""

    model: FusedModel
    catalog: Catalog
    contract: Contract
    vocabulary: Vocabulary
    candidates: CandidateConfig

    def tensors(self) -> dict[str, Tensor]:
        """Plain contiguous tensors by name, for ``artifacts.write_version``."""
        tensors = {name: value.detach().contiguous() for name, value in self.model.state_dict().items()}
        del tensors[FACTORS]
        catalog = self.catalog
        return tensors | {
            f"{CATALOG}kind_I": torch.from_numpy(catalog.kind_I),
            f"{CATALOG}group_I": torch.from_numpy(catalog.group_I),
            f"{CATALOG}neighbours_IM": torch.from_numpy(catalog.neighbours_IM),
            f"{CATALOG}neighbour_weights_IM": torch.from_numpy(catalog.neighbour_weights_IM),
            f"{CATALOG}factors_ID": torch.from_numpy(catalog.factors_ID),
            f"{CATALOG}log_odds_CB": torch.from_numpy(catalog.log_odds_CB),
        }

    def config(self) -> dict[str, Any]:
        """JSON from which :meth:`build` makes the same modules."""
        return {
            "model": self.model.config.to_json(),
            "candidates": {
                "popular": self.candidates.popular,
                "neighbours": self.candidates.neighbours,
                "neighbour_baskets": self.candidates.neighbour_baskets,
            },
        }

    @classmethod
    def build(
        cls, tensors: Mapping[str, Tensor], config: dict[str, Any], contract: dict[str, Any], items: pa.Table
    ) -> "TrainedModel":
        """The model of these parts, ready to score."""

        def array(name: str) -> Any:
            return np.ascontiguousarray(tensors[CATALOG + name].numpy())

        catalog = Catalog(
            kind_I=array("kind_I"),
            group_I=array("group_I"),
            neighbours_IM=array("neighbours_IM"),
            neighbour_weights_IM=array("neighbour_weights_IM"),
            factors_ID=array("factors_ID"),
            log_odds_CB=array("log_odds_CB"),
        )
        model = FusedModel(FusedModel.Config.from_json(config["model"]))
        weights = {name: value for name, value in tensors.items() if not name.startswith(CATALOG)}
        model.load_state_dict(weights | {FACTORS: tensors[f"{CATALOG}factors_ID"]})
        return cls(
            model=model.prepare(),
            catalog=catalog,
            contract=Contract.from_json(contract),
            vocabulary=Vocabulary(tuple(items["item"].to_pylist())),
            candidates=CandidateConfig(**config["candidates"]),
        )

    @classmethod
    def of_version(cls, version: "Version") -> "TrainedModel":
        """The model of a verified version; ``items.arrow`` is in the order of the vocabulary's codes."""
        return cls.build(version.tensors, version.config, version.contract, version.items)
