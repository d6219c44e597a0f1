"""The table of steps: what a change makes run again, and what it leaves alone."""

import json

import pytest

from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import StoreUnavailable
from shoploop.steps import PRODUCER, STEPS, Entry, Index, Workspace, settings_of, step_keys
from shoploop.store import Store, layout


@pytest.fixture
def make_spec():
    """A valid spec; a test names only the fields it is about."""

    def make(**sections):
        return Recommender.model_validate({"spec": {"data": {"dataset": "completejourney"}} | sections}).spec

    return make


def changed(before, after, **outside):
    old = step_keys(before, **({"source": "s", "incumbent": None}))
    new = step_keys(after, **({"source": "s", "incumbent": None} | outside))
    return [name for name in STEPS if old[name] != new[name]]


def test_every_input_is_written_by_an_earlier_step():
    names = list(STEPS)
    for step in STEPS.values():
        for needed in (*(PRODUCER[output] for output in step.inputs), *step.after):
            assert names.index(needed) < names.index(step.name)


def test_nothing_changed_means_the_same_keys(make_spec):
    assert changed(make_spec(), make_spec()) == []


def test_more_epochs_train_again_but_do_not_sample_again(make_spec):
    due = changed(make_spec(), make_spec(training={"epochs": 9}))
    assert due == ["train_fused", "evaluate_model", "gate", "build_bento"]


def test_a_wider_gate_is_judged_again_and_packed_with_what_it_says_without_training(make_spec):
    assert changed(make_spec(), make_spec(gate={"margin": 0.01})) == ["gate", "build_bento"]


def test_other_raw_tables_make_everything_run_again(make_spec):
    assert changed(make_spec(), make_spec(), source="other") == list(STEPS)


def test_another_incumbent_is_compared_and_its_end_packed_without_training(make_spec):
    due = changed(make_spec(), make_spec(), incumbent="v0123456789ab")
    assert due == ["evaluate_model", "gate", "build_bento"]


def test_fields_that_no_step_needs_change_no_key(make_spec):
    assert changed(make_spec(), make_spec(retention={"runs": 3}, serving={"replicas": 5})) == []


def test_a_step_sees_only_the_fields_it_names(make_spec):
    seen = settings_of(make_spec(training={"evaluationDays": 7, "trainingDays": 28}), STEPS["train_fused"])
    assert set(seen) == {"training"}
    assert {f"training.{name}" for name in seen["training"]} == set(STEPS["train_fused"].settings)


def test_another_ratio_augments_again_but_does_not_sample_again(make_spec):
    due = changed(make_spec(), make_spec(augmentation={"ratio": 0.25}))
    assert due == ["augment_samples", "estimate_importance", "train_fused", "evaluate_model", "gate", "build_bento"]


def test_another_estimator_weighs_again_but_does_not_augment_again(make_spec):
    due = changed(make_spec(), make_spec(importance={"estimator": "LossRanking"}))
    assert due == ["estimate_importance", "train_fused", "evaluate_model", "gate", "build_bento"]


def test_evaluation_reads_real_samples_only():
    assert "samples" in STEPS["evaluate_model"].inputs
    assert "augmentation" not in STEPS["evaluate_model"].inputs


def test_only_steps_that_learn_ask_for_a_gpu():
    assert [step.name for step in STEPS.values() if step.gpu] == [
        "augment_samples",
        "estimate_importance",
        "train_fused",
    ]


@pytest.fixture
def finished_step(tmp_path):
    index = Index(Store(str(tmp_path)), "small")
    index.store.put("runs/r/data/rows.parquet", b"12345")
    index.add(Entry(key="k", step="load_data", run="r", folder="runs/r/data", seconds=1.0, files={"rows.parquet": 5}))
    return index, tmp_path / "runs" / "r" / "data" / "rows.parquet"


def test_a_finished_step_is_found_by_its_key(finished_step):
    index, _ = finished_step
    assert index.find("k").folder == "runs/r/data"
    assert index.find("another") is None


@pytest.mark.parametrize(
    "damage",
    [lambda file: file.unlink(), lambda file: file.write_bytes(b"1")],
    ids=["removed", "truncated"],
)
def test_a_step_whose_output_was_touched_is_not_reused(finished_step, damage):
    index, file = finished_step
    damage(file)
    assert index.find("k") is None


def test_a_half_written_index_entry_is_no_entry(finished_step):
    index, _ = finished_step
    index.store.put(layout.step_entry("small", "k"), json.dumps({"key": "k"})[:5].encode())
    assert index.find("k") is None


@pytest.mark.parametrize("folder", ["../victim", "/etc", "runs/../../victim", ""])
def test_an_entry_whose_folder_leads_out_of_the_store_is_none_and_becomes_no_path(tmp_path, folder):
    workspace = Workspace(Store("memory:///"), "small", home=tmp_path)
    entry = Entry(key="k", step="load_data", run="r", folder=folder, seconds=1.0, files={"rows.parquet": 5})
    workspace.index.add(entry)
    assert workspace.index.find("k") is None
    with pytest.raises(StoreUnavailable, match="is nothing of it"):
        workspace.output(entry)
