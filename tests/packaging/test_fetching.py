"""What a predictor's pod does before its server starts."""

import json
import os

import pyarrow
import pytest
from pyarrow import parquet
from signed_things import no_keys

from shoploop.errors import ArtifactCorrupt
from shoploop.packaging.archive import pack
from shoploop.packaging.fetch import RANKER, fetch, main
from shoploop.ranking.settings import RankerSettings
from shoploop.store import disk

__all__ = ["no_keys"]


@pytest.fixture
def bento(tmp_path, no_keys):
    """A packed Bento of nothing but its settings and items: the URL and the digest."""
    ranker = tmp_path / "built" / RANKER
    ranker.mkdir(parents=True)
    RankerSettings(version="v1", item_fields=("title", "price"), deadline_milliseconds=100).write(ranker)
    parquet.write_table(pyarrow.table({"item": ["a"], "title": ["Tea"], "price": [1.5]}), ranker / "items.parquet")
    (tmp_path / "store").mkdir()
    archive = tmp_path / "store" / "0123.bento"
    pack(tmp_path / "built", archive)
    return archive.as_uri(), disk.digest_of(archive)


WHOSE = ["--recommender", "grocery", "--version", "v1"]


def test_the_named_bytes_are_unpacked(bento, tmp_path):
    assert main([*WHOSE, "--bento", bento[0], "--digest", bento[1], "--into", str(tmp_path / "content")]) == 0
    assert RankerSettings.read(tmp_path / "content" / RANKER).version == "v1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["built", "content", "store"]


def test_other_bytes_are_refused_and_nothing_is_left(bento, tmp_path):
    with pytest.raises(ArtifactCorrupt, match="was asked for"):
        fetch(bento[0], "0" * 64, tmp_path / "content", recommender="grocery", version="v1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["built", "store"]


def test_a_bento_that_is_not_there_is_named(bento, tmp_path, capsys):
    gone = bento[0].replace("0123", "4567")
    assert main([*WHOSE, "--bento", gone, "--digest", bento[1], "--into", str(tmp_path / "content")]) == 2
    assert "4567.bento does not exist" in capsys.readouterr().err


def test_what_the_spec_says_today_replaces_what_was_packed(bento, tmp_path):
    told = ["--deadline-milliseconds", "250", "--item-fields", "title", "--allowed-origins", "https://a.example,*"]
    assert main([*WHOSE, "--bento", bento[0], "--digest", bento[1], "--into", str(tmp_path / "content"), *told]) == 0
    settings = RankerSettings.read(tmp_path / "content" / RANKER)
    assert (settings.deadline_milliseconds, settings.item_fields) == (250, ("title",))
    assert settings.allowed_origins == ("https://a.example", "*")


def test_no_item_field_at_all_is_possible(bento, tmp_path):
    assert (
        main([*WHOSE, "--bento", bento[0], "--digest", bento[1], "--into", str(tmp_path / "c"), "--item-fields="]) == 0
    )
    assert json.loads((tmp_path / "c" / RANKER / "settings.json").read_text())["item_fields"] == []


def test_a_field_that_was_not_packed_cannot_be_added(bento, tmp_path, capsys):
    told = ["--item-fields", "title,image"]
    assert main([*WHOSE, "--bento", bento[0], "--digest", bento[1], "--into", str(tmp_path / "content"), *told]) == 2
    assert "names image, which version v1 was packed without" in capsys.readouterr().err


def test_a_store_that_is_mounted_read_only_is_enough(bento, tmp_path, monkeypatch):
    """root may write everywhere, so the question itself is answered as an unprivileged pod's would be."""
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    fetch(*bento, tmp_path / "content", recommender="grocery", version="v1")
    assert (tmp_path / "content" / RANKER).is_dir()


def test_a_rule_that_cannot_be_is_named_by_its_path(bento, tmp_path, capsys):
    told = ["--list-rules", '{"maxPerCategory": 2, "pins": [{"item": "a", "place": 0}]}']
    assert main([*WHOSE, "--bento", bento[0], "--digest", bento[1], "--into", str(tmp_path / "content"), *told]) == 2
    assert "spec.serving.listRules cannot be used: pins[0].place: " in capsys.readouterr().err
