"""How the files of the version that serves come to the evaluation, from a store elsewhere."""

import pytest

from shoploop.errors import NotFound, StoreUnavailable
from shoploop.steps import Workspace
from shoploop.store import Store

VERSION = "v0123456789ab"
KEY = f"recommenders/shop/versions/{VERSION}"


@pytest.fixture
def fetched(tmp_path):
    """Where a run, on this machine or in a pod, finds the incumbent of a store."""
    return lambda store: Workspace(store, "shop", tmp_path).version(VERSION)


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
