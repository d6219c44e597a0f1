"""How the files of the version that serves come to the evaluation: as a copy, verified."""

import os
import time

import pytest
from signed_things import flip, make_key, no_keys, write_small_version

from shoploop.errors import ArtifactCorrupt, ArtifactForeign, NotFound, StoreUnavailable
from shoploop.steps import Workspace
from shoploop.store import Store, layout
from shoploop.versions import promotions
from shoploop.versions.artifact import load_version
from shoploop.versions.keys import TRUSTED_KEYS
from shoploop.versions.signing import Trust

__all__ = ["make_key", "no_keys"]


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def publish(tmp_path, store):
    """Publishes a small version; its id."""

    def make(signer=None):
        write_small_version(tmp_path / "trained")
        return promotions.publish_version(store, "shop", tmp_path / "trained", signer=signer)

    return make


@pytest.fixture
def fetched(tmp_path, no_keys):
    """Where a run, on this machine or in a pod, finds the incumbent of a store."""

    def fetch(store, version="v0123456789ab"):
        return Workspace(store, "shop", tmp_path).incumbent(version, Trust.configured())

    return fetch


def test_it_is_brought_here_in_a_folder_named_by_its_id(fetched, store, publish):
    version = publish()
    folder = fetched(store, version)
    assert folder.name == version
    assert load_version(folder, expected=version).id == version
    assert fetched(store, version) == folder


def test_it_is_a_copy_even_of_a_store_on_this_machine(fetched, store, publish):
    version = publish()
    folder = fetched(store, version)
    flip(store, f"recommenders/shop/versions/{version}/weights.safetensors")
    assert load_version(folder).id == version
    with pytest.raises(ArtifactCorrupt, match="weights"):
        load_version(fetched(store, version))


def test_copies_that_were_compared_with_before_go_once_another_is_fetched(fetched, store, publish):
    version = publish()
    before, now = (store.path(layout.incumbent("shop", f"v{number:012x}")) for number in range(2))
    for folder in (before, now):
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(b"w")
    os.utime(before, (time.time() - 2 * 86400,) * 2)
    folder = fetched(store, version)
    os.utime(folder, (time.time() - 2 * 86400,) * 2)
    assert fetched(store, version) == folder
    assert sorted(folder.parent.iterdir()) == sorted([now, folder]), (
        "who shares this place may be at work with one of today"
    )


def test_one_that_is_gone_is_no_error_and_no_folder(fetched, store):
    folder = fetched(store)
    assert folder.name == "v0123456789ab" and not folder.exists()


def test_one_that_went_since_it_was_copied_leaves_no_folder(fetched, store, publish):
    version = publish()
    assert fetched(store, version).exists()
    store.delete(f"recommenders/shop/versions/{version}/manifest.json")
    assert not fetched(store, version).exists()


def test_one_whose_manifest_was_altered_is_told_by_who_loads_it(fetched, store, publish):
    version = publish()
    flip(store, f"recommenders/shop/versions/{version}/manifest.json", 0)
    with pytest.raises(ArtifactForeign, match="was changed after it was written"):
        load_version(fetched(store, version))


def test_one_that_nobody_signed_is_told_by_who_loads_it(fetched, store, publish, make_key, tmp_path, monkeypatch):
    version, key = publish(), make_key("shop")
    monkeypatch.setenv(TRUSTED_KEYS, str(tmp_path / "shop.pub"))
    with pytest.raises(ArtifactForeign, match=f"is not signed, and a signature by one of these keys .*{key.id}"):
        load_version(fetched(store, version))
    publish(signer=key)
    assert load_version(fetched(store, version)).id == version


def test_a_store_that_does_not_answer_is_an_error_and_no_missing_version(fetched, store, publish, monkeypatch):
    version = publish()

    def silent(*_):
        raise StoreUnavailable("it does not answer.")

    monkeypatch.setattr(store, "get", silent)
    with pytest.raises(StoreUnavailable):
        fetched(store, version)


def test_a_copy_that_breaks_off_leaves_no_half_version(fetched, store, publish, monkeypatch):
    version, get_file = publish(), store.get_file

    def vanishes(key, target):
        if key.endswith("weights.safetensors"):
            raise NotFound(key)
        get_file(key, target)

    monkeypatch.setattr(store, "get_file", vanishes)
    assert not fetched(store, version).exists()
    monkeypatch.undo()
    assert load_version(fetched(store, version)).id == version
