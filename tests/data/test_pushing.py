"""One's own files in the store, on a folder and a real S3: once, whole, and read as they were read before."""

import io
import os

import polars as pl
import pytest
from own_tables import log
from PIL import Image

from shoploop.api.v1alpha1 import DataSpec
from shoploop.data import sources
from shoploop.data.inputs import resolve_uris
from shoploop.data.picture_files import PictureFolder
from shoploop.data.pictures import FORMATS
from shoploop.data.pushing import PICTURES, push_tables
from shoploop.errors import DataUnreadable, NotFound, SpecInvalid
from shoploop.store import Store


def spec(uri: str, **tables: str) -> DataSpec:
    return DataSpec(tables={"interactions": {"uri": uri}} | {name: {"uri": uri} for name, uri in tables.items()})


def read_there(store: Store, uri: str, monkeypatch) -> pl.DataFrame:
    """As a pod would: with the store's address and keys in the environment."""
    for name in ("endpoint", "region", "access_key_id", "secret_access_key"):
        if name in store.options:
            monkeypatch.setenv(f"AWS_{name}".upper().replace("AWS_ENDPOINT", "AWS_ENDPOINT_URL"), store.options[name])
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    from shoploop.api.v1alpha1 import TableSource

    return sources.read(TableSource(uri=uri), field="test").table


def names(store: Store) -> list[str]:
    return [key.split("/", 4)[-1].split("/", 1)[-1] for key in store.list("recommenders/shop/data/")]


def test_a_file_is_read_there_as_it_was_here(tables, make_store, monkeypatch):
    uri, store = tables.parquet("my events é.parquet", log(30)), make_store()
    pushed = push_tables("shop", spec(uri), store)["interactions"]
    assert (pushed.files, pushed.copied) == (1, 1)
    assert read_there(store, pushed.uri, monkeypatch).equals(log(30))


def test_folders_with_hive_keys_and_patterns_are_read_there_as_they_were_here(tables, make_store, monkeypatch):
    for day, name in (("1", "a.parquet"), ("2", "b.parquet")):
        tables.parquet(f"lake/day={day}/{name}", log(5))
    tables.bytes("lake/_SUCCESS", b"")
    tables.bytes("lake/notes.md", b"no data")
    store = make_store()
    for uri in (f"{tables.folder}/lake", f"{tables.folder}/lake/*/*.parquet", f"{tables.folder}/lake/day=2"):
        here = read_there(store, uri, monkeypatch)
        pushed = push_tables("shop", spec(uri), store)["interactions"]
        there = read_there(store, pushed.uri, monkeypatch)
        assert there.equals(here.select(there.columns)) and "day" in there.columns
    assert not any("SUCCESS" in name or "notes" in name for name in names(store))


def test_a_pattern_brings_what_a_folder_would_leave_out(tables, make_store, monkeypatch):
    tables.bytes("logs/a.log", b"user,item,time\nann,tea,2024-05-01\n")
    tables.bytes("logs/b.csv", b"user,item,time\nbob,tea,2024-05-01\n")
    store = make_store()
    pushed = push_tables("shop", spec(f"{tables.folder}/logs/*"), store)["interactions"]
    assert pushed.uri.endswith("/*")
    assert read_there(store, pushed.uri, monkeypatch)["user"].to_list() == ["ann", "bob"]


def test_what_lies_there_is_not_copied_again_and_what_is_missing_is(tables, make_store):
    for name in ("a", "b"):
        tables.parquet(f"lake/{name}.parquet", log(5))
    store, uri = make_store(), f"{tables.folder}/lake"
    first = push_tables("shop", spec(uri), store)["interactions"]
    assert (first.files, first.copied) == (2, 2)
    assert push_tables("shop", spec(uri), store)["interactions"].copied == 0
    gone = next(key for key in store.list("recommenders/shop/data/") if key.endswith("b.parquet"))
    store.delete(gone)
    again = push_tables("shop", spec(uri), store)["interactions"]
    assert (again.copied, again.uri) == (1, first.uri)


def test_other_content_lies_in_another_place_and_leaves_the_first(tables, make_store):
    uri, store = tables.parquet("e.parquet", log(5)), make_store()
    first = push_tables("shop", spec(uri), store)["interactions"].uri
    tables.parquet("e.parquet", log(6))
    assert push_tables("shop", spec(uri), store)["interactions"].uri != first
    assert len(list(store.list("recommenders/shop/data/"))) == 2


