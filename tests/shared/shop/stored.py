"""The shop loaded from files, as somebody brings them, and materialized as a feature store."""

from pathlib import Path

import polars as pl

from shop import TRAINING, Shop
from shoploop.api.v1alpha1 import DataSpec
from shoploop.data.step import load_data
from shoploop.features.materialize import materialize_features


def materialize(folder: Path, events: pl.DataFrame | None = None) -> Path:
    """Loads the shop, or one of other events, and materializes it; returns the folder with ``data`` and ``features``."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = Shop().tables()
    if events is not None:
        tables["interactions"] = events
    plain = tables["interactions"].drop("kind", "basket")
    plain.write_csv(folder / "interactions.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    for name in ("items", "users", "shops"):
        tables[name].write_parquet(folder / f"{name}.parquet")
    files = {"interactions": "interactions.csv"} | {name: f"{name}.parquet" for name in ("items", "users", "shops")}
    spec = DataSpec(tables={name: {"uri": str(folder / file)} for name, file in files.items()})
    load_data(out=folder / "data", data_spec=spec)
    materialize_features(data=folder / "data", out=folder / "features", training_spec=TRAINING)
    return folder
