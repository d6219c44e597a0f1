"""What a person should know at once is on the console, and a wrong column is no valid one."""

import io
import json
import sys
from functools import partial

import pytest
import toy_steps
from own_tables import log
from rich.console import Console
from typer.testing import CliRunner

from shoploop import progress, runs
from shoploop.cli.main import app
from shoploop.cli.run import _Watcher, carry_out, load_with_data
from shoploop.runs.launchers.launcher import Look, StepWarning, changes
from shoploop.runs.record import StepRecord

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


WARNING_STEPS = """
import os, sys
from dataclasses import replace
from pathlib import Path

import toy_steps
from shoploop import progress
from shoploop.steps import STEPS

def warns(name, function, call):
    for number in (1, 2):
        progress.warn(f"{name} [red] warns {number}")
    return function(call)

toy_steps.install(Path(os.environ[toy_steps.VARIABLE]))
for name in ("load_data", "build_samples"):
    toy = STEPS[name]
    STEPS[name] = replace(toy, function=lambda call, name=name, toy=toy: warns(name, toy.function, call))
sys.exit(toy_steps.pipeline(Path(sys.argv[1])))
"""


def printed(folder, *, until: str) -> list[str]:
    """What a person sees of a run of the recommender in ``folder``, line by line."""
    stream = io.StringIO()
    recommender = load_with_data(folder / "recommender.yaml")
    carry_out(recommender, str(folder / "store"), Console(file=stream, width=400), until=until)
    return stream.getvalue().splitlines()


@pytest.fixture
def warning_steps(shop, monkeypatch):
    """A shop two of whose steps warn twice, in a process of their own."""
    program = shop.folder / "warning_steps.py"
    program.write_text(WARNING_STEPS)
    monkeypatch.setenv(toy_steps.VARIABLE, str(shop.toy.folder))
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    monkeypatch.setattr(runs, "ThisMachine", partial(runs.ThisMachine, pipeline=(sys.executable, str(program))))
    monkeypatch.setattr(runs, "check_space", lambda store: None)
    shop.write()
    return shop


def test_each_warning_of_a_run_is_printed_once_above_the_line_of_its_step(warning_steps):
    lines = [line.split(maxsplit=1) for line in printed(warning_steps.folder, until="build_samples")[1:]]
    assert [(mark, said.split("  ")[0]) for mark, said in lines] == [
        ("!", "load_data [red] warns 1"),
        ("!", "load_data [red] warns 2"),
        ("✓", "load_data"),
        ("✓", "validate_data"),
        ("✓", "materialize_features"),
        ("!", "build_samples [red] warns 1"),
        ("!", "build_samples [red] warns 2"),
        ("✓", "build_samples"),
    ]


def test_the_warnings_of_a_run_that_fails_are_printed_too(warning_steps):
    warning_steps.toy.fail("load_data", "no.")
    stream = io.StringIO()
    recommender = load_with_data(warning_steps.folder / "recommender.yaml")
    with pytest.raises(runs.StepFailed, match=r"no\."):
        carry_out(recommender, str(warning_steps.store), Console(file=stream, width=400), until="load_data")
    assert [line[0] for line in stream.getvalue().splitlines()[1:]] == ["!", "!", "✗"]


def test_what_own_data_without_kinds_is_taken_for_is_printed_by_the_run(tables):
    tables.csv("events.csv", log(200, users=20).write_csv())
    (tables.folder / "recommender.yaml").write_text(YAML.replace("USER", "user"))
    (told,) = [line for line in printed(tables.folder, until="load_data") if line.startswith("!")]
    assert "all 200 rows count as purchases" in told


def test_a_warning_that_was_said_between_steps_is_told_as_well():
    done = {"load_data": StepRecord(name="load_data", state="done")}
    before = Look(state="running", steps=done, warnings=(StepWarning(step="load_data", message="old"),))
    after = Look(state="running", steps=done, warnings=(*before.warnings, StepWarning(step=None, message="new")))
    assert list(changes(before, after)) == [{"kind": "warning", "step": None, "message": "new"}]


def test_what_loading_assumes_is_told_to_who_watches_and_kept(tables, monkeypatch):
    monkeypatch.setenv(progress.VARIABLE, str(tables.folder / "events.jsonl"))
    tables.events(tables.parquet("events.parquet", log()))
    events = map(json.loads, (tables.folder / "events.jsonl").read_text().splitlines())
    (event,) = (event for event in events if event["kind"] == "warning")
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
