"""A store with files of somebody else in it, and one that may only be read."""

import json
import os
import subprocess
from datetime import UTC, datetime

import pytest
from obstore.exceptions import InvalidPathError
from typer.testing import CliRunner

from shoploop.api.v1alpha1 import RetentionSpec
from shoploop.cli.main import app
from shoploop.errors import StoreUnavailable
from shoploop.packaging.local_setup import cache_folder
from shoploop.runs import Record, list_runs
from shoploop.runs.retention import choose, remove
from shoploop.steps import Workspace
from shoploop.store import Store, layout
from shoploop.versions import promotions
from shoploop.versions.artifact import version_id
from shoploop.versions.signing import Trust

RUNS = [f"20260101-00000{number}-abcd" for number in range(3)]


class Shop:
    """A store with three runs, each with a version; the last one serves."""

    def __init__(self, folder):
        self.store = Store(str(folder))
        self.versions = [self._make(number, run) for number, run in enumerate(RUNS)]
        promotions.promote(self.store, "shop", self.versions[-1], reason="better", by="gate")

    def _make(self, number: int, run: str) -> str:
        files = {"weights.safetensors": {}}
        manifest = {"lineage": {"parent": None}, "metrics": {}, "files": files, "number": number}
        body = json.dumps(manifest).encode()
        version = version_id(body)
        self.store.put(f"{layout.version('shop', version)}/weights.safetensors", b"w")
        self.store.put(f"{layout.version('shop', version)}/manifest.json", body)
        record = Record(
            name="shop", run=run, launcher="this machine", state="done", started=datetime(2026, 1, 1, tzinfo=UTC),
            steps=(), version=version, shoploop="0", python="3", spec={},
        )  # fmt: skip
        self.store.put(layout.run_record(layout.run("shop", run)), record.model_dump_json().encode())
        self.store.put(layout.run_report(layout.run("shop", run)), b"<html>")
        self.store.put(f"{layout.outputs('shop', run)}/model/weights", b"w")
        return version

    def say(self, *words: str):
        return CliRunner().invoke(app, [*words, "--store", str(self.store.folder)])


@pytest.fixture
def kept(tmp_path):
    return Shop(tmp_path / "store")


PLACES = [
    "recommenders",
    "recommenders/shop",
    "recommenders/shop/promotions",
    "recommenders/shop/versions",
    "recommenders/shop/runs",
    f"recommenders/shop/runs/{RUNS[0]}",
    "recommenders/shop/work",
    "recommenders/shop/work/outputs",
    "recommenders/shop/work/steps",
]
NAMES = [
    b"notes.txt",
    b"notes.json",
    b".DS_Store",
    b"100%.json",
    b"a b#1",
    b"caf\xe9.txt",
    "米.json".encode(),
    b"line\nbreak",
]
FOLDERS = [b"notes", b"caf\xe9dir", b"line\nbreak dir", b"100% dir", "米".encode()]


def put_everywhere(folder) -> dict[bytes, bytes]:
    """Foreign files, folders and links in each place of a store; returns the files' contents."""
    files = {}
    for place in PLACES:
        here = os.fsencode(folder / place)
        os.makedirs(here, exist_ok=True)
        for name in NAMES:
            files[os.path.join(here, name)] = b"mine"
        files[os.path.join(here, b"copy of a folder", b"manifest.json")] = b"{}"
        for name in FOLDERS:
            files[os.path.join(here, name, b"run.json")] = b"mine"
            files[os.path.join(here, name, b"inner", b"a.txt")] = b"mine"
        os.symlink(b"nowhere", os.path.join(here, b"dead-link"))
        os.mkfifo(os.path.join(here, b"pipe"))
    for path, content in files.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    return files


