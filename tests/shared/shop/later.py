"""The shop three days later, as whoever renews its version finds it: ann and gus have bought the first waffles."""

from pathlib import Path

import polars as pl

from shop import TRAINING, Shop, day
from shop.stored import write_files
from shoploop.api.v1alpha1 import DataSpec
from shoploop.data.step import load_data
from shoploop.features.materialize import materialize_features

LATER = Shop(days=63)
WAFFLE = ("waffle", "Waffle")


def events(shop: Shop = LATER) -> pl.DataFrame:
    """The shop's; and on its last day ann and gus, who were there two days before, buy a waffle each."""
    bought = shop.interactions()
    some = bought.filter(pl.col("user").is_in(["ann", "gus"])).unique("user", keep="last", maintain_order=True)
    waffles = some.with_columns(item=pl.lit("waffle"), time=pl.lit(day(shop.days - 1)).dt.cast_time_unit("us"))
    return pl.concat([bought, waffles]).sort("time", maintain_order=True)


def made(
    folder: Path, bought: pl.DataFrame, *, without: list[str] | None = None, searched: pl.DataFrame | None = None
) -> Path:
    """The folders of ``load_data`` and ``materialize_features`` of these purchases, with waffles beside bread."""
    tables = write_files(folder, LATER, bought.drop(without) if without else bought)
    items = pl.read_parquet(folder / "items.parquet")
    bread = items.filter(pl.col("item") == "bread").with_columns(item=pl.lit(WAFFLE[0]), title=pl.lit(WAFFLE[1]))
    pl.concat([items, bread]).write_parquet(folder / "items.parquet")
    load_data(out=folder / "data", data_spec=DataSpec(tables=tables))
    if searched is not None:
        searched.write_parquet(folder / "data" / "searches.parquet")
    materialize_features(data=folder / "data", out=folder / "features", training_spec=TRAINING)
    return folder
