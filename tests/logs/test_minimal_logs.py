"""Logs as new users bring them end in a version and a ranker that answers, and no step has sat idle on the way."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from minimal_logs import bought, carry, ranker_of, with_little_effort, write

from shoploop.errors import ShoploopError, TooFewEvents
from shoploop.ranking.answer import RecommendRequest

pytestmark = pytest.mark.usefixtures("one_thread")

FEW_HISTORIES = "users have 3 visits or more"


@dataclass(frozen=True, kw_only=True)
class Log:
    make: Callable[[Path], dict[str, Any]]
    """Writes the log and returns the spec's section ``data``."""

    user: str = "2"
    """Somebody who is in it."""

    augments: bool = True
    """False where nobody comes three times, so that no augmentation can be judged, or where none is asked for."""

    weighs: bool = True
    settings: dict[str, Any] = field(default_factory=dict)


PLAIN = {"augmentation": {"mode": "Never"}}
"""Of a log that differs from others in its columns alone: augmentation sees when who bought what, as in these."""

UNVALIDATED = ("validate_data",)
"""Where samples are looked at, which are built without it; each log that ends in a version is validated."""

UNWEIGHED = PLAIN | {"importance": {"estimator": "None"}}


def regular(seed: int, **changed: Any) -> pl.DataFrame:
    """Sixty-four shoppers who come every six days for two months."""
    return bought(**({"users": 64, "days": 60, "every": 6, "items": 24, "seed": seed} | changed))


def headerless(folder: Path) -> dict[str, Any]:
    return write(folder, regular(1), include_header=False, header=["user", "item", "time"])


def epoch_seconds(folder: Path) -> dict[str, Any]:
    return write(folder, regular(1).with_columns(pl.col("time").dt.epoch("s")), timeFormat="unix-seconds")


def strangers(folder: Path) -> dict[str, Any]:
    return write(folder, bought(users=400, days=40, once=True, seed=7))


def returns(folder: Path) -> dict[str, Any]:
    table = regular(8).with_row_index("n").with_columns(quantity=pl.when(pl.col("n") % 10 == 0).then(-1).otherwise(1))
    return write(folder, table.drop("n"))


def float_ids(folder: Path) -> dict[str, Any]:
    return write(folder, regular(1).with_columns(pl.col("user", "item").cast(pl.Float64)))


def ratings(folder: Path) -> dict[str, Any]:
    table = regular(10).with_row_index("n").with_columns(rating=pl.col("n") % 3 + 3)
    return write(folder, table.drop("n"), ratingsAs="weights")


def mostly_once(folder: Path) -> dict[str, Any]:
    once = bought(users=250, days=60, once=True, seed=12)
    once = once.with_columns(user=pl.format("once-{}", "user"))
    return write(folder, pl.concat([regular(11), once]))


def twenty_years(folder: Path) -> dict[str, Any]:
    table = bought(users=64, days=7300, every=730, seed=5)
    return write(folder, table.with_columns(pl.col("time").dt.offset_by("-20y")))


def with_words(folder: Path) -> dict[str, Any]:
    table = regular(2).with_columns(title=pl.format("Thing {}", "item"), basket=pl.format("{}-{}", "user", "time"))
    return write(folder, table)


LOGS = {
    "three columns only": Log(
        make=lambda folder: write(folder, regular(1)), settings={"importance": {"estimator": "GanAttention"}}
    ),
    "no shop, no kind, no price": Log(make=with_words, augments=False, weighs=False, settings=UNWEIGHED),
    "twenty years, few users": Log(make=twenty_years),
    "eight days": Log(
        make=lambda folder: write(folder, bought(users=140, days=8, every=1.3, seed=6)),
        weighs=False,
        settings={"importance": {"estimator": "None"}},
    ),
    "sessions of strangers": Log(make=strangers, augments=False),
    "ratings": Log(make=ratings, augments=False, settings=PLAIN),
    "most come once": Log(make=mostly_once),
}


WRITTEN_OTHERWISE = {"headerless": headerless, "epoch seconds": epoch_seconds, "float ids": float_ids}
"""The first of the logs again: what is loaded of them is the same, so all that follows is."""


@pytest.fixture(autouse=True)
def little_effort(monkeypatch):
    with_little_effort(monkeypatch)


@pytest.mark.parametrize("name", LOGS)
def test_a_log_ends_in_a_version_and_a_ranker_that_answers(name, tmp_path):
    log = LOGS[name]
    reports = carry(tmp_path, log.make(tmp_path), settings=log.settings)
    worked(reports, log)
    assert re.fullmatch("v[0-9a-f]{12}", reports["train_fused"]["version"])
    ranker = ranker_of(tmp_path)
    visitor = ranker.recommend(RecommendRequest(user="nobody-of-this-log"))
    assert (visitor.method, len({item.item for item in visitor.items})) == ("popularity", 10)
    assert reports["train_fused"]["ratings_weigh"] == (name == "ratings")
    known = ranker.recommend(RecommendRequest(user=log.user))
    assert (known.method, len({item.item for item in known.items})) == ("fused", 10)


