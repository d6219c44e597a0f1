"""What a step keeps for later executions outlives the pod that it ran in."""

import pytest

from shoploop.api.pod_result import DataSeen, Result, read
from shoploop.api.v1alpha1 import Recommender
from shoploop.runs.pod import Job, main
from shoploop.steps import STEPS
from shoploop.store import Store

AUGMENT = STEPS["augment_samples"]


@pytest.fixture
def job_in(tmp_path):
    """A pod's share of a run; another folder for its work is another pod."""
    (tmp_path / "events.csv").write_text("user,item,time\nu,i,2026-01-01T00:00:00Z\n")
    spec = {"data": {"tables": {"interactions": {"uri": str(tmp_path / "events.csv")}}}}
    recommender = Recommender.model_validate({"metadata": {"name": "shop"}, "spec": spec})

    def make(store, pod):
        (tmp_path / pod).mkdir(exist_ok=True)
        return Job(recommender, store, "run", tmp_path / pod)

    return make


def test_in_a_mounted_store_a_step_keeps_its_work_there_at_once(job_in, tmp_path):
    job = job_in(Store(str(tmp_path / "store")), "pod")
    assert job._cache(AUGMENT) == (tmp_path / "store/recommenders/shop/work/steps-cache", None)


def test_from_a_remote_store_the_next_pod_gets_what_the_last_one_kept(job_in):
    store = Store("memory:///")
    kept, work = job_in(store, "first")._cache(AUGMENT)
    assert list(kept.iterdir()) == []
    (kept / "generators").mkdir()
    (kept / "generators" / "old.safetensors").write_bytes(b"old")
    (kept / "generators" / "new.safetensors").write_bytes(b"new")
    work.push()
    (kept / "generators" / "old.safetensors").unlink()
    work.push()
    again, _ = job_in(store, "second")._cache(AUGMENT)
    assert {path.name: path.read_bytes() for path in (again / "generators").iterdir()} == {"new.safetensors": b"new"}


def test_a_step_that_keeps_nothing_gets_no_cache(job_in, tmp_path):
    assert job_in(Store(str(tmp_path / "store")), "pod")._cache(STEPS["gate"]) == (None, None)


def test_what_a_look_at_the_data_tells_is_what_a_run_of_the_same_data_notes(job_in, tmp_path, monkeypatch):
    told = tmp_path / "termination-log"
    monkeypatch.setattr("shoploop.runs.pod.TERMINATION_LOG", told)
    job = job_in(Store("memory:///"), "pod")
    data = job.recommender.spec.data.model_dump_json(by_alias=True, exclude_none=True)

    def look() -> Result:
        main(["source", "--data", data])
        return read(told.read_text(encoding="utf-8"))

    assert look() == DataSeen(source=job.source)
    (tmp_path / "events.csv").write_text("user,item,time\nu,i,2026-01-02T00:00:00Z\n")
    assert look() != DataSeen(source=job.source)
    (tmp_path / "events.csv").unlink()
    assert look().error == "DataUnreadable"