def test_files_of_somebody_else_harm_nothing(kept):
    put_everywhere(kept.store.folder)
    store = kept.store
    assert promotions.recommenders(store) == ["shop"]
    assert promotions.version_ids(store, "shop") == sorted(kept.versions)
    assert [version.id for version in promotions.versions(store, "shop") if version.serving] == [kept.versions[-1]]
    assert [record.run for record in list_runs(store, "shop")] == RUNS[::-1]
    promotions.promote(store, "shop", kept.versions[0], reason="by hand", by="ann")
    assert promotions.rollback(store, "shop", by="ann").version == kept.versions[-1]
    for words in (["runs", "shop"], ["versions", "shop"], ["report", "shop"], ["gc", "shop", "--dry-run"]):
        said = kept.say(*words)
        assert said.exit_code == 0, said.exception


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_somebody_else_hides_nothing_of_what_lies_beside_it(tmp_path, name):
    store = Store(str(tmp_path))
    for key in ("a/1.json", "a/b/2.json"):
        store.put(key, b"{}")
    foreign = os.path.join(os.fsencode(tmp_path), b"a", name, b"inner")
    os.makedirs(foreign)
    with open(os.path.join(foreign, b"3.json"), "wb"):
        pass
    assert {"a/1.json", "a/b/2.json"} <= set(store.list("a/"))
    assert {"1.json", "b/2.json"} <= set(store.sizes("a"))
    assert "b" in store.folders("a")


def test_a_name_that_no_key_can_have_on_an_object_store_is_named():
    class Foreign:
        """An object store in which somebody has a name that obstore refuses."""

        def list(self, prefix):
            raise InvalidPathError("Could not parse path: a//b")

        list_with_delimiter = list

    store = Store("memory:///")
    store._store = Foreign()
    for look in (lambda: list(store.list("runs/")), lambda: store.folders("runs")):
        with pytest.raises(StoreUnavailable, match=r"memory:.*runs.*: Could not parse path: a//b"):
            look()


def test_files_of_somebody_else_are_left_alone_by_what_removes_the_past(kept):
    files = put_everywhere(kept.store.folder)
    workspace = Workspace(kept.store, "shop")
    notes = kept.store.path(f"{layout.version('shop', kept.versions[0])}/notes.txt")
    notes.write_text("mine")
    gone = remove(workspace, choose(workspace, RetentionSpec(runs=1, versions=1), named={}), named={})
    assert gone.runs == tuple(RUNS[:2]) and set(gone.versions) == set(kept.versions[:2])
    assert notes.read_text() == "mine" and os.listdir(notes.parent) == ["notes.txt"]
    for path, content in files.items():
        with open(path, "rb") as file:
            assert file.read() == content
    assert not kept.store.path(layout.run_record(layout.run("shop", RUNS[0]))).exists()
    assert not kept.store.path(layout.run("shop", RUNS[1])).exists()


def test_a_damaged_entry_of_a_log_is_named(kept):
    kept.store.put(f"{layout.promotions('shop')}/000000000002.json", b"{")
    with pytest.raises(StoreUnavailable, match=r"000000000002\.json is damaged"):
        promotions.serving_version(kept.store, "shop")


@pytest.fixture
def read_only(kept):
    """The same store on a file system that may only be read."""
    folder = str(kept.store.folder)
    bound = ["mount", "--bind", folder, folder]
    if os.geteuid() == 0 and not subprocess.run(bound, capture_output=True).returncode:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield kept
        subprocess.run(["umount", "--lazy", folder], check=True)
        return
    if os.geteuid() == 0:
        pytest.skip("nothing can be mounted, and root may write anything")
    paths = [kept.store.folder, *kept.store.folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield kept
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_what_may_only_be_read_can_be_looked_at(read_only):
    for words, shown in (
        (["runs", "shop"], RUNS[-1]),
        (["versions", "shop"], read_only.versions[-1]),
        (["report", "shop"], "report.html"),
        (["gc", "shop", "--dry-run"], "stays"),
    ):
        said = read_only.say(*words)
        assert said.exit_code == 0, said.exception
        assert shown in said.output


def test_a_service_of_what_may_only_be_read_unpacks_elsewhere(read_only, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    store = Store(str(read_only.store.folder), read_only=True)
    assert cache_folder(store, Trust.configured()) == tmp_path / "cache" / "shoploop" / "bentos"


def test_what_would_write_there_says_that_it_may_only_be_read(read_only):
    said = read_only.say("promote", "shop", read_only.versions[0])
    assert isinstance(said.exception, StoreUnavailable)
    assert "cannot be written: it may only be read" in str(said.exception)


def test_looking_for_what_is_not_there_makes_no_folder(tmp_path):
    said = CliRunner().invoke(app, ["versions", "shop", "--store", str(tmp_path / "none")])
    assert "No recommender 'shop'" in str(said.exception)
    assert not (tmp_path / "none").exists()
