"""The shop as the files that somebody brings, and materialized as a feature store."""

from pathlib import Path
from typing import Any

import polars as pl

from shop import TRAINING, Shop
from shoploop.api.v1alpha1 import DataSpec
from shoploop.data.step import load_data
from shoploop.features.materialize import materialize_features


def write_files(folder: Path, shop: Shop, events: pl.DataFrame | None = None) -> dict[str, Any]:
    """The shop's files, with its interactions or others; returns the spec's section ``data.tables``."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = shop.tables() | ({} if events is None else {"interactions": events})
    plain = tables.pop("interactions").drop("kind", "basket")
    plain.write_csv(folder / "interactions.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    files = ["interactions.csv", *(f"{name}.parquet" for name in tables)]
    return {file.partition(".")[0]: {"uri": str(folder / file)} for file in files}


def materialize(folder: Path, events: pl.DataFrame | None = None) -> Path:
    """Loads the shop, or one of other events, and materializes it; returns the folder with ``data`` and ``features``."""
    spec = DataSpec(tables=write_files(folder, Shop(), events))
    load_data(out=folder / "data", data_spec=spec)
    materialize_features(data=folder / "data", out=folder / "features", training_spec=TRAINING)
    return folder
