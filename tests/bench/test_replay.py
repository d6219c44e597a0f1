"""Later days replayed through the whole loop, and the page about it."""

import json
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import polars as pl
import pytest
from shop.serving import make_ranker
from typer.testing import CliRunner

from shoploop.bench import prequential, replay
from shoploop.cli.main import app
from shoploop.online.chain import Chain
from shoploop.store import Store, layout
from shoploop.versions.artifact import MANIFEST, version_id

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Sixty people, each with a basket of their own, all buy soap and nothing else that others buy, for three days."""
    ranker = make_ranker(tmp_path_factory.mktemp("ranker"), alpha_logit=-20.0)
    bought = [(f"u{number}", "soap", NOON + number * timedelta(hours=1)) for number in range(60)]
    return replay.replayed(ranker, bought, speed=1e9, period_seconds=0.1)


def test_all_that_was_bought_goes_through_the_loop_and_is_told_by_day(found):
    assert (found["visits"], found["users"], found["purchases"]) == (60, 60, 60)
    assert [day["visits"] for day in found["days"]] == [12, 24, 24]
    assert found["learned"] + found["capped"] == 60
    assert found["dead_letters"] == 0
    assert found["trips"] == []
    assert found["commits"] >= 1
    assert found["lag_seconds"]["p50"] > 0
    assert found["loss"]["online"] < found["loss"]["frozen"]
    recall = found["recall@10"]
    assert recall["difference"] == pytest.approx(recall["online"] - recall["frozen"])


def test_commits_that_no_memory_holds_any_more_are_told_too(tmp_path, monkeypatch):
    monkeypatch.setattr(Chain, "_at", lambda chain, number: chain._read(number))
    bought = [(f"u{number}", "soap", NOON + number * timedelta(hours=1)) for number in range(10)]
    found = replay.replayed(make_ranker(tmp_path), bought, speed=1e9, period_seconds=0.1)
    assert found["learned"] + found["capped"] == 10


def test_the_command_writes_a_page_that_needs_nothing_else_and_the_numbers_as_json(found, tmp_path, monkeypatch):
    document = {"recommender": "grocery", "version": "v1"} | found
    monkeypatch.setattr(replay, "run", lambda store, name, **settings: document)
    page = tmp_path / "page.html"
    command = ["replay", "grocery", "--store", str(tmp_path), "--out", str(page), "--json", str(tmp_path / "it.json")]
    said = CliRunner().invoke(app, command, catch_exceptions=False)
    assert said.exit_code == 0
    assert "Recall@10" in said.output and str(page) in said.output
    assert json.loads((tmp_path / "it.json").read_text())["visits"] == 60
    text = page.read_text()
    assert "60 visits of 60 users were replayed" in text
    assert text.count("<svg") >= 2
    assert not re.search(r'(src|href)="(?!#)', text) and "<script" not in text


def test_what_a_guardrail_stopped_is_on_the_page(found, tmp_path):
    from shoploop.report import replay_page

    stopped = {"recommender": "grocery", "version": "v1"} | found
    stopped["trips"] = [{"commit": 7, "reason": "progressive_loss: <b>worse</b>"}]
    stopped["days"] = found["days"][:1]
    replay_page.write(tmp_path / "page.html", stopped)
    text = (tmp_path / "page.html").read_text()
    assert "A guardrail stopped it" in text
    assert "progressive_loss: &lt;b&gt;worse&lt;/b&gt;" in text
    assert "The replay is of one day." in text


def test_replayed_is_what_was_bought_since_the_first_day_of_evaluation(tmp_path, monkeypatch):
    """Which day that is depends on the log: a short one is evaluated on two days."""
    (tmp_path / "data").mkdir()
    manifest = b'{"lineage": {"last_training_day": 19001}}'
    version, store = version_id(manifest), Store(str(tmp_path / "store"))
    store.put(f"{layout.version('shop', version)}/{MANIFEST}", manifest)
    days = [datetime(2022, 1, 10 + day, 9) for day in range(3)]  # 19002 days after 1970-01-01 is 2022-01-10
    rows = pl.DataFrame({"user": ["ann"] * 4, "item": list("abcd"), "time": [datetime(2022, 1, 9, 23), *days],
                         "kind": ["purchase", "purchase", "view", "purchase"]})  # fmt: skip
    rows.write_parquet(tmp_path / "data" / "interactions.parquet")
    monkeypatch.setattr(prequential, "folder_of", lambda store, name, version: tmp_path)
    events, first = prequential.later_purchases(store, SimpleNamespace(version=version), "shop", 10)
    assert (events["item"].to_list(), first) == (["b", "d"], 19002)
