"""``shoploop runs`` and the records that it shows: of every launcher, and whatever state they are in."""

import json

import pytest

from shoploop.cli.tables import print_report, print_runs
from shoploop.errors import NotFound
from shoploop.runs import Record, Unreadable, folder_of, list_runs
from shoploop.runs.launchers.this_machine import alone
from shoploop.runs.record import Failure
from shoploop.steps import Workspace
from shoploop.store import Store, layout


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "elsewhere"))


@pytest.fixture
def make_record(store):
    def make(run, **fields):
        record = Record(
            name="shop", run=run, launcher="this machine", state="done", started="2026-03-01T12:00:00Z",
            steps=({"name": "gate", "state": "done", "seconds": 1},), shoploop="1", python="3", spec={},
        ).model_copy(update=fields)  # fmt: skip
        store.put(layout.run_record(layout.run("shop", run)), record.model_dump_json().encode())

    return make


def lines(capsys):
    return {line.split()[0]: line for line in capsys.readouterr().out.splitlines()[1:] if line.split()}


def test_a_run_of_a_laptop_and_one_of_pods_are_listed_side_by_side(make_bench, capsys):
    here, there = make_bench("this machine"), make_bench("Jobs")
    first = here.launched()
    here.ended(first)
    second = there.launched()
    there.ended(second)
    print_runs(here.store, "shop")
    shown = lines(capsys)
    assert "this machine" in shown[first.id] and "10 / 0" in shown[first.id] and "passed" in shown[first.id]
    assert "Jobs" in shown[second.id] and "0 / 10" in shown[second.id] and "passed" in shown[second.id]
    for run in (first, second):
        print_report(here.store, "shop", run=run.id, show=False)
        assert f"{run.id}/report.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"run": "r"}', b"\xff\xfe", b'{"name": 1}'],
    ids=["empty", "cut off", "no object", "of an older version", "no text", "other types"],
)  # fmt: skip
def test_a_damaged_record_is_named_and_hides_no_other(store, make_record, capsys, body):
    make_record("20260301-120000-aaaa", version="v1", passed=True)
    store.put(layout.run_record(layout.run("shop", "20260302-120000-bbbb")), body)
    damaged, whole = list_runs(store, "shop")
    assert isinstance(damaged, Unreadable) and damaged.run == "20260302-120000-bbbb"
    assert whole.version == "v1"
    print_runs(store, "shop")
    shown = lines(capsys)
    assert "unreadable" in shown["20260302-120000-bbbb"]
    assert "v1" in shown["20260301-120000-aaaa"]


def test_a_run_under_way_and_a_failed_one_say_so(make_record, store, capsys):
    make_record("1", state="running")
    make_record("2", state="failed", failure=Failure(message="no."))
    with alone(Workspace(store, "shop")):
        print_runs(store, "shop")
    shown = lines(capsys)
    assert "running" in shown["1"] and "failed" in shown["2"] and "not reached" in shown["2"]


def test_a_run_that_nobody_carries_out_any_more_was_broken_off(make_record, store, capsys):
    make_record("1", state="running")
    print_runs(store, "shop")
    assert "broken off" in lines(capsys)["1"]


def test_a_record_holds_what_it_was_given(make_record, store):
    make_record("1", passed=False, version="v1", reason="worse")
    said = json.loads(store.get(layout.run_record(layout.run("shop", "1"))))
    assert said["passed"] is False and said["launcher"] == "this machine"
    (read,) = list_runs(store, "shop")
    assert (read.passed, read.version, read.reason) == (False, "v1", "worse")


def test_text_in_the_place_of_a_verdict_is_no_verdict(make_record, store):
    make_record("20260302-120000-bbbb")
    key = layout.run_record(layout.run("shop", "20260302-120000-bbbb"))
    store.put(key, json.dumps(store.get_json(key) | {"passed": "False"}).encode())
    (read,) = list_runs(store, "shop")
    assert isinstance(read, Unreadable) and "passed" in read.why


def test_a_recommender_without_runs_is_named(store):
    with pytest.raises(NotFound, match="has no runs"):
        list_runs(store, "shop")


def test_the_run_that_made_a_version_is_found_past_damaged_records(make_record, store, tmp_path):
    make_record("1", version="v1")
    (store.folder / layout.run("shop", "1") / "data").mkdir()
    (store.folder / layout.run("shop", "1") / "data" / "interactions.parquet").touch()
    store.put(layout.run_record(layout.run("shop", "2")), b"{")
    assert folder_of(store, "shop", "v1").name == "1"
