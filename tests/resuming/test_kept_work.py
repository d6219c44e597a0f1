"""What a step keeps in a store that is no folder: nothing half done, and nothing lost but the last seconds."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from shoploop.errors import StoreUnavailable
from shoploop.resuming.kept_work import KeptWork, forget, kept_since
from shoploop.store import Store

TRAINS = """
import json, sys, torch
from pathlib import Path
from shoploop.augmentation.generator.adversary import Adversary
from shoploop.resuming.kept_work import KeptWork, forget, kept_since
from shoploop.store import Store
torch.set_num_threads(1)
work = KeptWork(Store(sys.argv[1], options=json.loads(sys.argv[2])), "work", Path(sys.argv[3]))
work.fetch()
with work.followed(every=0.1):
    adversary = Adversary(4, 1, Adversary.Config(steps=10**6, hidden=8, batch=8), seed=0)
    adversary.train(torch.randn(32, 4), torch.ones(32, 1), torch.ones(32, 4), checkpoint=Path(sys.argv[3]) / "g.safetensors")
"""


@pytest.fixture
def store():
    return Store("memory:///")


@pytest.fixture
def work_in(store, tmp_path):
    """The same work in another pod's folder."""
    return lambda pod: KeptWork(store, "work", tmp_path / pod)


def pushed(work, **files):
    if not work.local.exists():
        work.fetch()
    for name, text in files.items():
        (work.local / name).write_text(text)
    work.push()
    return work


def files(work):
    return {path.name: path.read_text() for path in work.local.rglob("*") if path.is_file()}


def test_the_next_pod_finds_what_the_last_one_left_and_nothing_it_removed(work_in, store):
    first = pushed(work_in("first"), a="1", b="2")
    (first.local / "a").unlink()
    pushed(first, b="3", c="4")
    second = work_in("second")
    second.fetch()
    assert files(second) == {"b": "3", "c": "4"}
    assert len(list(store.list("work/files/"))) == 2


def test_a_file_that_is_still_being_written_is_not_kept(work_in):
    first = work_in("first")
    pushed(first, **{".a.part": "half", "a": "whole"})
    second = work_in("second")
    second.fetch()
    assert files(second) == {"a": "whole"}


def test_bytes_that_are_not_those_that_were_kept_are_not_used(work_in, store, caplog):
    pushed(work_in("first"), a="1", b="2")
    broken = json.loads(store.get("work/list.json"))["a"]
    store.put(f"work/files/{broken}", b"other bytes")
    second = work_in("second")
    second.fetch()
    assert files(second) == {"b": "2"}
    assert "a was kept by half" in caplog.text


def test_a_pod_killed_between_a_file_and_the_list_leaves_the_work_before_it(work_in, store, monkeypatch):
    first = pushed(work_in("first"), a="1")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "put", killed)
    with pytest.raises(KeyboardInterrupt):
        pushed(first, a="2")
    monkeypatch.undo()
    second = work_in("second")
    second.fetch()
    assert files(second) == {"a": "1"}


def test_what_has_not_changed_is_not_brought_again(work_in, store, monkeypatch):
    first = pushed(work_in("first"), a="1")
    monkeypatch.setattr(store, "put_file", lambda *_: pytest.fail("uploaded again"))
    first.push()


def test_a_store_that_does_not_answer_for_once_stops_no_step(work_in, store, monkeypatch, caplog):
    work = work_in("first")
    work.fetch()
    put = store.put

    def unavailable(*_):
        monkeypatch.setattr(store, "put", put)
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(store, "put", unavailable)
    with work.followed(every=0.01):
        (work.local / "a").write_text("1")
        while "no answer" not in caplog.text:
            time.sleep(0.01)
    assert store.exists("work/list.json")


def test_a_generator_whose_pod_is_killed_goes_on_in_the_next_one(s3_options, tmp_path):
    import torch

    from shoploop.augmentation.generator.adversary import Adversary

    uri = f"s3://shop/{tmp_path.name}"
    command = [sys.executable, "-W", "ignore", "-c", TRAINS, uri, json.dumps(s3_options), str(tmp_path / "first")]
    process = subprocess.Popen(command, start_new_session=True)
    store = Store(uri, options=s3_options)
    try:
        until = time.monotonic() + 120
        while not store.exists("work/list.json"):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    second = KeptWork(store, "work", tmp_path / "second")
    second.fetch()
    adversary = Adversary(4, 1, Adversary.Config(steps=10**6, hidden=8, batch=8), seed=0)
    adversary.load(second.local / "g.safetensors")
    assert adversary.step >= 100
    assert all(torch.isfinite(p).all() for p in adversary.generator.parameters())


def test_a_step_that_fails_leaves_in_the_store_what_it_had_done(work_in):
    first = work_in("first")
    first.fetch()
    with pytest.raises(ZeroDivisionError), first.followed(every=3600):
        (first.local / "a").write_text("1")
        raise ZeroDivisionError
    second = work_in("second")
    second.fetch()
    assert files(second) == {"a": "1"}


def test_a_step_that_fails_tells_its_own_error_also_where_the_store_does_not_answer(
    work_in, store, monkeypatch, caplog
):
    def unavailable(*_):
        raise StoreUnavailable("no answer")

    work = work_in("first")
    work.fetch()
    monkeypatch.setattr(store, "put", unavailable)
    with pytest.raises(ZeroDivisionError), work.followed(every=3600):
        (work.local / "a").write_text("1")
        raise ZeroDivisionError
    assert "no answer" in caplog.text


def test_what_lies_in_a_folder_that_is_still_being_written_is_not_kept(work_in):
    first = work_in("first")
    first.fetch()
    (first.local / ".folder.part").mkdir()
    pushed(first, **{".folder.part/a": "half", "a": "whole"})
    second = work_in("second")
    second.fetch()
    assert files(second) == {"a": "whole"}


@pytest.mark.parametrize(
    "name", ["../victim/.bashrc", "/{}/victim/.bashrc", "a/../../victim/.bashrc", "link/.bashrc", "\0", ""]
)
def test_a_name_that_leads_out_of_the_folder_is_left_out_with_a_warning(work_in, store, tmp_path, caplog, name):
    pushed(work_in("first"), good="1")
    name, digest = name.format(tmp_path), hashlib.sha256(b"evil").hexdigest()
    store.put(f"work/files/{digest}", b"evil")
    listed = json.loads(store.get("work/list.json"))
    store.put("work/list.json", json.dumps({name: digest} | listed).encode())
    second = work_in("second")
    (tmp_path / "victim").mkdir()
    second.local.mkdir()
    (second.local / "link").symlink_to(tmp_path / "victim")

    second.fetch()

    assert files(second) == {"good": "1"}
    assert not any((tmp_path / "victim").iterdir())
    assert "in a way that no shoploop writes" in caplog.text


@pytest.mark.parametrize("listed", [{"../a": "0" * 64}, {"a": "../../precious"}, {"a": 1}, ["a"], "a"])
def test_a_list_that_nobody_here_has_written_names_nothing_and_removes_nothing(work_in, store, listed):
    store.put("precious", b"mine")
    store.put(f"work/files/{'0' * 64}", b"kept")
    store.put("work/list.json", json.dumps(listed).encode())
    assert kept_since(store, "work") == {}
    forget(store, "work", ["a", "../a"])
    work_in("first").fetch()
    assert store.get("precious") == b"mine" and store.exists(f"work/files/{'0' * 64}")
