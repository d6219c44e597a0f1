"""How the files of the version that serves come to the evaluation, from a store elsewhere."""

from types import SimpleNamespace

import pytest

from shoploop.api.v1alpha1 import Recommender
from shoploop.errors import NotFound, StoreUnavailable
from shoploop.runs import pod, process
from shoploop.store import Store

VERSION = "v0123456789ab"
KEY = f"recommenders/shop/versions/{VERSION}"


@pytest.fixture(params=["this machine", "a pod"])
def fetched(request, tmp_path):
    """Where a run on this machine, and one in a pod, finds the incumbent of a store."""

    def fetch(store):
        if request.param == "a pod":
            job = object.__new__(pod.Job)  # without its look at the data
            job.store, job.work, job.name, job.incumbent = store, tmp_path, "shop", VERSION
            return job._incumbent_folder()
        recommender = Recommender.model_validate(
            {"metadata": {"name": "shop"}, "spec": {"data": {"dataset": "completejourney"}}}
        )
        run = SimpleNamespace(store=store, work=tmp_path, recommender=recommender, incumbent=VERSION)
        return process._incumbent_folder(run)

    return fetch


def test_it_is_brought_here_in_a_folder_named_by_its_id(fetched):
    store = Store("memory:///")
    store.put(f"{KEY}/manifest.json", b"{}")
    folder = fetched(store)
    assert folder.name == VERSION
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    assert fetched(store) == folder


def test_one_that_is_gone_is_no_error_and_no_folder(fetched):
    folder = fetched(Store("memory:///"))
    assert folder.name == VERSION and not folder.exists()


def test_a_store_that_does_not_answer_is_an_error_and_no_missing_version(fetched, monkeypatch):
    store = Store("memory:///")

    def silent(*_):
        raise StoreUnavailable("memory:/// does not answer.")

    monkeypatch.setattr(store, "list", silent)
    with pytest.raises(StoreUnavailable):
        fetched(store)


def test_a_copy_that_breaks_off_leaves_no_half_version(fetched, monkeypatch):
    store = Store("memory:///")
    for name in ("a.bin", "manifest.json"):
        store.put(f"{KEY}/{name}", b"{}")
    get_file = store.get_file

    def vanishes(key, target):
        if key.endswith("manifest.json"):
            raise NotFound(key)
        get_file(key, target)

    monkeypatch.setattr(store, "get_file", vanishes)
    assert not fetched(store).exists()
    monkeypatch.undo()
    assert len(list(fetched(store).iterdir())) == 2
