"""What a person should know at once is on the console, and a wrong column is no valid one."""

import io
import json

from own_tables import log
from rich.console import Console
from typer.testing import CliRunner

from shoploop import progress
from shoploop.cli.main import app
from shoploop.cli.run import _Watcher

YAML = """
metadata: {name: shop}
spec:
  data:
    tables:
      interactions: {uri: events.csv, columns: {user: USER}}
"""


def test_a_steps_warning_is_printed_as_it_is():
    stream = io.StringIO()
    with _Watcher(Console(file=stream, width=60)) as watch:
        watch({"kind": "warning", "message": "items [red] lack [/b] ids, " + "a long sentence " * 10})
    assert "items [red] lack [/b] ids, " + "a long sentence " * 10 in stream.getvalue()


def test_what_loading_assumes_is_told_to_who_watches_and_kept(tables, monkeypatch):
    monkeypatch.setenv(progress.VARIABLE, str(tables.folder / "events.jsonl"))
    tables.events(tables.parquet("events.parquet", log()))
    (event,) = map(json.loads, (tables.folder / "events.jsonl").read_text().splitlines())
    assert event["kind"] == "warning"
    assert "all 60 rows count as purchases" in event["message"]
    assert tables.report["remarks"] == [event["message"]]
    assert json.loads((tables.out / "load.json").read_text())["remarks"] == tables.report["remarks"]


def test_where_nobody_watches_it_is_on_stderr(tables, monkeypatch, caplog):
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    tables.events(tables.parquet("events.parquet", log()))
    assert "all 60 rows count as purchases" in caplog.text


def validated(tables, user: str):
    (tables.folder / "recommender.yaml").write_text(YAML.replace("USER", user))
    return CliRunner().invoke(app, ["validate", "-f", str(tables.folder / "recommender.yaml")])


def test_validate_does_not_call_valid_what_names_a_column_that_is_not_there(tables):
    tables.csv("events.csv", log().write_csv())
    assert "is a valid Recommender" in validated(tables, "user").output
    wrong = validated(tables, "usr")
    assert "has no column 'usr'" in str(wrong.exception)
    assert "valid Recommender" not in wrong.output


def test_validate_says_which_tables_it_could_not_look_at(tables):
    done = validated(tables, "user")
    assert "is a valid Recommender" in done.output
    assert "events.csv is not on this machine; its columns were not looked at" in done.output
