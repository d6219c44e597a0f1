"""How growth is fitted and told. Whole runs of several sizes are the bench's own; here one shop is drawn."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from shoploop.api.v1alpha1 import RecommenderSpec
from shoploop.bench import scale
from shoploop.bench.scale_page import page, read_earlier
from shoploop.data import load_data, resolve_uris
from shoploop.errors import SpecInvalid

FOUND = {
    "events": [1000, 2000],
    "cores": 2,
    "shop": {"items": 10, "days": 5, "events_a_shopper": 100},
    "steps": {
        "load_data": {
            "seconds": [1.0, 1.5], "peak_rss_bytes": [2**20, 2**21],
            "exponent": 0.585, "memory_exponent": 1.0, "last_exponent": 0.585,
        },
        "train_fused": {
            "seconds": [1.0, 2.0], "peak_rss_bytes": [2**20] * 2,
            "exponent": 1.0, "memory_exponent": 0.0, "last_exponent": 1.0,
        },
        "gate": {
            "seconds": [0.01, 0.1], "peak_rss_bytes": [2**20] * 2,
            "exponent": 3.3, "memory_exponent": 0.0, "last_exponent": 3.3,
        },
    },
    "items": {
        "items": 1_000_000, "requests": 32, "drawn": 512, "training_step_seconds": 0.2, "top_100_seconds": 0.05,
        "parameters_bytes": 2**28, "peak_rss_bytes": 2**30,
    },
}  # fmt: skip


@pytest.mark.parametrize(("power", "factor"), [(1.0, 3.0), (0.5, 2.0), (2.0, 0.1)])
def test_the_exponent_is_that_of_what_was_measured(power, factor):
    sizes = [100, 200, 400, 800]
    assert scale.exponent(sizes, [factor * size**power for size in sizes]) == pytest.approx(power, abs=1e-3)


def test_one_size_has_no_exponent():
    assert scale.exponent([100], [1.0]) is None


def test_the_own_exponent_leaves_the_fixed_price_out():
    sizes = [1, 10_000, 20_000, 40_000]
    assert scale.own_exponent(sizes, [10 + size / 1000 for size in sizes]) == pytest.approx(1.0, abs=0.01)
    assert scale.own_exponent(sizes, [10.0, 11.0, 12.0, 30.0]) is None, "one shop alone is mostly own work"
    assert scale.own_exponent(sizes, [None, 11.0, 12.0, 14.0]) is None


def test_a_shop_has_as_many_events_as_were_asked_for_and_the_same_ones_again(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        scale.write_shop(tmp_path / name, 4000)
    one, other = (pl.read_parquet(tmp_path / name / "events.parquet") for name in ("a", "b"))
    assert one.equals(other)
    assert 3000 < len(one) <= 4000
    assert one["user"].n_unique() == 40
    assert (one["time"].max() - one["time"].min()).days in (scale.DAYS - 1, scale.DAYS - 2)


def test_its_recommender_reads_the_shop_as_it_is_drawn(tmp_path):
    scale.write_shop(tmp_path, 2000)
    spec = RecommenderSpec.model_validate(yaml.safe_load(scale.RECOMMENDER.format(epochs=1))["spec"])
    load_data(out=tmp_path / "out", data_spec=resolve_uris(spec.data, tmp_path))
    drawn, read = (pl.read_parquet(tmp_path / name) for name in ("events.parquet", "out/interactions.parquet"))
    assert len(read) == len(drawn)


def test_the_page_tells_every_step_and_names_the_worst():
    text = page(FOUND)
    assert "| load_data | 1.0 | 1.5 | 0.58 | 0.58 |" in text
    assert "The largest is 1.00 (train_fused)" in text
    assert "| gate | 0.0 | 0.1 |  |  |" in text
    assert "1,000,000 items: a training step of 32 requests" in text and "TorchRec is an option" in text


def test_a_training_step_over_many_items_is_measured_in_a_process_of_its_own():
    found = scale.many_items(2_000)
    assert found["items"] == 2_000 and found["training_step_seconds"] > 0 and found["top_100_seconds"] > 0
    assert found["peak_rss_bytes"] > found["parameters_bytes"] > 2_000 * 64 * 4


def test_of_a_shop_of_many_users_the_steps_that_read_all_rows_are_measured(monkeypatch):
    monkeypatch.setattr(scale, "DATA_STEPS", ("load_data",))
    found = scale.many_users([1_000])
    assert (found["users"], found["events"]) == ([1_000], [4_000])
    step = found["steps"]["load_data"]
    assert step["seconds"][0] > 0 and step["cpu_seconds"][0] > 0 and step["peak_rss_bytes"][0] > 2**20
    assert step["why"] == [None]


def test_other_numbers_of_users_are_kept_and_the_same_ones_replaced(monkeypatch):
    monkeypatch.setattr(scale, "DATA_STEPS", ("load_data",))
    monkeypatch.setattr(scale, "write_shop", lambda *_, **__: None)
    monkeypatch.setattr(scale, "_buyers", lambda folder: 600)

    def step_of(seconds):
        return lambda *_: {"seconds": seconds, "cpu_seconds": seconds, "peak_rss_bytes": 2**20}

    monkeypatch.setattr(scale, "_one_step", step_of(1.0))
    before = scale.many_users([1_000, 2_000, 9_000])
    monkeypatch.setattr(scale, "_one_step", step_of(2.0))
    found = scale.many_users([2_000, 4_000], earlier=before)
    assert found["users"] == [1_000, 2_000, 4_000, 9_000] and found["events"] == [4_000, 8_000, 16_000, 36_000]
    assert found["steps"]["load_data"]["seconds"] == [1.0, 2.0, 2.0, 1.0]


def test_a_step_that_fails_is_told_with_its_reason_and_never_as_a_fast_one(monkeypatch):
    monkeypatch.setattr(scale, "DATA_STEPS", ("load_data", "validate_data"))
    monkeypatch.setattr(scale, "_buyers", lambda folder: 1)
    monkeypatch.setattr(
        scale, "write_shop", lambda folder, *_, **__: (folder / "events.parquet").write_text("user,item\n")
    )
    said: list[str] = []
    steps = scale.many_users([1_000], said.append)["steps"]
    assert [step[what] for step in steps.values() for what in ("seconds", "cpu_seconds", "peak_rss_bytes")] == [
        [None]
    ] * 6
    assert "failed (exit 2)" in steps["load_data"]["why"][0] and "events.parquet" in steps["load_data"]["why"][0]
    assert steps["validate_data"]["why"] == ["load_data was not done"]
    assert len(said) == 2 and all("NOT done" in line for line in said)


def test_a_step_that_takes_too_long_is_ended_and_told(monkeypatch):
    monkeypatch.setattr(scale, "DATA_STEPS", ("load_data",))
    monkeypatch.setattr(scale, "LONGEST_SECONDS", 0)
    assert "not done in 0 minutes" in scale.many_users([1_000])["steps"]["load_data"]["why"][0]


def test_the_page_says_which_step_of_how_many_users_was_not_done():
    step = {
        "seconds": [1.0, None], "cpu_seconds": [2.0, None], "peak_rss_bytes": [2**20, None],
        "exponent": None, "memory_exponent": None,
    }  # fmt: skip
    users = {
        "users": [1000, 2000],
        "events": [4000, 8000],
        "buyers": [600, 1200],
        "cores": 2,
        "steps": {"load_data": step | {"why": [None, "it was killed"]}},
    }
    text = page(FOUND | {"users": users})
    assert "| load_data | 2.0 | not done |  |" in text and "- load_data of 2,000 users: it was killed" in text
    assert "## Events" not in page({"users": users})


def test_parts_that_are_left_out_are_those_that_were_found_earlier(monkeypatch):
    monkeypatch.setattr(scale, "many_users", lambda users, say, *, earlier: users)
    assert scale.run(events=0, items=0, users=[2000], earlier=FOUND) == FOUND | {"users": [2000]}
    assert scale.run(events=0, items=0, earlier=FOUND) == FOUND


@pytest.mark.parametrize("text", ["", "[1]", '{"benchmark": "other"}'])
def test_what_is_no_earlier_result_is_refused(tmp_path, text):
    (tmp_path / "scale.json").write_text(text)
    with pytest.raises(SpecInvalid, match="--earlier"):
        read_earlier(tmp_path / "scale.json")


def test_the_page_in_docs_is_written_from_the_numbers_beside_it():
    docs = Path(__file__).parents[2] / "docs"
    assert (docs / "scale.md").read_text() == page(json.loads((docs / "scale.json").read_text()))


@pytest.mark.parametrize(
    "asked",
    [
        {"users": [2000, 1000]},
        {"events": 10},
        {"factors": []},
        {"factors": [2, 1]},
        {"factors": [0, 1]},
        {"events": 0, "items": 0},
    ],
)
def test_sizes_that_are_no_shop_are_refused(asked):
    with pytest.raises(SpecInvalid):
        scale.run(**asked)