def test_progress_ends_with_all_bytes(tables, tmp_path):
    tables.parquet("lake/a.parquet", log(5))
    tables.parquet("lake/b.parquet", log(9))
    told = []
    pushed = push_tables(
        "shop", spec(f"{tables.folder}/lake"), Store(str(tmp_path / "store")), lambda *one: told.append(one)
    )
    assert [done for _, done, _ in told] == sorted({done for _, done, _ in told})
    assert told[-1] == ("interactions", pushed["interactions"].bytes, pushed["interactions"].bytes)


def with_pictures(tables, uri: str, **of_image: str) -> DataSpec:
    here = {"interactions": tables.parquet("e.parquet", log(5)), "items": tables.parquet("i.parquet", log(5))}
    items = {"uri": here["items"], "image": {"uri": uri, **of_image}}
    return DataSpec(tables={"interactions": {"uri": here["interactions"]}, "items": items})


def picture(kind: str = "PNG") -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(held, kind)
    return held.getvalue()


def test_a_folder_of_pictures_is_read_there_as_it_was_here(tables, make_store):
    """Every format that is read, whatever a file is called; nothing that is none, is hidden or lies outside."""
    made = {f"red/{n} é": picture(kind) for n, kind in enumerate(FORMATS)} | {"tea.jpg": picture("JPEG")}
    for inner, held in made.items():
        tables.bytes(f"shelf/{inner}", held)
    tables.bytes("shelf/readme.png", b"no picture")
    for inner in ("a\nb.png", "a\\b.png", os.fsdecode(b"caf\xe9.png")):  # names that no table can hold
        tables.bytes(f"shelf/{inner}", picture())
    tables.bytes("shelf/.cache/tea.png", picture())
    tables.bytes("secret.png", picture())
    (tables.folder / "shelf" / "link.png").symlink_to(tables.folder / "secret.png")
    store, data = make_store(), with_pictures(tables, str(tables.folder / "shelf"))
    pushed = push_tables("shop", data, store)[PICTURES]
    assert (pushed.files, pushed.copied) == (len(made), len(made))
    inside = pushed.uri.split("recommenders/", 1)[1]
    assert {key: store.get(f"recommenders/{inside}/{key}") for key in store.sizes(f"recommenders/{inside}")} == made
    assert push_tables("shop", data, store)[PICTURES].copied == 0
    if store.folder is not None:
        assert PictureFolder(pushed.uri).read("tea.jpg") == made["tea.jpg"]


def test_pictures_elsewhere_stay_where_they_are(tables, tmp_path):
    assert PICTURES not in push_tables("shop", with_pictures(tables, "s3://shop/pictures"), Store(str(tmp_path / "s")))


def test_an_encoder_of_pictures_that_lies_here_is_named(tables, tmp_path):
    tables.bytes("shelf/tea.png", picture())
    data = with_pictures(tables, str(tables.folder / "shelf"), encoder=str(tables.folder / "shelf"))
    with pytest.raises(SpecInvalid, match=r"image\.encoder: .* is a folder of this machine"):
        push_tables("shop", data, Store(str(tmp_path / "store")))


def test_a_folder_without_a_picture_is_named(tables, tmp_path):
    tables.bytes("shelf/readme.txt", b"no picture")
    for uri, says in ((tables.folder / "shelf", "holds no picture"), (tables.folder / "gone", "is not there")):
        with pytest.raises((DataUnreadable, NotFound), match=says):
            push_tables("shop", with_pictures(tables, str(uri)), Store(str(tmp_path / "s")))


def test_tables_elsewhere_stay_where_they_are(tables, tmp_path):
    uri = tables.parquet("e.parquet", log(5))
    pushed = push_tables("shop", spec(uri, items="s3://lake/items.csv"), Store(str(tmp_path / "store")))
    assert list(pushed) == ["interactions"]


def test_a_file_that_changes_meanwhile_is_named(tables, tmp_path):
    uri = tables.parquet("e.parquet", log(5))

    class Slow(Store):
        def put_file(self, key, source):
            super().put_file(key, source)
            source.write_bytes(b"other")

    store = Slow(str(tmp_path / "store"))
    with pytest.raises(DataUnreadable, match="changed while it was copied"):
        push_tables("shop", spec(uri), store)
    assert list(store.list("recommenders/shop/data/")) == []


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (DataSpec(dataset="completejourney"), "there is nothing to push"),
        (spec("duckdb:////srv/shop.db"), "is a database's file"),
        (spec("/srv/none.csv"), "does not exist"),
    ],
)
def test_what_cannot_be_pushed_is_named(data, says, tmp_path):
    with pytest.raises((SpecInvalid, DataUnreadable), match=says):
        push_tables("shop", resolve_uris(data, tmp_path), Store(str(tmp_path / "store")))
