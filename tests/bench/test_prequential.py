"""Each purchase is predicted before it is learned, by what learns and by what does not."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from shop.serving import make_ranker

from shoploop.bench import prequential
from shoploop.errors import SpecInvalid
from shoploop.store import Store

NOON = datetime(2026, 1, 5, 12)
FIRST = (NOON.date() - prequential.EPOCH).days


def test_what_everybody_begins_to_buy_is_predicted_better_by_what_learns(tmp_path, monkeypatch):
    ranker = make_ranker(tmp_path)
    ranker.before = lambda day: ranker  # nobody has bought anything
    rows = [(f"u{number}", "soap", NOON + number * timedelta(hours=1), "purchase") for number in range(60)]
    (tmp_path / "data").mkdir(exist_ok=True)
    table = pl.DataFrame(rows, schema=["user", "item", "time", "kind"], orient="row")
    table.write_parquet(tmp_path / "data" / "interactions.parquet")
    monkeypatch.setattr(prequential, "folder_of", lambda store, name, version: tmp_path)
    monkeypatch.setattr(prequential, "_last_training_day", lambda store, name, version: FIRST - 1)
    found = prequential.of_version(Store(str(tmp_path / "store")), ranker, "small", replayed=100, seed=0)
    assert (found["purchases"], found["users"]) == (60, 60)
    assert found["loss"]["online"] < found["loss"]["frozen"]
    assert found["loss"]["interval"][1] < 0
    assert found["loss"]["difference"] == pytest.approx(found["loss"]["online"] - found["loss"]["frozen"])


def test_the_datasets_are_those_that_are_there_or_asked_for(monkeypatch):
    monkeypatch.delenv("SHOPLOOP_BENCH_DATA", raising=False)
    assert prequential.datasets(None) == ("completejourney",)
    monkeypatch.setenv("SHOPLOOP_BENCH_DATA", "/somewhere")
    assert prequential.datasets(None) == ("completejourney", "yoochoose")
    assert prequential.datasets(["yoochoose"]) == ("yoochoose",)
    with pytest.raises(SpecInvalid, match=r"pears\. It knows completejourney and yoochoose"):
        prequential.datasets(["pears"])
