"""A small shop that is loaded and materialized."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from shoploop.api.v1alpha1 import DataSpec, TrainingSpec
from shoploop.data.step import load_data
from shoploop.features.materialize import materialize_features

START = datetime(2024, 1, 1, 12, tzinfo=UTC)
DAYS = 40
TRAINING = TrainingSpec(evaluation_days=7, training_days=14)
EVALUATION_DAY = (START - datetime(1970, 1, 1, tzinfo=UTC)).days + DAYS - 7


def sales() -> pl.DataFrame:
    """Twelve users; user n buys items n and n + day on every third day. On the last day everybody comes."""
    return pl.DataFrame(
        [
            {
                "user": f"u{user:02}",
                "item": f"i{item % 9}",
                "time": (START + timedelta(days=day, minutes=user)).isoformat(),
                "quantity": 1 + day % 2,
                "price": 1.0 + item % 9,
                "shop": f"s{user % 2}",
            }
            for day in range(DAYS)
            for user in range(12)
            if (day + user) % 3 == 0 or day == DAYS - 1
            for item in (user, user + day)
        ]
    )


def build(folder: Path, events: pl.DataFrame) -> Path:
    """Loads and materializes; returns the features folder."""
    folder.mkdir(parents=True)
    events.write_csv(folder / "events.csv")
    (folder / "users.csv").write_text("user,tier\nu00,gold\nu01,silver\n")
    tables = {"interactions": {"uri": str(folder / "events.csv")}, "users": {"uri": str(folder / "users.csv")}}
    load_data(out=folder / "data", data_spec=DataSpec(tables=tables))
    materialize_features(data=folder / "data", out=folder / "features", training_spec=TRAINING)
    return folder / "features"
