"""What `shoploop events trim` forgets, and what it says."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from shoploop.cli.events import trim_events
from shoploop.cli.logs import log_of
from shoploop.cli.main import app
from shoploop.data.collected import CollectedThrough
from shoploop.errors import SpecInvalid
from shoploop.events import compaction
from shoploop.events.log import BEGINNING, Entry
from shoploop.events.messages import Kept, to_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.packaging.learning import address_of
from shoploop.store import Store, layout

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store with a log of three events, of which a cut of last year holds two; the version that serves knows that cut."""
    store = Store(str(tmp_path))
    kept = to_json(Kept(source="organic", kind="view", user="ann", item="tea", time=NOW, received=NOW))
    with SqliteLog(tmp_path / layout.events("grocery") / "events.sqlite") as log:
        log.append([Entry("a", kept), Entry("b", kept)])
        compaction.compact(log, store, "grocery")
        log.append([Entry("c", kept)])
    key = next(key for key in store.list(layout.collected_cuts("grocery")) if key.endswith(".json"))
    store.put(key, json.dumps(store.get_json(key) | {"time": "2025-01-01T00:00:00+00:00"}).encode())
    monkeypatch.setattr("shoploop.packaging.local_setup.serving_version", lambda store, name: "v1")
    return store


@pytest.mark.parametrize(
    ("cut", "left", "says"),
    [(1, ["c"], "holds records from 3 on"), (0, ["a", "b", "c"], "Nothing to forget")],
)
def test_what_the_serving_version_was_trained_on_goes(store, tmp_path, monkeypatch, capsys, cut, left, says):
    told = CollectedThrough(cut=cut, offset=2 * cut)
    monkeypatch.setattr("shoploop.packaging.bento.collected_of", lambda store, name, version: told)
    trim_events(store, "grocery", "sqlite", days=14)
    assert says in capsys.readouterr().out
    with SqliteLog(tmp_path / layout.events("grocery") / "events.sqlite") as log:
        assert [record.id for record in log.read(BEGINNING)] == left


def test_how_long_events_are_kept_is_what_the_last_run_was_told(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("shoploop.packaging.bento.collected_of", lambda *_: CollectedThrough(cut=1, offset=2))
    assert "14 days" in said_of_nothing(store, monkeypatch, capsys)
    for run, days in (("20260101-000000-aaaa", 20), ("20260102-000000-aaaa", 30)):
        spec = {"data": {"dataset": "completejourney"}, "retention": {"onlineDays": days}}
        plan = {"recommender": {"metadata": {"name": "grocery"}, "spec": spec}}
        store.put(layout.run_plan(layout.run("grocery", run)), json.dumps(plan).encode())
    store.put(layout.run_plan(layout.run("grocery", "20260103-000000-aaaa")), b"{}")
    assert "30 days" in said_of_nothing(store, monkeypatch, capsys)


@pytest.mark.parametrize("text", ["kafka://kafka 9092", "redis://a b", "kafka://http://x", "mysql://x", "sqlite://x"])
def test_a_log_that_cannot_be_named_so_is_refused(text):
    with pytest.raises(SpecInvalid, match="--log"):
        log_of(text)


def said_of_nothing(store, monkeypatch, capsys) -> str:
    """What is said where nothing is old enough."""
    with monkeypatch.context() as patch:
        patch.setattr(compaction, "trim", lambda *_, **__: None)
        done = CliRunner().invoke(app, ["events", "trim", "grocery", "--store", str(store.folder)])
    assert done.exit_code == 0, done.exception
    return done.output


@pytest.mark.parametrize(
    "text", ["sqlite", "redis://127.0.0.1:6379/0", "rediss://logs.example:6380/1", "kafka://a:9092,b:9092"]
)
def test_a_log_that_serve_was_told_of_is_told_to_the_learner_in_the_same_words(text):
    assert address_of(log_of(text)) == text
    assert log_of(address_of(log_of(text))) == log_of(text)
