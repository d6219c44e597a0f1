"""A trained model with everything that one request needs, as tensors of a version and back.

Legend: I items, M neighbours, F factors, C kinds, B buckets.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import torch
from torch import Tensor

from shoploop.candidates.fetching import CandidateConfig
from shoploop.features.catalog import Catalog
from shoploop.features.contract import Contract
from shoploop.features.log import Vocabulary
from shoploop.models.fusion import FusedModel
from shoploop.surfaces.search.asked import item_texts

if TYPE_CHECKING:
    from shoploop.versions.artifact import Version

SEARCHES = "searches.arrow"
SHOPS = "shops.arrow"

CATALOG = "catalog."
FACTORS = "sequence.factors_IF"
"""Lies in the tensors once, as the catalog's factors."""


_TABLES = (SEARCHES, SHOPS)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedModel:
    """What a predictor, an evaluation or a fine-tuning starts from."""

    model: FusedModel
    catalog: Catalog
    contract: Contract
    vocabulary: Vocabulary
    candidates: CandidateConfig
    sessions: bool = False
    """Whether it was learned from requests in the middle of visits: what a user did on the day of a request is then told
    apart moment by moment."""

    searches: pl.DataFrame | None = None
    """``query``, ``item`` and ``day``: what a model that searches remembers."""

    texts: tuple[str, ...] = ()
    """What each item is called, in the order of the vocabulary's codes."""

    shops: tuple[str, ...] = ()
    """Those that a model knows which chooses shops, in the order of their codes."""

    def extra_files(self) -> dict[str, bytes]:
        """Further files of a version, for ``artifacts.write_version``."""
        tables = {} if self.searches is None else {SEARCHES: self.searches}
        if self.shops:
            tables[SHOPS] = pl.DataFrame({"shop": list(self.shops)}, schema={"shop": pl.String})
        return {name: _arrow(table) for name, table in tables.items()}

    def tensors(self) -> dict[str, Tensor]:
        """Plain contiguous tensors by name, for ``artifacts.write_version``."""
        tensors = {name: value.detach().contiguous() for name, value in self.model.state_dict().items()}
        del tensors[FACTORS]
        return tensors | {
            f"{CATALOG}{field.name}": torch.from_numpy(getattr(self.catalog, field.name)) for field in fields(Catalog)
        }

    def with_catalog(self, catalog: Catalog) -> "TrainedModel":
        """The same model with another day's catalog: fresher neighbours, and factors that lie where the old ones did."""
        self.model.sequence.factors_IF.copy_(torch.from_numpy(catalog.factors_ID))
        return replace(self, model=self.model.prepare(), catalog=catalog)

    def config(self) -> dict[str, Any]:
        """JSON from which :meth:`build` makes the same modules."""
        return {
            "model": self.model.config.to_json(),
            "candidates": self.candidates.to_json(),
            "sessions": self.sessions,
        }

    @classmethod
    def build(
        cls,
        tensors: Mapping[str, Tensor],
        config: dict[str, Any],
        contract: dict[str, Any],
        items: pa.Table,
        extra_files: Mapping[str, bytes] | None = None,
    ) -> "TrainedModel":
        """The model of these parts, ready to score."""

        def array(name: str) -> Any:
            return np.ascontiguousarray(tensors[CATALOG + name].numpy())

        files = {name: pl.read_ipc(io.BytesIO(data)) for name, data in (extra_files or {}).items() if name in _TABLES}
        catalog = Catalog(**{field.name: array(field.name) for field in fields(Catalog)})
        model = FusedModel(FusedModel.Config.from_json(config["model"]))
        weights = {name: value for name, value in tensors.items() if not name.startswith(CATALOG)}
        model.load_state_dict(weights | {FACTORS: tensors[f"{CATALOG}factors_ID"]})
        return cls(
            model=model.prepare(),
            catalog=catalog,
            contract=Contract.from_json(contract),
            vocabulary=Vocabulary(tuple(items["item"].to_pylist())),
            candidates=CandidateConfig(**config["candidates"]),
            sessions=config.get("sessions", False),
            texts=tuple(item_texts(pl.DataFrame(items), items["item"].to_pylist())),
            searches=files.get(SEARCHES),
            shops=tuple(files[SHOPS]["shop"].to_list()) if SHOPS in files else (),
        )

    @classmethod
    def of_version(cls, version: "Version") -> "TrainedModel":
        """The model of a verified version; ``items.arrow`` is in the order of the vocabulary's codes."""
        return cls.build(version.tensors, version.config, version.contract, version.items, version.extra_files)


def _arrow(table: pl.DataFrame) -> bytes:
    held = io.BytesIO()
    table.write_ipc(held, compression="zstd")
    return held.getvalue()
