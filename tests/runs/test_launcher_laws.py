"""What holds of a run whoever carries it out; checked over every launcher, with steps that do next to nothing."""

import time

import pytest

from shoploop.runs import read_record
from shoploop.runs.step_log import read_logs
from shoploop.steps import STEPS
from shoploop.store import layout


@pytest.fixture(params=["this machine", "Jobs", "Jobs in parts", "Kubeflow Pipelines"])
def bench(request, make_bench):
    return make_bench(request.param)


def states(record):
    return {step.name: step.state for step in record.steps}


def test_a_run_that_is_launched_ends_done_with_a_version_and_a_page(bench):
    run = bench.launched()
    look = bench.ended(run)
    assert look.state == "done" and look.failure is None
    assert bench.toy.done() == list(STEPS)
    record = read_record(bench.store, run.key, run.id)
    assert (record.state, record.launcher, record.passed) == ("done", bench.launcher.name, True)
    assert set(states(record).values()) == {"done"}
    assert record.reason == "a toy passes"
    assert record.ended >= record.started
    assert bench.store.exists(layout.run_report(run.key))
    assert bench.store.exists(f"{layout.version('shop', record.version)}/manifest.json")


def test_a_second_launch_of_the_same_plan_reuses_everything(bench):
    first, second = bench.launched(), None
    bench.ended(first)
    second = bench.launched()
    assert bench.ended(second).state == "done"
    assert bench.toy.done() == list(STEPS)
    record = read_record(bench.store, second.key, second.id)
    assert set(states(record).values()) == {"reused"}
    assert record.version == read_record(bench.store, first.key, first.id).version


def test_a_comparison_that_could_not_be_made_is_made_by_the_next_run_and_kept_then(bench):
    """The version that serves was damaged, or of a key that nobody trusted, and is no longer."""
    seen = {"version": "v0123456789ab", "compared": False, "why_not": "It is signed by a key that nobody trusts."}
    bench.toy.say("evaluate_model", {"gate": {"incumbent": seen | {"unread": True}}})
    bench.toy.say("gate", {"incumbent": seen, "incumbent_unread": True})
    bench.ended(bench.launched())
    assert bench.toy.done() == list(STEPS)
    seen = {"version": "v0123456789ab", "compared": True, "why_not": None}
    bench.toy.say("evaluate_model", {"gate": {"incumbent": seen | {"unread": False}}})
    bench.toy.say("gate", {"incumbent": seen})
    for _ in range(2):
        assert bench.ended(bench.launched()).state == "done"
        assert bench.toy.done() == [*STEPS, "evaluate_model", "gate", "build_bento"]


def test_a_step_that_fails_ends_the_run_and_its_message_is_the_records(bench):
    bench.toy.fail("build_samples", "events.csv has no column time.")
    run = bench.launched()
    look = bench.ended(run)
    assert look.state == "failed"
    assert "events.csv has no column time." in look.failure.message
    record = read_record(bench.store, run.key, run.id)
    assert record.state == "failed"
    assert (record.failure.step, record.failure.exit_code) == ("build_samples", 2)
    assert record.failure.message == "events.csv has no column time."
    assert record.step("build_samples").error == "events.csv has no column time."
    assert states(record)["load_data"] == "done" and states(record)["augment_samples"] == "waiting"
    assert record.version is None and record.passed is None
    assert bench.store.exists(layout.run_report(run.key))


def test_a_failed_run_is_resumed_and_does_only_what_is_missing(bench):
    bench.toy.fail("build_samples", "no.")
    run = bench.launched()
    bench.ended(run)
    before = bench.toy.done()
    bench.toy.let_go()
    bench.launcher.resume(run)
    assert bench.ended(run).state == "done"
    assert before == ["load_data", "validate_data", "materialize_features"]
    assert bench.toy.done() == list(STEPS)
    assert set(states(read_record(bench.store, run.key, run.id)).values()) == {"done"}


def test_a_cancelled_run_keeps_what_is_done_and_can_be_resumed(bench):
    bench.toy.hold("materialize_features")
    run = bench.launched()
    bench.until_done("validate_data")
    bench.launcher.cancel(run)
    assert bench.launcher.look(run).state == "cancelled"
    record = read_record(bench.store, run.key, run.id)
    assert record.state == "cancelled" and record.version is None
    assert bench.toy.done() == ["load_data", "validate_data"]
    bench.toy.let_go()
    bench.launcher.resume(run)
    assert bench.ended(run).state == "done"
    assert bench.toy.done() == list(STEPS)


def test_to_cancel_a_run_that_has_ended_changes_nothing(bench):
    run = bench.launched()
    before = bench.ended(run)
    bench.launcher.cancel(run)
    assert bench.launcher.look(run).state == before.state == "done"


def test_logs_are_there_after_the_end(bench):
    run = bench.launched()
    bench.ended(run)
    said = [line.strip() for line in bench.launcher.logs(run)]
    assert [line for line in said if line.startswith("toy ")] == [f"toy {step}" for step in STEPS]
    kept = list(read_logs(bench.store, run.name, run.id))
    assert [line for line in kept if line.startswith("toy ")] == [f"toy {step}" for step in STEPS]


def test_what_a_step_that_fails_has_written_is_kept(bench):
    bench.toy.fail("load_data", "the cupboard is bare")
    run = bench.launched()
    assert bench.ended(run).state == "failed"
    kept = list(read_logs(bench.store, run.name, run.id))
    assert "toy load_data" in kept and any("the cupboard is bare" in line for line in kept)


def test_looking_changes_nothing(bench):
    bench.toy.hold("validate_data")
    run = bench.launched()
    bench.until_done("load_data")
    bench.until(run, lambda look: look.steps.get("validate_data") and look.steps["validate_data"].state == "running")

    def everything():
        return {path: path.stat().st_mtime_ns for path in bench.store.folder.rglob("*")}

    def at_rest():
        """Once the run's own processes have written what they had to say."""
        found = None
        while found != (found := everything()):
            time.sleep(0.5)
        return found

    before = at_rest()
    assert bench.launcher.look(run) == bench.launcher.look(run)
    assert everything() == before
    bench.launcher.cancel(run)
    before = at_rest()
    bench.launcher.look(run)
    assert everything() == before


def test_what_one_launcher_has_done_is_not_done_again_by_another(make_bench):
    here, there = make_bench("this machine"), make_bench("Jobs")
    first = here.launched()
    here.ended(first)
    second = there.launched()
    assert there.ended(second).state == "done"
    third = here.launched()
    assert here.ended(third).state == "done"
    assert here.toy.done() == list(STEPS)
    launchers = [read_record(here.store, run.key, run.id).launcher for run in (first, second, third)]
    assert launchers == ["this machine", "Jobs", "this machine"]
