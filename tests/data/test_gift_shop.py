"""The example of a shop with a search box: the files that lie beside it are read as its README says."""

from pathlib import Path

import polars as pl
import pytest

from shoploop.api.loading import load
from shoploop.data import load_data, resolve_uris

EXAMPLE = Path(__file__).parents[2] / "examples" / "search" / "recommender.yaml"


@pytest.fixture(scope="module")
def spec():
    return load(EXAMPLE).spec


@pytest.fixture(scope="module")
def data(spec, tmp_path_factory):
    out = tmp_path_factory.mktemp("gift-shop") / "data"
    load_data(out=out, data_spec=resolve_uris(spec.data, EXAMPLE.parent))
    return out


def test_one_model_recommends_and_answers_queries_which_are_made_of_names(spec, data):
    assert spec.training.surfaces == ["Items", "Search"]
    assert not (data / "searches.parquet").exists()


def test_purchases_and_returns_are_read_with_their_invoices(data):
    events = pl.read_parquet(data / "interactions.parquet")
    assert dict(events["kind"].value_counts().rows()) == {
        "purchase": 388_382, "other": 2_768, "return": 8_506
    }  # fmt: skip
    # the others were sent back whole
    assert events["basket"].null_count() == 0
    assert (events["quantity"] > 0).all()


def test_what_a_row_costs_is_the_price_of_a_piece_times_the_pieces(data):
    [row] = (
        pl.read_parquet(data / "interactions.parquet")
        .filter(pl.col("basket") == "536365", pl.col("item") == "21730")
        .rows(named=True)
    )
    assert (row["quantity"], row["price"]) == (6.0, pytest.approx(6 * 4.25))


def test_every_item_has_its_name(data):
    items = pl.read_parquet(data / "items.parquet")
    assert items.height == 3_676
    assert items["title"].null_count() == 0
    assert items.filter(pl.col("item") == "84029G")["title"].to_list() == ["KNITTED UNION FLAG HOT WATER BOTTLE"]
