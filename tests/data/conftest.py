from pathlib import Path

import polars as pl
import pytest

from shoploop.api.v1alpha1 import DataSpec
from shoploop.data.step import load_data


class Tables:
    """Writes small files and loads them; a test names only what it is about."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.out = folder / "out"
        self.report: dict = {}

    def csv(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n")
        return str(path)

    def load(self, **tables: dict) -> dict[str, pl.DataFrame]:
        self.report = load_data(out=self.out, data_spec=DataSpec(tables=tables))
        return {name: pl.read_parquet(self.out / f"{name}.parquet") for name in self.report["tables"]}

    def rule(self, name: str) -> dict:
        (found,) = (rule for rule in self.report["rules"] if rule["name"] == name)
        return found


@pytest.fixture
def tables(tmp_path):
    return Tables(tmp_path)