@pytest.mark.parametrize("name", WRITTEN_OTHERWISE)
def test_a_log_that_is_written_otherwise_is_loaded_as_the_same(name, tmp_path):
    for folder, make in (("plain", LOGS["three columns only"].make), ("otherwise", WRITTEN_OTHERWISE[name])):
        carry(tmp_path / folder, make(tmp_path / folder), until="load_data")
    plain, otherwise = (tmp_path / folder / "data" for folder in ("plain", "otherwise"))
    tables = sorted(path.name for path in plain.glob("*.parquet"))
    assert "interactions.parquet" in tables
    assert tables == sorted(path.name for path in otherwise.glob("*.parquet"))
    for table in tables:
        assert pl.read_parquet(plain / table).equals(pl.read_parquet(otherwise / table)), table


def test_eleven_days_are_enough_for_samples(tmp_path):
    data = write(tmp_path, bought(users=70, days=11, every=1.6, seed=6))
    samples = carry(tmp_path, data, until="build_samples", without=UNVALIDATED)["build_samples"]
    assert samples["splits"]["train"]["positives"] > 50
    assert samples["splits"]["evaluation"]["requests"] >= 20


def worked(reports: dict[str, Any], log: Log) -> None:
    """Every step did what it is there for."""
    samples, augmented, weighed = (
        reports[step] for step in ("build_samples", "augment_samples", "estimate_importance")
    )
    assert samples["splits"]["train"]["positives"] > 50
    assert samples["splits"]["evaluation"]["requests"] >= 20
    assert samples["windows"]["why"]
    if log.augments:
        assert {"crop", "gan"} <= set(augmented["variants"]), augmented["reason"]
        assert augmented["generator"]["digest"]
        assert augmented["samples_added"] > 0
    else:
        assert ("mode is Never" if log.settings else FEW_HISTORIES) in augmented["reason"]
    if log.weighs:
        assert weighed["weighed"]["rows"] > 0
        assert weighed["self_check"]["training"], weighed["verdict"]["reason"]
    assert reports["evaluate_model"]["methods"]["fused"]["ndcg@10"]


def test_returns_are_no_purchases_or_are_refused_by_name(tmp_path):
    try:
        carry(tmp_path, returns(tmp_path), until="build_samples")
    except ShoploopError as error:
        assert "quantity" in str(error)
        return
    events = pl.read_parquet(tmp_path / "data" / "interactions.parquet")
    assert events.filter(pl.col("kind") == "return").height > 0
    wanted = pl.read_parquet(tmp_path / "samples" / "candidates.parquet").filter("label").height
    assert 0 < wanted < events.filter(pl.col("kind") == "purchase").height


def test_a_log_of_one_day_is_refused_with_its_values(tmp_path):
    with pytest.raises(TooFewEvents, match=r"Of 30 visits .* of 30 users, 0 lie in .* to 2024-10-04\)"):
        carry(tmp_path, write(tmp_path, bought(users=30, days=1, every=1)), until="build_samples", without=UNVALIDATED)


def test_too_few_visitors_are_refused_with_the_days_and_the_counts(tmp_path):
    with pytest.raises(TooFewEvents, match=r"of 8 users, .* and \d users bought something in the \d+ days .*2024-"):
        few = write(tmp_path, bought(users=8, days=60, every=6))
        carry(tmp_path, few, until="build_samples", without=UNVALIDATED)


def test_one_wrong_date_changes_nothing_but_is_named(tmp_path):
    table = regular(13)
    wrong = table.head(1).with_columns(time=pl.lit(datetime(2099, 1, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC")))
    whole = carry(tmp_path / "a", write(tmp_path / "a", table), until="build_samples", without=UNVALIDATED)
    carry(tmp_path / "b", write(tmp_path / "b", pl.concat([table, wrong])), until="build_samples")
    features, samples = (
        json.loads((tmp_path / "b" / name / f"{name}.json").read_text()) for name in ("features", "samples")
    )
    assert features["serving_day"] == whole["materialize_features"]["serving_day"]
    assert samples["windows"] == whole["build_samples"]["windows"]
    loaded = json.loads((tmp_path / "b" / "data" / "load.json").read_text())
    said = json.dumps([loaded["rules"], features["left_out"], samples["left_out"]])
    assert "2099-01-01" in said


@pytest.mark.parametrize("asked", [{"evaluationDays": 5, "trainingDays": 9}])
def test_days_that_the_spec_names_are_taken(asked, tmp_path):
    data = write(tmp_path, regular(14))
    reports = carry(tmp_path, data, until="build_samples", without=UNVALIDATED, settings={"training": asked})
    windows = reports["build_samples"]["windows"]
    assert (windows["evaluation_days"], windows["training_days"]) == (5, 9)
