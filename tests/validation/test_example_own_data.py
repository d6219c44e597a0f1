from pathlib import Path

import polars as pl
import pytest

from shoploop.api.loading import load
from shoploop.api.v1alpha1 import ValidationSpec
from shoploop.data import load_data, resolve_uris
from shoploop.validation.step import validate_data

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own-data" / "recommender.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("own") / "data"
    load_data(out=out, data_spec=resolve_uris(load(EXAMPLE).spec.data, EXAMPLE.parent))
    return out


def test_the_examples_files_load_without_code(data):
    events = pl.read_parquet(data / "interactions.parquet")
    assert events["kind"].value_counts(sort=True).rows() == [("purchase", 4283), ("view", 393)]
    assert events["user"].n_unique() == 120
    assert events["time"].dt.date().n_unique() == 90
    items = pl.read_parquet(data / "items.parquet")
    assert items.height == 80
    assert items.row(0, named=True)["category"] == ["Chilled", "Milk"]


def test_the_examples_data_passes_validation(data, tmp_path):
    assert validate_data(data=data, out=tmp_path, validation_spec=ValidationSpec())["verdict"] == "passed"
