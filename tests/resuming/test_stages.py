"""The parts of long work that are kept: each made once, and made again where what was kept of it is not whole."""

import threading

import numpy as np
import pytest

from shoploop.resuming.kept_work import KeptWork
from shoploop.resuming.stages import Stages
from shoploop.store import Store


def arrays(**values):
    return {name: np.array(value, dtype=np.float64) for name, value in values.items()}


def done_already():
    pytest.fail("done already")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "stages"


def test_a_stage_is_made_once_and_found_done_by_the_next_process(folder):
    made = Stages(folder, {"of": 1})("one", lambda: (arrays(x=[0, 1, np.nan]), {"seen": 3}))
    again = Stages(folder, {"of": 1})
    found = again("one", done_already)
    assert np.array_equal(found[0]["x"], made[0]["x"], equal_nan=True) and found[1] == {"seen": 3}
    assert again.reused == ["one"] and again.has("one") and not again.has("two")


def test_a_stage_may_be_arrays_or_a_document_alone(folder):
    stages = Stages(folder, {})
    assert stages.document("numbers of seed 0", lambda: {"a": 1}) == {"a": 1}
    assert stages.document("numbers of seed 0", done_already) == {"a": 1}
    stages.arrays("curve", lambda: arrays(y=[2]))
    assert stages.arrays("curve", done_already)["y"] == 2


def test_what_was_kept_under_another_key_is_thrown_away(folder):
    Stages(folder, {"code": "old"}).document("one", lambda: {"by": "old"})
    assert Stages(folder, {"code": "new"}).document("one", lambda: {"by": "new"}) == {"by": "new"}
    assert not Stages(folder, {"code": "old"}).has("one")


@pytest.mark.parametrize("left", [b"half", None], ids=["cut off", "missing"])
def test_a_stage_whose_arrays_are_not_whole_is_made_again(folder, left):
    Stages(folder, {})("one", lambda: (arrays(x=[1]), {}))
    path = folder / "one.safetensors"
    path.unlink() if left is None else path.write_bytes(left)
    assert Stages(folder, {}).arrays("one", lambda: arrays(x=[2]))["x"] == 2


def test_a_stage_whose_document_is_cut_off_is_made_again(folder):
    Stages(folder, {}).document("one", lambda: {"a": 1})
    (folder / "one.json").write_text('{"arrays": [], "docu')
    assert Stages(folder, {}).document("one", lambda: {"a": 2}) == {"a": 2}


def test_without_a_folder_every_stage_is_made_each_time():
    stages = Stages(None, {})
    assert [stages.document("one", lambda n=n: {"n": n})["n"] for n in range(2)] == [0, 1]
    assert not stages.has("one")
    stages.clear()


def test_a_push_while_stages_are_written_never_brings_half_a_stage(tmp_path):
    """Every state of the folder that a push sees is one from which another pod reads whole stages."""
    here, store = tmp_path / "here", Store("memory:///")
    work = KeptWork(store, "work", here)
    stages, stop = Stages(here / "importance", {}), threading.Event()

    def write():
        number = 0
        while not stop.is_set():
            value = number % 10
            stages(f"stage {value}", lambda value=value: (arrays(x=np.full(2000, value)), {"is": value}))
            number += 1
            if value == 9:
                for path in (here / "importance").glob("stage*"):
                    path.unlink()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(6):
            work.push()
            there = KeptWork(store, "work", tmp_path / f"there {number}")
            there.fetch()
            found = Stages(there.local / "importance", {})
            for document in there.local.rglob("stage-*.json"):
                value = int(document.stem.removeprefix("stage-"))
                kept, said = found(document.stem, lambda value=value: (arrays(x=[value]), {"is": value}))
                assert said == {"is": value} and set(kept["x"]) == {value}
            assert not [name for name in store.get_json("work/list.json") if "/." in name or ".part" in name]
    finally:
        stop.set()
        thread.join()
