"""The real service goes on answering while versions are promoted and rolled back."""

import shutil

import pytest
from shop.serving import write_model

from shoploop.bench import promotions as bench


@pytest.fixture(scope="module")
def made_by(stored_shop, tmp_path_factory):
    """A run's folders."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "features").symlink_to(stored_shop / "features")
    shutil.copytree(stored_shop / "data", folder / "data")
    write_model(folder / "model")
    return folder


@pytest.mark.parametrize("make_store", ["s3"], indirect=True)
def test_no_request_fails_and_every_promotion_takes_effect(made_by, make_store, monkeypatch):
    """From a bucket, where what is asked for takes the longest; pods of a cluster take theirs from a folder."""
    monkeypatch.setattr(bench, "serving_version", lambda store, name: "v")
    monkeypatch.setattr(bench, "folder_of", lambda store, name, version: made_by)
    found = bench.run(make_store(), "small", count=4)
    assert (found["promotions"], found["rollbacks"], found["failures"], found["without_effect"]) == (4, 2, 0, 0)
    assert found["requests"] > 20 and found["effect_seconds"]["max"] > 0
