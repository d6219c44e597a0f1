"""What a step keeps for later executions outlives the machine that it ran on, and what a look at the data tells."""

import pytest

from shoploop.api.pod_result import DataSeen, Result, read
from shoploop.data import source_digest
from shoploop.errors import ShoploopError
from shoploop.runs.pod_verbs import main
from shoploop.steps import Membership, Workspace, run_step
from shoploop.store import Store


@pytest.fixture
def step_in(toy, tmp_path):
    """Carries a toy step out in a pod; another folder is another pod."""

    def carry_out(store, pod, step="augment_samples", run="run"):
        workspace = Workspace(store, "shop", tmp_path / pod)
        membership = Membership(workspace=workspace, run=run, keys={step: f"key-of-{step}"})
        out = workspace.path(f"recommenders/shop/work/outputs/{run}/{step}")
        run_step(step, settings={}, inputs={}, out=out, run=membership)
        return workspace

    return carry_out


def kept(workspace):
    with workspace.cache() as folder:
        return {path.name: path.read_text() for path in folder.iterdir()}


def test_in_a_store_that_is_a_folder_a_step_keeps_its_work_there_at_once(step_in, tmp_path):
    step_in(Store(str(tmp_path / "store")), "pod")
    assert (tmp_path / "store/recommenders/shop/work/steps-cache/augment_samples.kept").is_file()


def test_from_a_remote_store_the_next_pod_gets_what_the_last_one_kept(step_in, tmp_path):
    store = Store("memory:///")
    step_in(store, "first")
    assert kept(Workspace(store, "shop", tmp_path / "second")) == {"augment_samples.kept": "kept"}


def test_a_step_that_fails_has_brought_what_it_kept_before_it_ends(step_in, toy, tmp_path):
    store = Store("memory:///")
    toy.fail("augment_samples", "no.")
    with pytest.raises(ShoploopError, match="no"):
        step_in(store, "first")
    assert kept(Workspace(store, "shop", tmp_path / "second")) == {"augment_samples.kept": "kept"}


def test_a_step_that_keeps_nothing_gets_no_cache(step_in, tmp_path):
    step_in(Store(str(tmp_path / "store")), "pod", step="validate_data")
    assert not (tmp_path / "store/recommenders/shop/work/steps-cache").exists()


def test_what_a_step_wrote_in_one_pod_is_found_by_another_and_fetched_whole(step_in, tmp_path):
    store = Store("memory:///")
    step_in(store, "first")
    second = Workspace(store, "shop", tmp_path / "second")
    entry = second.index.find("key-of-augment_samples")
    out = second.output(entry)
    assert [path.name for path in out.iterdir()] == ["augmentation.json"]
    (out / "augmentation.json").write_text("somebody was here")
    assert "somebody" not in (second.output(entry) / "augmentation.json").read_text()


@pytest.mark.parametrize("damage", ["other bytes", None], ids=["changed", "gone"])
@pytest.mark.parametrize("remote", [True, False], ids=["remote", "folder"])
def test_an_output_that_is_no_longer_whole_is_not_found(step_in, tmp_path, remote, damage):
    store = Store("memory:///" if remote else str(tmp_path / "store"))
    index = step_in(store, "first").index
    entry = index.find("key-of-augment_samples")
    file = f"{entry.folder}/augmentation.json"
    if damage:
        store.put(file, damage.encode())
    else:
        store.delete(file)
    assert index.find("key-of-augment_samples") is None


def test_what_a_look_at_the_data_tells_is_what_a_run_of_the_same_data_notes(recommender, tmp_path, monkeypatch):
    message = tmp_path / "termination-log"
    monkeypatch.setenv("SHOPLOOP_TERMINATION_LOG", str(message))
    spec = recommender.spec.data
    data, noted = spec.model_dump_json(by_alias=True, exclude_none=True), source_digest(spec)

    def look() -> Result:
        main(["source", "--data", data])
        return read(message.read_text(encoding="utf-8"))

    assert look() == DataSeen(source=noted)
    (tmp_path / "events.csv").write_text("user,item,time\nu,i,2026-01-02T00:00:00Z\n")
    assert look() != DataSeen(source=noted)
    (tmp_path / "events.csv").unlink()
    assert look().error == "DataUnreadable"
