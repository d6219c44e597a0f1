"""What of the past goes: the rule over runs, outputs and versions, on records that are written for it."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from shoploop.api.v1alpha1 import RetentionSpec
from shoploop.cli.main import app
from shoploop.errors import NotFound
from shoploop.resuming.kept_work import KeptWork
from shoploop.runs import leftovers
from shoploop.runs.record import Record
from shoploop.runs.retention import asked_for, choose, remove
from shoploop.steps import STEPS, Entry, Workspace
from shoploop.store import Store, layout
from shoploop.versions import promotions
from shoploop.versions.artifact import version_id

NAME = "shop"


class Past:
    """A recommender with runs that nobody has to carry out."""

    def __init__(self, folder, **retention):
        self.workspace = Workspace(Store(str(folder)), NAME)
        self.store, self.retention, self.count = self.workspace.store, retention, 0

    def run(self, *, version=None, state="done", pinned=None, launcher="this machine", idle_days=0) -> str:
        self.count += 1
        began = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=self.count)
        run = f"{began:%Y%m%d-%H%M%S}-0000"
        serving = {"pinnedVersion": pinned} if pinned else {}
        record = Record(
            name=NAME, run=run, launcher=launcher, state=state, started=began, steps=(), version=version,
            shoploop="0", python="3", spec={"spec": {"retention": self.retention, "serving": serving}},
        )  # fmt: skip
        self.store.put(layout.run_record(layout.run(NAME, run)), record.model_dump_json().encode())
        self.store.put(f"{layout.outputs(NAME, run)}/model/weights", b"w")
        if state != "running":
            for key in (layout.run_result, layout.run_lineage, layout.run_link):
                self.store.put(key(layout.run(NAME, run)), b"{}")
        self.idle(layout.run(NAME, run), idle_days)
        self.idle(layout.outputs(NAME, run), idle_days)
        return run

    def idle(self, folder, days):
        """As if nothing in there had changed for so many days."""
        for path in (self.store.folder / folder).rglob("*"):
            os.utime(path, (time.time() - days * 86400,) * 2)

    def version(self, *, serves=False) -> str:
        body = json.dumps({"lineage": {"parent": None}, "metrics": {}, "number": self.count}).encode()
        version = version_id(body)
        self.store.put(f"{layout.version(NAME, version)}/manifest.json", body)
        if serves:
            promotions.promote(self.store, NAME, version, reason="better", by="gate")
        return version

    def collect(self, now=None, **asked):
        retention, named = asked_for(self.workspace)
        chosen = choose(self.workspace, retention.model_copy(update=asked), named=named, now=now)
        return remove(self.workspace, chosen, named=named)

    @property
    def runs(self):
        return list(self.store.folders(layout.runs(NAME)))


@pytest.fixture
def past(tmp_path):
    return Past(tmp_path, runs=2, versions=2)


def test_runs_beyond_the_newest_go_oldest_first(past):
    first, second, third, fourth = (past.run() for _ in range(4))

    assert past.collect().runs == (first, second)
    assert past.runs == [third, fourth]


def test_the_run_that_made_what_serves_stays_so_that_it_can_be_asked_and_reported(past):
    old = past.run(version=past.version(serves=True))
    for _ in range(3):
        past.run()

    past.collect()

    assert old in past.runs


def test_the_run_that_made_the_pinned_version_stays(past):
    pinned = past.version()
    old = past.run(version=pinned)
    for _ in range(3):
        past.run(pinned=pinned)

    past.collect()

    assert old in past.runs
    assert pinned in promotions.version_ids(past.store, NAME)


def test_a_run_that_goes_on_stays_however_old(past):
    going = past.run(state="running")
    for _ in range(3):
        past.run()

    past.collect()

    assert going in past.runs
    assert going in past.store.folders(layout.all_outputs(NAME))


def test_nothing_of_a_run_that_went_is_left_in_its_folder(past):
    runs = [past.run() for _ in range(4)]

    past.collect()

    assert sorted(path.name for path in (past.store.folder / layout.runs(NAME)).iterdir()) == runs[2:]


@pytest.mark.parametrize("file", ["result.json", "lineage.jsonl", "kubeflow.json"])
def test_what_an_earlier_version_left_of_a_run_goes_and_a_run_that_only_begins_in_kubeflow_stays(past, file):
    left, begins = "20240101-000000-0000", "20240102-000000-0000"
    for run in (left, begins):
        past.store.put(f"{layout.run(NAME, run)}/{file}", b"{}")
    past.idle(layout.run(NAME, left), 31)
    runs = [past.run() for _ in range(2)]

    gone = past.collect()

    assert gone.runs == (left,)
    assert past.runs == [begins, *runs]


def test_a_run_that_was_killed_goes_on_for_a_month_after_its_last_change_and_not_for_ever(past):
    killed = past.run(state="running", launcher="Jobs", idle_days=31)
    waits = past.run(state="running", launcher="Jobs", idle_days=29)
    works = past.run(state="running", launcher="Jobs", idle_days=31)
    past.store.put(f"{layout.outputs(NAME, works)}/model/more", b"w")
    machine_is_gone = past.run(state="running", idle_days=31)
    here = past.run(state="running", idle_days=29)
    runs = [past.run() for _ in range(5)]

    gone = past.collect()

    assert gone.runs == (killed, machine_is_gone, *runs[:3])
    assert past.runs == [waits, works, here, *runs[3:]]
    assert {waits, works, here} <= set(past.store.folders(layout.all_outputs(NAME)))
    assert {killed, machine_is_gone}.isdisjoint(past.store.folders(layout.all_outputs(NAME)))


def test_outputs_go_with_runs_that_are_no_longer_young(past):
    runs = [past.run() for _ in range(6)]

    gone = past.collect(runs=5)

    assert gone.runs == (runs[0],)
    assert set(gone.outputs) == {runs[0], runs[1]}


UNLISTED = "20251231-000000-0000"


@pytest.mark.parametrize("folder", [layout.study(NAME, "spring"), layout.only(NAME, "build_samples")])
def test_what_a_search_of_settings_looks_at_stays_for_a_week_whatever_runs_end_meanwhile(past, folder):
    recommender = {"apiVersion": "shoploop.io/v1alpha1", "kind": "Recommender", "metadata": {"name": NAME}}
    recommender["spec"] = {"data": {"dataset": "completejourney"}}
    plan = {"run": UNLISTED, "recommender": recommender, "until": "build_samples", "serving": None, "source": "s"}
    plan |= {"incumbent": None, "collected": 0, "keys": {step: f"key of {step}" for step in STEPS}}
    lender, _, _ = (past.run() for _ in range(3))
    reused = f"{layout.outputs(NAME, lender)}/samples"
    past.store.put(f"{reused}/rows", b"rows")
    entry = Entry(
        key=plan["keys"]["load_data"], step="load_data", run=lender, folder=reused, seconds=1, files={"rows": 4}
    )
    past.workspace.index.add(entry)
    past.store.put(f"{layout.outputs(NAME, UNLISTED)}/samples/rows", b"rows")
    for run in (lender, UNLISTED):
        past.idle(layout.outputs(NAME, run), 6)
    past.store.put(layout.run_plan(folder), json.dumps(plan).encode())

    past.idle(folder, 6)
    assert past.collect().outputs == ()

    past.idle(folder, 8)
    assert past.collect().outputs == (UNLISTED, lender)


def test_outputs_of_steps_of_which_no_plan_tells_yet_stay_for_a_day(past):
    past.run()
    past.store.put(f"{layout.outputs(NAME, UNLISTED)}/data/rows", b"rows")

    assert past.collect().outputs == ()
    past.idle(layout.outputs(NAME, UNLISTED), 2)
    assert past.collect().outputs == (UNLISTED,)


def in_days(days):
    return datetime.now(UTC) + timedelta(days=days)


def test_work_that_was_kept_to_go_on_stays_for_a_week_after_it_was_touched(past):
    past.run()
    generator = f"{layout.steps_cache(NAME)}/generators/{'a' * 32}.safetensors"
    search = f"{layout.tuning(NAME, 'b' * 16)}/trial-00001.json"
    trial = layout.study_trial(NAME, "spring.2", "00001")
    kept = [generator, search, layout.study_plan(NAME, "spring.2"), trial]
    others = [
        layout.study_found(NAME, "spring.2"), f"{layout.study(NAME, 'spring.2')}/note of ann.txt",
        f"{layout.studies(NAME)}/notes/readme.txt", f"{layout.tunings(NAME)}/{'c' * 16}.txt",
    ]  # fmt: skip
    for key in (*kept, *others):
        past.store.put(key, b"kept")

    assert past.collect(now=in_days(6)).work == ()
    gone = past.collect(now=in_days(8))

    assert gone.work == tuple(sorted((generator, layout.tuning(NAME, "b" * 16), layout.study(NAME, "spring.2"))))
    assert [key for key in kept if past.store.exists(key)] == []
    assert all(past.store.exists(key) for key in others), "what a study came to, and what is somebody else's"
    assert past.collect(now=in_days(8)).work == ()


def test_what_steps_keep_in_an_object_store_goes_from_its_list_and_from_the_store(tmp_path):
    store = Store("memory:///")
    cache = layout.steps_cache(NAME)
    names = [f"generators/{'a' * 32}.safetensors", "train_fused.safetensors"]
    for name in names:
        path = tmp_path / "pod" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    KeptWork(store, cache, tmp_path / "pod").push()
    workspace = Workspace(store, NAME, home=tmp_path / "home")

    assert leftovers.untouched(workspace, in_days(-1).timestamp()) == ()
    old = leftovers.untouched(workspace, in_days(1).timestamp())
    leftovers.remove(workspace, old)

    assert old == (f"{cache}/{names[0]}",), "the other is written over by the next training"
    KeptWork(store, cache, tmp_path / "next").fetch()
    assert [path.name for path in (tmp_path / "next").rglob("*") if path.is_file()] == ["train_fused.safetensors"]
    assert len(list(store.list(f"{cache}/files"))) == 1


def test_what_somebody_else_has_put_there_is_left_alone(past):
    past.run()
    past.store.put(f"{layout.runs(NAME)}/notes of ann/readme.txt", b"mine")
    past.store.put(f"{layout.runs(NAME)}/readme.txt", b"mine")
    for _ in range(4):
        past.run()

    past.collect()

    assert past.store.get(f"{layout.runs(NAME)}/notes of ann/readme.txt") == b"mine"
    assert past.store.get(f"{layout.runs(NAME)}/readme.txt") == b"mine"


def test_a_folder_with_nothing_of_a_run_in_it_is_no_run_and_takes_no_runs_place(past):
    first, second, third = (past.run() for _ in range(3))
    left = "20270101-000000-0000"  # all that was the run's has gone
    past.store.put(f"{layout.run(NAME, left)}/notes.txt", b"mine")
    past.store.put(f"{layout.outputs(NAME, left)}/model/weights", b"w")
    past.idle(layout.outputs(NAME, left), 2)

    gone = past.collect()

    assert left not in gone.kept and left not in gone.runs
    assert gone.runs == (first,)
    assert set(past.store.folders(layout.all_outputs(NAME))) == {second, third}
    assert past.store.get(f"{layout.run(NAME, left)}/notes.txt") == b"mine"


def test_a_run_that_is_planned_and_has_no_record_yet_goes_on(past):
    begins = "20250101-000000-0000"
    past.store.put(layout.run_plan(layout.run(NAME, begins)), b"{}")
    for _ in range(3):
        past.run()

    gone = past.collect()

    assert gone.kept[begins] == "goes on"
    assert past.store.exists(layout.run_plan(layout.run(NAME, begins)))


def test_a_damaged_record_is_no_reason_to_stop_and_the_next_one_says_what_is_asked_for(past):
    for _ in range(3):
        past.run()
    past.store.put(layout.run_record(layout.run(NAME, "20260102-000000-0000")), b"{")

    assert asked_for(past.workspace)[0] == RetentionSpec(runs=2, versions=2)
    past.collect()


def test_a_recommender_that_is_not_there_is_named_with_those_that_are(past):
    past.run()
    with pytest.raises(NotFound, match="There is: shop"):
        asked_for(Workspace(past.store, "grocery"))


def test_the_command_says_what_would_go_and_changes_nothing(past):
    runs = [past.run() for _ in range(3)]
    before = list(past.store.list())

    said = CliRunner().invoke(app, ["gc", NAME, "--dry-run", "--store", str(past.store.folder)])

    assert said.exit_code == 0
    assert f"run {runs[0]} would go" in said.stdout
    assert list(past.store.list()) == before


def test_the_command_removes_and_tells_it_as_json(past):
    runs = [past.run() for _ in range(3)]

    said = CliRunner().invoke(app, ["gc", NAME, "--json", "-", "--store", str(past.store.folder)])

    assert json.loads(said.stdout)["runs"] == [runs[0]]
    assert past.runs == runs[1:]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["done", "failed", "running", "cancelled"]),
            st.booleans(),
            st.booleans(),
            st.sampled_from(["this machine", "Jobs", "Kubeflow Pipelines"]),
            st.sampled_from([0, 8, 29, 31, 400]),
        ),
        max_size=12,
    ),
    st.integers(1, 4),
)
def test_over_any_history_what_goes_on_what_serves_and_the_newest_stay(tmp_path_factory, history, newest):
    past = Past(tmp_path_factory.mktemp("store"), runs=newest, versions=1)
    going, killed, made = set(), set(), {}
    for state, makes, serves, launcher, idle_days in history:
        version = past.version(serves=serves) if makes else None
        run = past.run(version=version, state=state, launcher=launcher, idle_days=idle_days)
        if state == "running":
            (killed if idle_days > 30 else going).add(run)
        made[version] = run
    if not history:
        return
    before = past.runs

    past.collect()

    serving = promotions.serving_version(past.store, NAME)
    assert going <= set(past.runs)
    assert going <= set(past.store.folders(layout.all_outputs(NAME)))
    assert killed & set(past.runs) <= {*before[-newest:], made.get(serving)}
    assert set(before[-newest:]) <= set(past.runs)
    assert serving is None or (made[serving] in past.runs and serving in promotions.version_ids(past.store, NAME))
    folders = sorted(path.name for path in (past.store.folder / layout.runs(NAME)).iterdir())
    assert folders == past.runs, "nothing is left of what went"
    assert past.collect().runs == ()
