"""The items of a packaged version as its model knows them, without what it takes to answer a request.

Legend: I items, D width.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from shoploop.features.log import Float32
from shoploop.ranking.settings import RankerSettings
from shoploop.versions.artifact import load_version
from shoploop.versions.trained import TrainedModel


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedItems:
    """Names, and what was trained."""

    names: tuple[str, ...]
    """Ids in the shop's data, in the order of the model's codes."""

    titles: dict[str, str]
    """Of those that have one."""

    vectors_ID: Float32
    bias_I: Float32


def trained_items(folder: Path) -> TrainedItems:
    """Of the version that was packaged in a folder: what ``Ranker.load`` reads, and less of it.

    Raises:
        ArtifactCorrupt, ArtifactForeign: the version must not be used.
    """
    trained = TrainedModel.of_version(load_version(folder / "model", expected=RankerSettings.read(folder).version))
    vectors_ID, bias_I = trained.model.items()
    described = pl.read_parquet(folder / "items.parquet", columns=["item", "title"]).drop_nulls()
    return TrainedItems(
        names=trained.vocabulary.items,
        titles=dict(described.iter_rows()),
        vectors_ID=vectors_ID,
        bias_I=bias_I,
    )
