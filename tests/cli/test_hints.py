"""A hint can be copied and run as it stands."""

from pathlib import Path

import pytest

from shoploop.hints import command
from shoploop.store import Store


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SHOPLOOP_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_store_that_a_command_opens_by_itself_is_not_named(elsewhere: Path) -> None:
    assert command(Store(".shoploop"), "serve grocery") == "shoploop serve grocery"


def test_another_folder_is_named_and_quoted_where_it_must_be(elsewhere: Path) -> None:
    store = Store(str(elsewhere / "my store"))
    assert command(store, "serve grocery") == f"shoploop serve grocery --store '{elsewhere}/my store'"


def test_the_store_of_the_environment_is_not_named_and_another_is(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPLOOP_STORE", (elsewhere / "shared").as_uri())
    assert command(Store(str(elsewhere / "shared")), "runs grocery") == "shoploop runs grocery"
    assert command(Store(".shoploop"), "runs grocery") == f"shoploop runs grocery --store {elsewhere}/.shoploop"


def test_a_bucket_is_named_by_its_url(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store("s3://shop/loop/", options={"region": "us-east-1"})
    assert command(store, "serve grocery") == "shoploop serve grocery --store s3://shop/loop"
    monkeypatch.setenv("SHOPLOOP_STORE", "s3://shop/loop/")
    assert command(store, "serve grocery") == "shoploop serve grocery"


def test_to_give_a_hint_makes_no_folder(elsewhere: Path) -> None:
    command(Store(str(elsewhere / "other")), "serve grocery")
    assert not (elsewhere / ".shoploop").exists()
